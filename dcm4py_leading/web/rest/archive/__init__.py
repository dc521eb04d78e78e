"""Services about patients and studies."""
