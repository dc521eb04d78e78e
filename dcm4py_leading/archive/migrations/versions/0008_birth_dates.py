"""Patients are found by their birth date."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_patient_patient_birth_date", "patient", ["patient_birth_date"])


def downgrade() -> None:
    op.drop_index("ix_patient_patient_birth_date", "patient")
