"""Stored objects are sent because an administrator wants it."""
