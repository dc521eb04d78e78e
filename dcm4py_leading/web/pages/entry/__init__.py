"""Pages of one entry: a device, or an entry below it."""
