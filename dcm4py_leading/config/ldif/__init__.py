"""LDIF files: read, written, checked, mended; the directory in memory."""
