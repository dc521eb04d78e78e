"""Gate of HTTP: identity, origin, and the role that a route needs."""
