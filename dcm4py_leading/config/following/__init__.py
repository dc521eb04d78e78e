"""Following the directory: changes noticed, outages survived."""
