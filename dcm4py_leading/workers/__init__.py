"""Several processes: supervisor, workers, what passes between them."""
