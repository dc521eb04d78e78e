"""Modalities in Study and Retrieve AE Title of a study are read from an index, without its series."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_NAME = "ix_series_study_fk_modality_retrieve_ae_titles"


def upgrade() -> None:
    op.create_index(_NAME, "series", ["study_fk", "modality", "retrieve_ae_titles"])


def downgrade() -> None:
    op.drop_index(_NAME, "series")
