"""Names and passwords, sessions, the throttle."""
