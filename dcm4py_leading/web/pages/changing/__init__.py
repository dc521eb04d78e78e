"""Changes by form: input is read, compared with the directory, planned, saved."""
