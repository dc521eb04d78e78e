"""Edits of patients and studies in the index. Stored objects are not changed.

The new attributes replace all attributes of the attribute filter; missing ones are removed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydicom import Dataset
from pydicom.dataelem import DataElement
from sqlalchemy import Connection, Row, select
from sqlalchemy import update as update_row

from dcm4py_leading.archive.index.attributes import decode, encode, selected
from dcm4py_leading.archive.index.indexed_attributes import AttributeExtractor, IndexedEntity
from dcm4py_leading.archive.index.keys import ISSUER_OF_PATIENT_ID, PATIENT_ID, STUDY_INSTANCE_UID, column_values
from dcm4py_leading.archive.index.tables import TABLES, patient, study
from dcm4py_leading.archive.index.writing.entities import columns_of
from dcm4py_leading.coercion.changes import apply
from dcm4py_leading.coercion.original_attributes import ORIGINAL_ATTRIBUTES_SEQUENCE, original_attributes
from dcm4py_leading.coercion.update import is_empty
from dcm4py_leading.dataset.normal import first_text
from dcm4py_leading.dataset.text.charset import SPECIFIC_CHARACTER_SET
from dcm4py_leading.errors import EditRefused, Refusal
from dcm4py_leading.model.values import Level

_QUALIFIERS = "IssuerOfPatientIDQualifiersSequence"


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientIdentifier:
    """A Patient ID, with the known parts of its issuer (HL7 v2 CX)."""

    id: str
    namespace: str | None = None
    """Issuer of Patient ID; None: whichever."""
    universal_id: str | None = None
    """Universal Entity ID of the issuer; None: whichever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EditNote:
    """Entries of an edit for the Original Attributes Sequence (PS3.3 C.12.1.1.9)."""

    modifying_system: str
    source_of_previous_values: str
    reason: str
    now: datetime


def edit_patient(
    connection: Connection,
    identifiers: Sequence[PatientIdentifier],
    wanted: Dataset,
    keeper: AttributeExtractor,
    note: EditNote,
) -> frozenset[int]:
    """Replace the attributes of the patient with one of the IDs; return the changed tags. Raises EditRefused."""
    new_id = first_text(wanted, PATIENT_ID)
    if new_id is None:
        raise EditRefused(Refusal.WRONG, "there is no Patient ID (0010,0020) in the attributes")
    row = _patient(connection, identifiers)
    _require_free(connection, row, new_id, wanted)
    return _replace(connection, Level.PATIENT, row, wanted, keeper, note)


def edit_study(
    connection: Connection, study_instance_uid: str, wanted: Dataset, keeper: AttributeExtractor, note: EditNote
) -> frozenset[int]:
    """Replace the attributes of a study; return the changed tags. Raises EditRefused."""
    row = connection.execute(
        select(study.c.pk, study.c.attributes, patient.c.patient_id)
        .select_from(study.join(patient))
        .where(study.c.study_instance_uid == study_instance_uid)
        .with_for_update()
    ).one_or_none()
    if row is None:
        raise EditRefused(Refusal.UNKNOWN, "there is no such study")
    if first_text(wanted, STUDY_INSTANCE_UID) != study_instance_uid:
        raise EditRefused(Refusal.WRONG, "Study Instance UID (0020,000D) of the attributes is not that of the study")
    if first_text(wanted, PATIENT_ID) != row.patient_id:
        raise EditRefused(Refusal.WRONG, "Patient ID (0010,0020) of the attributes is not that of the study's patient")
    return _replace(connection, Level.STUDY, row, wanted, keeper, note)


def amend(
    connection: Connection,
    study_instance_uid: str,
    level: Level,
    changed: Dataset,
    is_as_shown: Callable[[Dataset], bool],
    keeper: AttributeExtractor,
    note: EditNote,
) -> frozenset[int]:
    """Replace the attributes in ``changed`` of a study, or of its patient; return the changed tags.

    An empty attribute is removed, all others stay. ``is_as_shown`` is True for current values that equal those shown to
    the user. Raises EditRefused.
    """
    table = TABLES[level]
    row = connection.execute(
        select(table.c.pk, table.c.attributes, patient.c.patient_id, patient.c.issuer_of_patient_id)
        .select_from(study.join(patient))
        .where(study.c.study_instance_uid == study_instance_uid)
        .with_for_update()
    ).one_or_none()
    if row is None:
        raise EditRefused(Refusal.UNKNOWN, "there is no such study")
    wanted = decode(row.attributes)
    if not is_as_shown(wanted):
        raise EditRefused(Refusal.CONFLICT, "somebody else has changed the same meanwhile")
    for element in changed:
        wanted.pop(element.tag, None)
        if not is_empty(element):
            wanted.add(element)
    new_id = first_text(wanted, PATIENT_ID)
    if level is Level.PATIENT and new_id is not None:
        _require_free(connection, row, new_id, wanted)
    elif level is Level.PATIENT and row.patient_id is not None:
        raise EditRefused(Refusal.WRONG, "a patient who has a Patient ID cannot lose it")
    return _replace(connection, level, row, wanted, keeper, note)


