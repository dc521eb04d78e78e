"""Comparisons with a leading archive, composed: a single run, and the jobs of the running service."""
