"""Deletions under way: which studies, and which of their files are still there."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "deletion",
        sa.Column("pk", _ID, nullable=False),
        sa.Column("study_instance_uid", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("pk", name="pk_deletion"),
    )
    op.create_table(
        "deleted_file",
        sa.Column("pk", _ID, nullable=False),
        sa.Column("deletion_fk", _ID, nullable=False),
        sa.Column("sop_instance_uid", sa.String(), nullable=False),
        sa.Column("storage_id", sa.String(), nullable=False),
        sa.Column("storage_path", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("pk", name="pk_deleted_file"),
        sa.ForeignKeyConstraint(["deletion_fk"], ["deletion.pk"], name="fk_deleted_file_deletion_fk_deletion"),
    )
    op.create_index("ix_deleted_file_deletion_fk", "deleted_file", ["deletion_fk"])


def downgrade() -> None:
    op.drop_table("deleted_file")
    op.drop_table("deletion")
