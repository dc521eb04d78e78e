"""Addresses, TLS, connections, bounds of requests."""
