"""Import of files, as if they came by C-STORE."""
