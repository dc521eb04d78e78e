"""Text in data sets: character sets, values."""
