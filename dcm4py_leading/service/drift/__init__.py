"""Drift: how much of what the archive holds is not as the leading archive says. Nothing is changed."""
