"""The page that tries rules: on a stored study or a file, also a rule that is being edited."""
