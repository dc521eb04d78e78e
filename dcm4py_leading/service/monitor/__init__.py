"""What is under way: associations, listeners, echoes."""
