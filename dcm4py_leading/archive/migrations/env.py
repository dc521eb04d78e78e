"""Run by Alembic. The connection, and the transaction, are the caller's."""

from alembic import context

from dcm4py_leading.archive.index.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
