"""Calls: questions that the process which speaks HTTP puts to a process that has the archive, itself or a worker."""
