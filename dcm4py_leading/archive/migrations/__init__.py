"""The Alembic environment of the index; `dcm4py_leading.archive.database` runs it when the index opens."""
