"""Retrieves: objects of the archive, coerced on their bytes, delivered by sub-operations."""
