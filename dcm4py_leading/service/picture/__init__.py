"""A picture of a study, decoded in a process of its own."""
