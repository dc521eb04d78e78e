"""Several processes: supervisor, workers, and the messages between them."""
