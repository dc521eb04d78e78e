"""Pages of studies: the search, and one study with its series and instances."""
