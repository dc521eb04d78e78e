"""The embedded archive: index, storages, deletion."""
