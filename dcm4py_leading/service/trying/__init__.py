"""Trying rules: on stored studies and dropped files, also rules that are not saved yet."""
