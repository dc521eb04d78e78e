"""HTTP: pages, REST, metrics, and what stands before each of them."""
