"""Writing to the index: stores, and edits of patients and studies."""
