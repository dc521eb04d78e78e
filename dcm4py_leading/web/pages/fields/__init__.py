"""Editable fields of an entry, by task: checked, put into words, explained."""
