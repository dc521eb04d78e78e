"""Pages of comparisons of the archive with its leading archive."""
