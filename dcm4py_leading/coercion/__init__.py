"""Coercion rules: which apply, and what they change. Pure."""
