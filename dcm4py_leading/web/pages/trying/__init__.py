"""Page that tries rules on a stored study or a file, a rule under edit included."""
