"""From what somebody typed to a change of the directory: read, compared with what stands there, planned, saved."""
