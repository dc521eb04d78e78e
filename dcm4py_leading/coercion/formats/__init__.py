"""Formats that rules use, as Java defines them."""
