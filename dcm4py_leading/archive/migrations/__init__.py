"""The Alembic environment of the index; `dcm4py_leading.archive.index.database` runs it when the index opens."""
