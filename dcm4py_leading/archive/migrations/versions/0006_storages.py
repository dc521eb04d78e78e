"""In which storages there are objects is read from an index, without the instances."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_NAME = "ix_instance_storage_id"


def upgrade() -> None:
    op.create_index(_NAME, "instance", ["storage_id"])


def downgrade() -> None:
    op.drop_index(_NAME, "instance")
