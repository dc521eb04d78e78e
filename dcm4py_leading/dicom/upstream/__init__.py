"""Upstream archives, behind an AE of ours: queried, retrieved from, stored to by DIMSE."""
