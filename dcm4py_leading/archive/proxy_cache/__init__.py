"""Studies of other archives, kept as they came when they passed through."""
