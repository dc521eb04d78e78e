"""The index: the stored objects, their attributes, and queries of them."""
