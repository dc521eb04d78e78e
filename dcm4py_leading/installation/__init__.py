"""Needs of an installation besides the program: schema, examples, documents and unit file out of it, a man page."""
