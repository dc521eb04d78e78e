"""Coercion rules: selection, and the changes that they make. Pure."""
