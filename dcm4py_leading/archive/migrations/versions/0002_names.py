"""Patients are found by the beginning of their name."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_COLUMNS = ("patient_name", "patient_name_ideographic", "patient_name_phonetic")


def upgrade() -> None:
    for column in _COLUMNS:
        op.create_index(f"ix_patient_{column}", "patient", [column])


def downgrade() -> None:
    for column in _COLUMNS:
        op.drop_index(f"ix_patient_{column}", "patient")
