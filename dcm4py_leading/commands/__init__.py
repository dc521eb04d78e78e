"""Commands, a room for each group."""
