"""What is configured, as frozen values; bounds."""
