"""Queries: identifier in, matches out."""
