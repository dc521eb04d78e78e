"""Pages of the leading archives: how they answer, and which answers are remembered."""
