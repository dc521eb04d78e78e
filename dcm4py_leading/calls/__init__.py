"""Calls: requests of the process that serves HTTP to a process that has the archive, be it itself or a worker."""
