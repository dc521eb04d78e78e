"""The index: what is stored, its attributes, queries of it."""
