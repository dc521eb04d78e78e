"""Jobs: long work in the background, with progress, that an administrator may cancel."""
