"""Names are folded character by character, and text is compared as it is decoded now.

What UIDs, patients and dates are found by does not change. Only rows with text beyond ASCII are looked at closely.
"""

import sqlalchemy as sa
from alembic import op

from dcm4py_leading.archive.index.attributes import decode
from dcm4py_leading.archive.index.keys import ISSUER_OF_PATIENT_ID, PATIENT_ID, Comparison, compared_values, keys_of
from dcm4py_leading.dataset.text.unreadable import UNREADABLE
from dcm4py_leading.model.values import Level

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_PAGE = 1000
_IDENTITY = (PATIENT_ID, ISSUER_OF_PATIENT_ID)


def upgrade() -> None:
    for level, name in ((Level.PATIENT, "patient"), (Level.STUDY, "study"), (Level.SERIES, "series")):
        keys = [
            key
            for key in keys_of(level)
            if key.comparison in (Comparison.NAME, Comparison.TEXT) and key.tag not in _IDENTITY
        ]
        columns = [column for key in keys for column in key.columns]
        table = sa.table(name, *map(sa.column, ("pk", "attributes", *columns)))
        page = sa.select(table).where(table.c.pk > sa.bindparam("last")).order_by(table.c.pk).limit(_PAGE)
        connection, last = op.get_bind(), -1
        while rows := connection.execute(page, {"last": last}).mappings().all():
            last = rows[-1]["pk"]
            for row in rows:
                if row["attributes"].isascii() and b"\x1b" not in row["attributes"]:
                    continue
                try:
                    ds = decode(row["attributes"])
                except UNREADABLE:
                    continue  # a query leaves it out, too
                values = {
                    column: value
                    for key in keys
                    for column, value in zip(key.columns, compared_values(ds, key), strict=True)
                }
                if any(row[column] != value for column, value in values.items()):
                    connection.execute(sa.update(table).where(table.c.pk == row["pk"]).values(values))


def downgrade() -> None:
    """Nothing: the columns are the same, and an older version stores new rows in its own way."""
