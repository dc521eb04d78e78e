"""Page of the coercion rules of a device or an AE, with help for their conditions."""
