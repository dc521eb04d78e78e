"""Configuration as frozen values; bounds."""
