"""The directory as a server: URL, session, search, log-in."""
