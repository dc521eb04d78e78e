"""Drift: comparison of the archive with the leading archive. Changes nothing."""
