"""Port through which a configuration is read, the record of what was read, and what a live directory tells besides."""
