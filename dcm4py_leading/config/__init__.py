"""The configuration: from directory entries to the model, and its checks."""
