"""The page of the coercion rules of a device or an AE, and what helps to write their conditions."""
