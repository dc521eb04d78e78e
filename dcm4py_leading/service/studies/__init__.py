"""Studies, as an administrator looks for them and at them: the archive's own values, uncoerced."""
