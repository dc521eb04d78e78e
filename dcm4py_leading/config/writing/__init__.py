"""Changes of the directory: what is to be changed, said as LDIF, and carried out on a server or in LDIF files."""
