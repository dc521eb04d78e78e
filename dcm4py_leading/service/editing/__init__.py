"""Edits of what the archive keeps."""