def _require_free(connection: Connection, row: Row[*tuple[object, ...]], patient_id: str, wanted: Dataset) -> None:
    """Raise EditRefused if another patient than ``row`` already has the Patient ID."""
    issuer = first_text(wanted, ISSUER_OF_PATIENT_ID) or ""
    if (patient_id, issuer) == (row.patient_id, row.issuer_of_patient_id):
        return
    taken = select(patient.c.pk).where(patient.c.patient_id == patient_id, patient.c.issuer_of_patient_id == issuer)
    if connection.execute(taken.where(patient.c.pk != row.pk)).first() is not None:
        raise EditRefused(Refusal.CONFLICT, "another patient has the new Patient ID; patients are not merged here")


def _patient(connection: Connection, identifiers: Sequence[PatientIdentifier]) -> Row[*tuple[object, ...]]:
    found: dict[int, Row[*tuple[object, ...]]] = {}
    for identifier in identifiers:
        rows = connection.execute(
            select(patient.c.pk, patient.c.attributes, patient.c.patient_id, patient.c.issuer_of_patient_id)
            .where(patient.c.patient_id == identifier.id)
            .with_for_update()
        ).all()
        found |= {row.pk: row for row in rows if _is_issued_by(row, identifier)}
    if not found:
        raise EditRefused(Refusal.UNKNOWN, "there is no such patient")
    if len(found) > 1:
        raise EditRefused(
            Refusal.CONFLICT, "several patients have this Patient ID: name its issuer, if they differ in it"
        )
    return next(iter(found.values()))


def _is_issued_by(row: Row[*tuple[object, ...]], identifier: PatientIdentifier) -> bool:
    if identifier.namespace is not None and row.issuer_of_patient_id != identifier.namespace:
        return False
    if identifier.universal_id is None:
        return True
    qualifiers = decode(row.attributes).get(_QUALIFIERS) or []
    return any(item.get("UniversalEntityID") == identifier.universal_id for item in qualifiers)


def _replace(
    connection: Connection,
    level: Level,
    row: Row[*tuple[object, ...]],
    wanted: Dataset,
    keeper: AttributeExtractor,
    note: EditNote,
) -> frozenset[int]:
    tags = keeper.tags[level] - {SPECIFIC_CHARACTER_SET}
    if ORIGINAL_ATTRIBUTES_SEQUENCE in tags:
        raise EditRefused(
            Refusal.CONFLICT,
            f"the dcmAttributeFilter of {level.value} has Original Attributes Sequence (04000561), by which the index "
            "knows what was edited",
        )
    old = decode(row.attributes)
    new = selected(wanted, tags)
    for tag in (SPECIFIC_CHARACTER_SET, ORIGINAL_ATTRIBUTES_SEQUENCE):
        if tag in old:
            new[tag] = old[tag]
    previous = {tag: _get(old, tag) for tag in sorted(tags) if not _are_alike(_get(old, tag), _get(new, tag))}
    if not previous:
        return frozenset()
    told = original_attributes(
        new,
        previous,
        modifying_system=note.modifying_system,
        source_of_previous_values=note.source_of_previous_values,
        now=note.now,
        reason=note.reason,
    )
    apply(new, [told] if told is not None else [])
    kept = IndexedEntity(encode(new), column_values(new, level))
    table = TABLES[level]
    connection.execute(
        update_row(table).where(table.c.pk == row.pk).values(attributes=kept.encoded, **columns_of(kept, level))
    )
    return frozenset(previous)


def _get(ds: Dataset, tag: int) -> DataElement | None:
    element: DataElement | None = ds.get(tag)
    return element


def _are_alike(one: DataElement | None, other: DataElement | None) -> bool:
    return one == other or (is_empty(one) and is_empty(other))
