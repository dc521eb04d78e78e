"""Patients, studies, series and instances."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "patient",
        sa.Column("pk", _ID, nullable=False),
        sa.Column("patient_name", sa.String()),
        sa.Column("patient_name_ideographic", sa.String()),
        sa.Column("patient_name_phonetic", sa.String()),
        sa.Column("patient_id", sa.String()),
        sa.Column("issuer_of_patient_id", sa.String()),
        sa.Column("patient_birth_date", sa.String()),
        sa.Column("patient_birth_time", sa.String()),
        sa.Column("patient_sex", sa.String()),
        sa.Column("attributes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("pk", name="pk_patient"),
        sa.UniqueConstraint("patient_id", "issuer_of_patient_id", name="uq_patient_patient_id_issuer_of_patient_id"),
    )
    op.create_table(
        "study",
        sa.Column("pk", _ID, nullable=False),
        sa.Column("patient_fk", _ID, nullable=False),
        sa.Column("study_instance_uid", sa.String(), nullable=False),
        sa.Column("study_date", sa.String()),
        sa.Column("study_time", sa.String()),
        sa.Column("accession_number", sa.String()),
        sa.Column("study_id", sa.String()),
        sa.Column("referring_physician_name", sa.String()),
        sa.Column("referring_physician_name_ideographic", sa.String()),
        sa.Column("referring_physician_name_phonetic", sa.String()),
        sa.Column("study_description", sa.String()),
        sa.Column("attributes", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["patient_fk"], ["patient.pk"], name="fk_study_patient_fk"),
        sa.PrimaryKeyConstraint("pk", name="pk_study"),
        sa.UniqueConstraint("study_instance_uid", name="uq_study_study_instance_uid"),
    )
    op.create_index("ix_study_accession_number", "study", ["accession_number"])
    op.create_index("ix_study_patient_fk", "study", ["patient_fk"])
    op.create_index("ix_study_study_date", "study", ["study_date"])
    op.create_table(
        "series",
        sa.Column("pk", _ID, nullable=False),
        sa.Column("study_fk", _ID, nullable=False),
        sa.Column("series_instance_uid", sa.String(), nullable=False),
        sa.Column("series_number", sa.String()),
        sa.Column("modality", sa.String()),
        sa.Column("series_description", sa.String()),
        sa.Column("body_part_examined", sa.String()),
        sa.Column("laterality", sa.String()),
        sa.Column("institution_name", sa.String()),
        sa.Column("station_name", sa.String()),
        sa.Column("performing_physician_name", sa.String()),
        sa.Column("performing_physician_name_ideographic", sa.String()),
        sa.Column("performing_physician_name_phonetic", sa.String()),
        sa.Column("performed_procedure_step_start_date", sa.String()),
        sa.Column("performed_procedure_step_start_time", sa.String()),
        sa.Column("sending_ae_title", sa.String(), nullable=False),
        sa.Column("retrieve_ae_titles", sa.String(), nullable=False),
        sa.Column("attributes", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["study_fk"], ["study.pk"], name="fk_series_study_fk"),
        sa.PrimaryKeyConstraint("pk", name="pk_series"),
        sa.UniqueConstraint("study_fk", "series_instance_uid", name="uq_series_study_fk_series_instance_uid"),
    )
    op.create_index("ix_series_series_instance_uid", "series", ["series_instance_uid"])
    op.create_table(
        "instance",
        sa.Column("pk", _ID, nullable=False),
        sa.Column("series_fk", _ID, nullable=False),
        sa.Column("sop_instance_uid", sa.String(), nullable=False),
        sa.Column("sop_class_uid", sa.String(), nullable=False),
        sa.Column("instance_number", sa.String()),
        sa.Column("content_date", sa.String()),
        sa.Column("content_time", sa.String()),
        sa.Column("transfer_syntax_uid", sa.String(), nullable=False),
        sa.Column("storage_id", sa.String(), nullable=False),
        sa.Column("storage_path", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String()),
        sa.Column("attributes", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["series_fk"], ["series.pk"], name="fk_instance_series_fk"),
        sa.PrimaryKeyConstraint("pk", name="pk_instance"),
        sa.UniqueConstraint("series_fk", "sop_instance_uid", name="uq_instance_series_fk_sop_instance_uid"),
    )
    op.create_index("ix_instance_sop_instance_uid", "instance", ["sop_instance_uid"])


def downgrade() -> None:
    for table in ("instance", "series", "study", "patient"):
        op.drop_table(table)
