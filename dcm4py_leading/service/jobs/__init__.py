"""Jobs: long work in the background, with progress, which an administrator can cancel."""
