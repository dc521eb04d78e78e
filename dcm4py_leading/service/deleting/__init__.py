"""Deletion of studies that the archive here holds."""
