"""Bringing one object into the index, inside of a transaction."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydicom import Dataset
from pydicom.dataset import FileDataset
from sqlalchemy import Connection, Row, delete, func, insert, select
from sqlalchemy import update as update_row

from dcm4py_leading.archive.attributes import decode, encode, selected
from dcm4py_leading.archive.duplicates import StoredObject, Verdict, judge, matters
from dcm4py_leading.archive.keys import (
    ALWAYS_KEPT,
    ENTITIES,
    LEVELS,
    SERIES_INSTANCE_UID,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    column_values,
    keys_of,
)
from dcm4py_leading.archive.normal import first_text
from dcm4py_leading.archive.storage import Location
from dcm4py_leading.archive.tables import TABLES, instance, patient, series, study
from dcm4py_leading.coercion.update import update
from dcm4py_leading.errors import ObjectMismatch
from dcm4py_leading.log import ref
from dcm4py_leading.model.archive import AttributeFilter, Entity, OverwritePolicy, RelationalMismatchPolicy
from dcm4py_leading.model.coercion import UpdatePolicy
from dcm4py_leading.model.values import Level

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOutcome:
    """What became of an object."""

    stored: bool
    """False: it was ignored, and its file is to be removed."""
    replaced_location: Location | None = None
    """The file of the object that it replaced: to be removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """The settings that decide about a store."""

    filters: Mapping[Entity, AttributeFilter]
    overwrite: OverwritePolicy
    relational_mismatch: RelationalMismatchPolicy

    def tags(self, level: Level) -> Collection[int]:
        """The attributes kept for a level: those of its dcmAttributeFilter, else its matching keys."""
        entity_filter = self.filters.get(ENTITIES[level])
        tags = [key.tag for key in keys_of(level)] if entity_filter is None else entity_filter.tags
        return {*map(int, tags), *ALWAYS_KEPT[level]}

    def update_policy(self, level: Level) -> UpdatePolicy:
        """How a further object updates the attributes of a level."""
        entity_filter = self.filters.get(ENTITIES[level])
        return UpdatePolicy.PRESERVE if entity_filter is None else entity_filter.attribute_update_policy


