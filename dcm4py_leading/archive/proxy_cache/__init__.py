"""Cache of studies of other archives (proxy-keep), kept as they passed through."""
