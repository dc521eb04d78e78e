"""Where the bytes of stored objects are kept."""
