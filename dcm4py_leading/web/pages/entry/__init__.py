"""The pages of one entry: a device, and whatever stands below it."""
