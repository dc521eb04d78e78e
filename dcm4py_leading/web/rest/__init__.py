"""REST services: dcm4chee's paths, and our own beside them; each is an operation."""
