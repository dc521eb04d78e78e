"""Comparisons with a leading archive, composed: one run of it, and those that the running service makes as jobs."""
