"""Tables of the index: one for each level, with a column for each matching key (`keys`), and pending deletions."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Table, UniqueConstraint
from sqlalchemy.types import BigInteger

from dcm4py_leading.archive.index.keys import keys_of
from dcm4py_leading.model.values import Level

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

# SQLite numbers rows by itself only in an INTEGER PRIMARY KEY.
Id = BigInteger().with_variant(Integer(), "sqlite")


def _key_columns(level: Level, *required: str) -> list[Column[str]]:
    return [Column(name, String, nullable=name not in required) for key in keys_of(level) for name in key.columns]


patient = Table(
    "patient",
    metadata,
    Column("pk", Id, primary_key=True),
    *_key_columns(Level.PATIENT),
    Column("attributes", LargeBinary, nullable=False),
    # Counts the people who have the same ID; see `identity`.
    Column("distinction", Integer, nullable=False, server_default="0"),
    # A patient without an ID is a patient of its own for each study: NULLs are not equal. Where there is an ID, no
    # issuer is the empty text.
    UniqueConstraint("patient_id", "issuer_of_patient_id", "distinction"),
    # One for each component group: a name matches in any of them.
    Index(None, "patient_name"),
    Index(None, "patient_name_ideographic"),
    Index(None, "patient_name_phonetic"),
    Index(None, "patient_birth_date"),
)

study = Table(
    "study",
    metadata,
    Column("pk", Id, primary_key=True),
    Column("patient_fk", Id, ForeignKey("patient.pk"), nullable=False),
    *_key_columns(Level.STUDY, "study_instance_uid"),
    Column("attributes", LargeBinary, nullable=False),
    UniqueConstraint("study_instance_uid"),
    Index(None, "patient_fk"),
    Index(None, "study_date"),
    Index(None, "accession_number"),
)

series = Table(
    "series",
    metadata,
    Column("pk", Id, primary_key=True),
    Column("study_fk", Id, ForeignKey("study.pk"), nullable=False),
    *_key_columns(Level.SERIES, "series_instance_uid"),
    Column("sending_ae_title", String, nullable=False),
    Column("retrieve_ae_titles", String, nullable=False),
    Column("attributes", LargeBinary, nullable=False),
    UniqueConstraint("study_fk", "series_instance_uid"),
    Index(None, "series_instance_uid"),
    # All that a query at STUDY level takes from the series.
    Index(None, "study_fk", "modality", "retrieve_ae_titles"),
)

instance = Table(
    "instance",
    metadata,
    Column("pk", Id, primary_key=True),
    Column("series_fk", Id, ForeignKey("series.pk"), nullable=False),
    *_key_columns(Level.IMAGE, "sop_class_uid", "sop_instance_uid"),
    Column("transfer_syntax_uid", String, nullable=False),
    Column("storage_id", String, nullable=False),
    Column("storage_path", String, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("digest", String),
    Column("attributes", LargeBinary, nullable=False),
    UniqueConstraint("series_fk", "sop_instance_uid"),
    Index(None, "sop_instance_uid"),
    Index(None, "storage_id"),
)

deletion = Table(
    "deletion",
    metadata,
    Column("pk", Id, primary_key=True),
    Column("study_instance_uid", String, nullable=False),
)

deleted_file = Table(
    "deleted_file",
    metadata,
    Column("pk", Id, primary_key=True),
    Column("deletion_fk", Id, ForeignKey("deletion.pk"), nullable=False),
    Column("sop_instance_uid", String, nullable=False),
    Column("storage_id", String, nullable=False),
    Column("storage_path", String, nullable=False),
    # Tells the file from another one that gets its place before it is deleted.
    Column("version", String, nullable=False),
    Index(None, "deletion_fk"),
)

TABLES: Mapping[Level, Table] = {
    Level.PATIENT: patient,
    Level.STUDY: study,
    Level.SERIES: series,
    Level.IMAGE: instance,
}


def split_titles(text: str) -> list[str]:
    """The AE titles in a `retrieve_ae_titles` column."""
    return [title for title in text.split("\\") if title]
