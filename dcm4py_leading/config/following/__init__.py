"""Following the directory: changes are noticed, outages survived."""
