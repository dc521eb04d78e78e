"""Test if two data sets are about the same person, beyond Patient ID and issuer.

Sooner or later, two people get the same Patient ID, by a typing error or by another system. Two objects are about
different people if both have a name, birth date or sex, and the values differ.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from pydicom import Dataset

from dcm4py_leading.archive.index.keys import ISSUER_OF_PATIENT_ID, PATIENT_ID
from dcm4py_leading.dataset.normal import first_text, normal_date, normal_name
from dcm4py_leading.model.coercion import UpdatePolicy

PATIENT_NAME, PATIENT_BIRTH_DATE, PATIENT_SEX = 0x00100010, 0x00100030, 0x00100040
_ISSUER_QUALIFIERS, _UNIVERSAL_ENTITY_ID = 0x00100024, 0x00400032
IDENTIFYING = frozenset(
    {PATIENT_ID, ISSUER_OF_PATIENT_ID, _ISSUER_QUALIFIERS, PATIENT_NAME, PATIENT_BIRTH_DATE, PATIENT_SEX}
)
"""Attributes by which `are_different_patients` tells people apart, where it is not by all."""
_LATEST_COUNTS = (UpdatePolicy.MERGE, UpdatePolicy.OVERWRITE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identification:
    """Attributes that identify a patient in addition to Patient ID and issuer."""

    by_id_and_name: bool = False
    """dcmIdentifyPatientByIDAndName: the name must be the same, whatever may be corrected otherwise."""
    by_all_attributes: bool = False
    """dcmIdentifyPatientByAllAttributes: of an ID without issuer, all attributes that the index keeps of a patient."""


BY_ID = Identification()


def are_different_patients(
    kept: Dataset,
    own: Dataset,
    *,
    policy: UpdatePolicy,
    all_of: Collection[int] = (),
) -> bool:
    """True if the patient attributes of the index and of an object contradict each other.

    Under a ``policy`` that takes the latest value (MERGE, OVERWRITE), a different name or sex with the same birth date
    is a correction. If the ID has no issuer, ``all_of`` these attributes must be equal.
    """
    if _contradict(first_text(kept, PATIENT_ID), first_text(own, PATIENT_ID)):
        return True
    if _contradict(first_text(kept, ISSUER_OF_PATIENT_ID), first_text(own, ISSUER_OF_PATIENT_ID)):
        return True
    if _contradict(_universal_entity_id(kept), _universal_entity_id(own)):
        return True
    if all_of and not _has_issuer(own) and any(kept.get(tag) != own.get(tag) for tag in all_of):
        return True
    births = _birth_date(kept), _birth_date(own)
    differ = [
        _names_contradict(name_of(kept), name_of(own)),
        _contradict(_sex(kept), _sex(own)),
        _contradict(*births),
    ]
    is_correction = policy in _LATEST_COUNTS and births[0] is not None and births[0] == births[1] and sum(differ) == 1
    return any(differ) and not is_correction


class DistinctPatients:
    """Removes duplicate patients from the answers of several archives; two people with one ID count as two."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str | None], list[Dataset]] = {}

    def is_new(self, patient: Dataset) -> bool:
        """True for the first answer about a patient; always True without a Patient ID."""
        patient_id = first_text(patient, PATIENT_ID)
        if patient_id is None:
            return True
        told = self._told.setdefault((patient_id, first_text(patient, ISSUER_OF_PATIENT_ID)), [])
        if not all(are_different_patients(other, patient, policy=UpdatePolicy.PRESERVE) for other in told):
            return False
        told.append(patient)
        return True


def likeness(kept: Dataset, own: Dataset) -> int:
    """Count of those of name, birth date and sex that are present and equal."""
    pairs = ((name_of(kept), name_of(own)), (_birth_date(kept), _birth_date(own)), (_sex(kept), _sex(own)))
    return sum(one == other for one, other in pairs) if any(name_of(kept)) and any(name_of(own)) else 0


def name_of(ds: Dataset) -> tuple[str, str, str]:
    """Patient Name as it is compared; see `normal_name`."""
    return normal_name(first_text(ds, PATIENT_NAME) or "")


def _birth_date(ds: Dataset) -> str | None:
    return normal_date(first_text(ds, PATIENT_BIRTH_DATE) or "")


def _sex(ds: Dataset) -> str | None:
    return (first_text(ds, PATIENT_SEX) or "").upper() or None


def _names_contradict(one: tuple[str, str, str], other: tuple[str, str, str]) -> bool:
    """True if the names differ in a component that both have; a middle name may be missing."""
    return any(
        _contradict(mine, theirs)
        for group, others in zip(one, other, strict=True)
        for mine, theirs in zip(group.split("^"), others.split("^"), strict=False)
    )


def _contradict(one: str | None, other: str | None) -> bool:
    return bool(one and other and one != other)


def _universal_entity_id(ds: Dataset) -> str | None:
    element = ds.get(_ISSUER_QUALIFIERS)
    items = element.value if element is not None and element.VR == "SQ" else None
    return first_text(items[0], _UNIVERSAL_ENTITY_ID) if items else None


def _has_issuer(ds: Dataset) -> bool:
    return bool(first_text(ds, ISSUER_OF_PATIENT_ID) or _universal_entity_id(ds))
