"""Who asks, from where, and which role a route needs."""