@dataclass(frozen=True, slots=True, kw_only=True)
class NewObject:
    """A received object as the index sees it."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    sending_ae_title: str
    retrieve_ae_titles: tuple[str, ...]
    location: Location
    attributes: Mapping[Level, Dataset]
    """Those that are kept, by level."""

    @property
    def patient_identity(self) -> tuple[str | None, str | None]:
        """Patient ID and its issuer: the empty text where only the issuer is absent."""
        return _identity(self.attributes[Level.PATIENT])


def new_object(
    header: FileDataset,
    location: Location,
    policies: Policies,
    *,
    sending_ae_title: str,
    retrieve_aets: Sequence[str],
) -> NewObject:
    """Take from a DICOM file what the index keeps. Raises ObjectMismatch when one of its UIDs is missing."""
    _required(header, SOP_CLASS_UID, "SOP Class UID")
    return NewObject(
        study_instance_uid=_required(header, STUDY_INSTANCE_UID, "Study Instance UID"),
        series_instance_uid=_required(header, SERIES_INSTANCE_UID, "Series Instance UID"),
        sop_instance_uid=_required(header, SOP_INSTANCE_UID, "SOP Instance UID"),
        transfer_syntax_uid=str(header.file_meta.TransferSyntaxUID),
        sending_ae_title=sending_ae_title,
        retrieve_ae_titles=tuple(dict.fromkeys(retrieve_aets)),
        location=location,
        attributes={level: selected(header, policies.tags(level)) for level in LEVELS},
    )


def store(connection: Connection, new: NewObject, policies: Policies) -> StoreOutcome:
    """Decide about a duplicate, write what is to be written. Raises ObjectRefused."""
    replaced = _duplicate(connection, new, policies)
    if replaced is not None:
        same_series = _is_same_series(replaced, new)
        verdict = judge(
            replaced,
            digest=new.location.digest,
            sending_ae_title=new.sending_ae_title,
            same_series=same_series,
            overwrite=policies.overwrite,
            mismatch=policies.relational_mismatch,
        )
        if verdict is Verdict.IGNORE:
            return StoreOutcome(stored=False)
        connection.execute(delete(instance).where(instance.c.pk == replaced.pk))
    series_pk = _series(connection, new, policies)
    values = {
        "series_fk": series_pk,
        "transfer_syntax_uid": new.transfer_syntax_uid,
        "storage_id": new.location.storage_id,
        "storage_path": new.location.path,
        "size": new.location.size,
        "digest": new.location.digest,
    }
    _insert(connection, Level.IMAGE, new.attributes[Level.IMAGE], **values)
    if replaced is None:
        return StoreOutcome(stored=True)
    if replaced.series_pk != series_pk:
        _remove_if_empty(connection, replaced.series_pk)
    # dcmOnStoragePathAlreadyExists NOOP: the new object may have the file of the old one.
    same_file = (replaced.location.storage_id, replaced.location.path) == (new.location.storage_id, new.location.path)
    return StoreOutcome(stored=True, replaced_location=None if same_file else replaced.location)


def _duplicate(connection: Connection, new: NewObject, policies: Policies) -> StoredObject | None:
    rows = connection.execute(
        select(
            instance.c.pk,
            instance.c.series_fk,
            study.c.study_instance_uid,
            series.c.series_instance_uid,
            series.c.sending_ae_title,
            instance.c.storage_id,
            instance.c.storage_path,
            instance.c.size,
            instance.c.digest,
        )
        .join_from(instance, series)
        .join(study)
        .where(instance.c.sop_instance_uid == new.sop_instance_uid)
        .order_by(instance.c.pk)
        .with_for_update(of=instance)
    )
    stored = [
        StoredObject(
            pk=row.pk,
            series_pk=row.series_fk,
            study_instance_uid=row.study_instance_uid,
            series_instance_uid=row.series_instance_uid,
            sending_ae_title=row.sending_ae_title,
            location=location_of(row),
        )
        for row in rows
    ]
    stored.sort(key=lambda other: not _is_same_series(other, new))
    for other in stored:
        if matters(policies.overwrite, policies.relational_mismatch, same_series=_is_same_series(other, new)):
            return other
    return None


def location_of(row: Row[*tuple[Any, ...]]) -> Location:
    """The location in a row of instances."""
    return Location(storage_id=row.storage_id, path=row.storage_path, size=row.size, digest=row.digest)


def _is_same_series(stored: StoredObject, new: NewObject) -> bool:
    return (stored.study_instance_uid, stored.series_instance_uid) == (
        new.study_instance_uid,
        new.series_instance_uid,
    )


def _series(connection: Connection, new: NewObject, policies: Policies) -> int:
    """The series of the object, with those above it: found and updated, or made."""
    study_pk = _study(connection, new, policies)
    row = connection.execute(
        select(series.c.pk, series.c.attributes, series.c.retrieve_ae_titles)
        .where(series.c.study_fk == study_pk, series.c.series_instance_uid == new.series_instance_uid)
        .with_for_update()
    ).one_or_none()
    if row is None:
        return _insert(
            connection,
            Level.SERIES,
            new.attributes[Level.SERIES],
            study_fk=study_pk,
            sending_ae_title=new.sending_ae_title,
            retrieve_ae_titles="\\".join(new.retrieve_ae_titles),
        )
    titles = "\\".join(dict.fromkeys([*split_titles(row.retrieve_ae_titles), *new.retrieve_ae_titles]))
    if titles != row.retrieve_ae_titles:
        connection.execute(update_row(series).where(series.c.pk == row.pk).values(retrieve_ae_titles=titles))
    _update(connection, Level.SERIES, row.pk, row.attributes, new, policies)
    pk: int = row.pk
    return pk


def split_titles(text: str) -> list[str]:
    """The AE titles of a column."""
    return [title for title in text.split("\\") if title]


def _study(connection: Connection, new: NewObject, policies: Policies) -> int:
    row = connection.execute(
        select(study.c.pk, study.c.attributes, study.c.patient_fk)
        .where(study.c.study_instance_uid == new.study_instance_uid)
        .with_for_update()
    ).one_or_none()
    if row is None:
        patient_pk = _patient(connection, new, policies)
        return _insert(connection, Level.STUDY, new.attributes[Level.STUDY], patient_fk=patient_pk)
    _update(connection, Level.STUDY, row.pk, row.attributes, new, policies)
    owner = connection.execute(
        select(patient.c.pk, patient.c.attributes, patient.c.patient_id, patient.c.issuer_of_patient_id)
        .where(patient.c.pk == row.patient_fk)
        .with_for_update()
    ).one()
    if (owner.patient_id, owner.issuer_of_patient_id) == new.patient_identity:
        _update(connection, Level.PATIENT, owner.pk, owner.attributes, new, policies)
    else:
        # A study has one patient. To let the object rename that one would change all the patient's studies.
        LOG.warning("an object of study %s names another patient than its study has", ref(new.study_instance_uid))
    pk: int = row.pk
    return pk


def _patient(connection: Connection, new: NewObject, policies: Policies) -> int:
    patient_id, issuer = new.patient_identity
    if patient_id is not None:
        row = connection.execute(
            select(patient.c.pk, patient.c.attributes)
            .where(patient.c.patient_id == patient_id, patient.c.issuer_of_patient_id == issuer)
            .with_for_update()
        ).one_or_none()
        if row is not None:
            _update(connection, Level.PATIENT, row.pk, row.attributes, new, policies)
            pk: int = row.pk
            return pk
    return _insert(connection, Level.PATIENT, new.attributes[Level.PATIENT])


def _insert(connection: Connection, level: Level, ds: Dataset, **values: object) -> int:
    table = TABLES[level]
    result = connection.execute(insert(table).values(attributes=encode(ds), **_columns(ds, level), **values))
    key = result.inserted_primary_key
    assert key is not None
    pk: int = key[0]
    return pk


def _update(
    connection: Connection, level: Level, pk: int, attributes: bytes, new: NewObject, policies: Policies
) -> None:
    """Update the attributes of an entity with those of a further object, by the policy of its filter."""
    ds = decode(attributes)
    if update(ds, new.attributes[level], policies.update_policy(level), only=policies.tags(level)):
        table = TABLES[level]
        connection.execute(
            update_row(table).where(table.c.pk == pk).values(attributes=encode(ds), **_columns(ds, level))
        )


def _columns(ds: Dataset, level: Level) -> dict[str, str | None]:
    values = column_values(ds, level)
    if level is Level.PATIENT:
        values["patient_id"], values["issuer_of_patient_id"] = _identity(ds)
    return values


def _identity(ds: Dataset) -> tuple[str | None, str | None]:
    values = column_values(ds, Level.PATIENT)
    patient_id, issuer = values["patient_id"], values["issuer_of_patient_id"]
    return patient_id, (issuer or "" if patient_id is not None else issuer)


def _remove_if_empty(connection: Connection, series_pk: int) -> None:
    """Remove a series that has lost its last instance, and what that leaves empty above."""
    pk = series_pk
    for lower, upper in ((instance, series), (series, study), (study, patient)):
        foreign_key = lower.c[f"{upper.name}_fk"]
        if connection.scalar(select(func.count()).select_from(lower).where(foreign_key == pk)):
            return
        owner = None
        if upper is not patient:
            owner = connection.scalar(select(upper.c[_OWNER[upper.name]]).where(upper.c.pk == pk))
        connection.execute(delete(upper).where(upper.c.pk == pk))
        if owner is None:
            return
        pk = owner


_OWNER = {"series": "study_fk", "study": "patient_fk"}


def _required(header: Dataset, tag: int, name: str) -> str:
    value = first_text(header, tag)
    if value is None:
        raise ObjectMismatch(f"the data set has no {name}")
    return value
