"""Pages of jobs: the list, one job with its progress, and the form that sends a study."""
