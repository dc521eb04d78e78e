"""``dcm4py-leading studies``: list, show, delete, import."""
