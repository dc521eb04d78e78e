"""Leading archives as an administrator sees them: how they answer, now and over the last hours."""
