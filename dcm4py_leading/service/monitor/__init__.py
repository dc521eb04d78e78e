"""Associations, listeners and echoes, as an administrator sees them."""
