"""Several patients may have the same Patient ID and issuer."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_OLD = "uq_patient_patient_id_issuer_of_patient_id"
_NEW = "uq_patient_patient_id_issuer_of_patient_id_distinction"
_KEY = ["patient_id", "issuer_of_patient_id"]


def upgrade() -> None:
    with op.batch_alter_table("patient") as table:
        table.add_column(sa.Column("distinction", sa.Integer(), nullable=False, server_default="0"))
        table.drop_constraint(_OLD, type_="unique")
        table.create_unique_constraint(_NEW, [*_KEY, "distinction"])


def downgrade() -> None:
    with op.batch_alter_table("patient") as table:
        table.drop_constraint(_NEW, type_="unique")
        table.drop_column("distinction")
        table.create_unique_constraint(_OLD, _KEY)
