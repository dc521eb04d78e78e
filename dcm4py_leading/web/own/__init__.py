"""Services of our own that are no REST: health, metrics, caches."""
