"""Groups of commands, a room for each."""
