"""Edits of patients and studies."""
