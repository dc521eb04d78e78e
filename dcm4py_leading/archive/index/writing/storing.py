"""Storing of one object in the index, within a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, insert, select

from dcm4py_leading.archive.index.indexed_attributes import AttributeExtractor, IndexedEntity, Levels
from dcm4py_leading.archive.index.tables import instance, series, study
from dcm4py_leading.archive.index.writing.duplicates import StoredObject, Verdict, judge, matters
from dcm4py_leading.archive.index.writing.entities import OwningEntities, RecentSeries, remove_if_empty
from dcm4py_leading.archive.index.writing.prepared_statements import Prepared
from dcm4py_leading.archive.storage.storage import Location
from dcm4py_leading.errors import ObjectMismatch
from dcm4py_leading.model.archive import OverwritePolicy, RelationalMismatchPolicy
from dcm4py_leading.model.values import Level


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOutcome:
    """Outcome of storing an object."""

    stored: bool
    """False: it was ignored, and its file is to be removed."""
    replaced_location: Location | None = None
    """The file of the object that it replaced: to be removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """The settings that decide about a store."""

    keeper: AttributeExtractor
    overwrite: OverwritePolicy
    relational_mismatch: RelationalMismatchPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class NewObject(OwningEntities):
    """A received object as the index sees it."""

    sop_instance_uid: str
    transfer_syntax_uid: str
    location: Location


def new_object(
    levels: Levels,
    location: Location,
    *,
    transfer_syntax_uid: str,
    sending_ae_title: str,
    retrieve_aets: Sequence[str],
) -> NewObject:
    """Object to store. Raises ObjectMismatch if one of its UIDs is missing."""
    _required(levels[Level.IMAGE], "sop_class_uid", "SOP Class UID")
    return NewObject(
        study_instance_uid=_required(levels[Level.STUDY], "study_instance_uid", "Study Instance UID"),
        series_instance_uid=_required(levels[Level.SERIES], "series_instance_uid", "Series Instance UID"),
        sop_instance_uid=_required(levels[Level.IMAGE], "sop_instance_uid", "SOP Instance UID"),
        transfer_syntax_uid=transfer_syntax_uid,
        sending_ae_title=sending_ae_title,
        retrieve_ae_titles="\\".join(dict.fromkeys(retrieve_aets)),
        location=location,
        levels=levels,
    )


def _required(kept: IndexedEntity, column: str, name: str) -> str:
    value = kept.columns[column]
    if value is None:
        raise ObjectMismatch(f"the data set has no {name}")
    return value


def store(connection: Connection, new: NewObject, policies: Policies, known: RecentSeries) -> StoreOutcome:
    """Decide about a duplicate, and write the entry. Raises ObjectRefused."""
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
    series_pk = known.series_of(connection, new, policies.keeper)
    _INSERT_INSTANCE.rows(
        connection,
        {
            **new.levels[Level.IMAGE].columns,
            "attributes": new.levels[Level.IMAGE].encoded,
            "series_fk": series_pk,
            "transfer_syntax_uid": new.transfer_syntax_uid,
            "storage_id": new.location.storage_id,
            "storage_path": new.location.path,
            "size": new.location.size,
            "digest": new.location.digest,
        },
    )
    if replaced is None:
        return StoreOutcome(stored=True)
    if replaced.series_pk != series_pk:
        remove_if_empty(connection, replaced.series_pk)
    # dcmOnStoragePathAlreadyExists NOOP: the new object may have the file of the old one.
    same_file = (replaced.location.storage_id, replaced.location.path) == (new.location.storage_id, new.location.path)
    return StoreOutcome(stored=True, replaced_location=None if same_file else replaced.location)


def _duplicate(connection: Connection, new: NewObject, policies: Policies) -> StoredObject | None:
    stored = [
        StoredObject(
            pk=pk,
            series_pk=series_pk,
            study_instance_uid=study_uid,
            series_instance_uid=series_uid,
            sending_ae_title=sender,
            location=Location(storage_id=storage_id, path=path, size=size, digest=digest),
        )
        for pk, series_pk, study_uid, series_uid, sender, storage_id, path, size, digest in _DUPLICATES.rows(
            connection, {"sop_instance_uid": new.sop_instance_uid}
        )
    ]
    stored.sort(key=lambda other: not _is_same_series(other, new))
    for other in stored:
        if matters(policies.overwrite, policies.relational_mismatch, same_series=_is_same_series(other, new)):
            return other
    return None


def is_stored(connection: Connection, sop_instance_uid: str, storage_id: str, path: str) -> bool:
    """True if an instance has its entry, at that place."""
    others = _DUPLICATES.rows(connection, {"sop_instance_uid": sop_instance_uid})
    return any(tuple(row[5:7]) == (storage_id, path) for row in others)


def _is_same_series(stored: StoredObject, new: NewObject) -> bool:
    return (stored.study_instance_uid, stored.series_instance_uid) == (
        new.study_instance_uid,
        new.series_instance_uid,
    )


_DUPLICATES = Prepared(
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
    .where(instance.c.sop_instance_uid == bindparam("sop_instance_uid"))
    .order_by(instance.c.pk)
    .with_for_update(of=instance)
)
_INSERT_INSTANCE = Prepared(
    insert(instance).inline(), columns=[column.name for column in instance.columns if column.name != "pk"]
)
