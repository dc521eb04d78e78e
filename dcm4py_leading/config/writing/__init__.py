"""Changes of the directory: planned as LDIF, and carried out on a server or in LDIF files."""
