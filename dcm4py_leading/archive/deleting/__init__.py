"""Deletion of studies from the index, and of their files."""
