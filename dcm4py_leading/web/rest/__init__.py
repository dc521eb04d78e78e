"""Services at the paths of dcm4chee, and our own beside them: each an operation."""
