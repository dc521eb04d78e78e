"""Queries of the index: from an identifier to conditions, SQL and matches."""
