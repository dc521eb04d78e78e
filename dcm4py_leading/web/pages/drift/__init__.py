"""Pages of drift: comparisons of the archive with its leading archive, as they are made and what came of them."""
