"""Files that an installation needs besides the program: schema, examples, documents, unit file, man page."""
