"""The configuration as it is shown to people."""
