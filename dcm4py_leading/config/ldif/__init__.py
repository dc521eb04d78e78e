"""LDIF files: read, written, checked and fixed; and a directory in memory."""
