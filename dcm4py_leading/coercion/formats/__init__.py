"""Formats that rules are written in, as Java writes them."""
