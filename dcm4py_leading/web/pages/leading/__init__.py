"""Pages of the leading archives: how they answer, and what is remembered of their answers."""
