"""Reports on the configuration, for people."""
