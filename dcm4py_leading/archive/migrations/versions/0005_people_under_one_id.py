"""Several people may have the same Patient ID and issuer."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_OLD = "uq_patient_patient_id_issuer_of_patient_id"
_NEW = "uq_patient_patient_id_issuer_of_patient_id_distinction"
_KEY = ["patient_id", "issuer_of_patient_id"]
_NAMES = ("patient_name", "patient_name_ideographic", "patient_name_phonetic")
_TEXTS = (*_NAMES, *_KEY, "patient_birth_date", "patient_birth_time", "patient_sex")


def upgrade() -> None:
    distinction = sa.Column("distinction", sa.Integer(), nullable=False, server_default="0")
    if op.get_bind().dialect.name == "sqlite":
        _made_anew([distinction], sa.UniqueConstraint(*_KEY, "distinction", name=_NEW))
        return
    op.add_column("patient", distinction)
    op.drop_constraint(_OLD, "patient", type_="unique")
    op.create_unique_constraint(_NEW, "patient", [*_KEY, "distinction"])


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _made_anew([], sa.UniqueConstraint(*_KEY, name=_OLD))
        return
    op.drop_constraint(_NEW, "patient", type_="unique")
    op.drop_column("patient", "distinction")
    op.create_unique_constraint(_OLD, "patient", _KEY)


def _made_anew(more: list[sa.Column[int]], constraint: sa.UniqueConstraint) -> None:
    """SQLite drops no constraint of a table, and renames none to which others refer."""
    columns = ", ".join(("pk", *_TEXTS, "attributes"))
    # Between the two, studies refer to no patient; that is checked at the end, when they do again.
    op.execute("PRAGMA defer_foreign_keys = ON")
    op.execute(f"CREATE TEMPORARY TABLE kept_patient AS SELECT {columns} FROM patient")
    op.drop_table("patient")
    op.create_table(
        "patient",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        *(sa.Column(name, sa.String()) for name in _TEXTS),
        sa.Column("attributes", sa.LargeBinary(), nullable=False),
        *more,
        sa.PrimaryKeyConstraint("pk", name="pk_patient"),
        constraint,
    )
    op.execute(f"INSERT INTO patient ({columns}) SELECT {columns} FROM kept_patient")
    op.execute("DROP TABLE kept_patient")
    for name in _NAMES:
        op.create_index(f"ix_patient_{name}", "patient", [name])
