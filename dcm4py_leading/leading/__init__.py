"""Leading archives: queries, cached answers, and checks of the answers."""
