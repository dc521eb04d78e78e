"""Pages of jobs: all of them, one with its progress, and the form that begins to send a study."""
