"""Reading of studies from an index, with or without a running service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset
from pydicom.config import disable_value_validation
from pydicom.multival import MultiValue

from dcm4py_leading.archive.data_directory import has_index, open_index
from dcm4py_leading.archive.index.attributes import decode
from dcm4py_leading.archive.index.index import Index, IndexedInstance
from dcm4py_leading.archive.index.querying.match import Match
from dcm4py_leading.archive.index.querying.query import Query, RetrieveKeys, parse_query
from dcm4py_leading.cli.command import PROBLEMS, fail
from dcm4py_leading.coercion.original_attributes import ORIGINAL_ATTRIBUTES_SEQUENCE
from dcm4py_leading.model.values import InformationModel, Level

_COMPUTED = ("ModalitiesInStudy", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances")


@contextmanager
def opened(data_dir: Path) -> Iterator[Index]:
    """The index of a data directory; ends the program where there is none. Raises IndexUnavailable, OSError."""
    if not has_index(data_dir):
        fail(f"{data_dir}: there is no index: say by --data-dir where that of the service is", PROBLEMS)
    index = open_index(data_dir, may_upgrade=False)
    try:
        yield index
    finally:
        index.close()


def query(keys: Mapping[str, str]) -> Query:
    """Query for studies by attributes, as a C-FIND matches them. Raises IdentifierMismatch."""
    identifier = Dataset()
    with disable_value_validation():  # wild cards and ranges are no values
        identifier.QueryRetrieveLevel = "STUDY"
        for keyword in _COMPUTED:
            setattr(identifier, keyword, None)
        for keyword, value in keys.items():
            setattr(identifier, keyword, value)
        return parse_query(identifier, InformationModel.STUDY_ROOT, relational=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Series of a study, with the sum over its objects."""

    series_instance_uid: str
    modality: str
    description: str
    objects: int
    size: int
    """In bytes."""
    storage_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LastEdit:
    """The last item of the Original Attributes Sequence (0400,0561) of a patient or a study."""

    level: Level
    at: str
    """Attribute Modification DateTime (0400,0562)."""
    system: str
    reason: str
    attributes: tuple[str, ...]
    """Keywords of what was changed."""


def study(index: Index, study_instance_uid: str) -> Match | None:
    """A study, with all that the index keeps of it; None for wild cards, too. Raises IndexUnavailable."""
    found = next(iter(index.matches(query({"StudyInstanceUID": study_instance_uid}))), None)
    is_it = found is not None and found.attributes.get("StudyInstanceUID") == study_instance_uid
    return found if is_it else None


def series_of(index: Index, study_instance_uid: str) -> list[Series]:
    """The series of a study. Raises IndexUnavailable."""
    found: dict[str, list[IndexedInstance]] = {}
    keys = RetrieveKeys(level=Level.STUDY, study_instance_uids=(study_instance_uid,))
    for instance in index.instances(keys):
        found.setdefault(instance.series_instance_uid, []).append(instance)
    return [_series(uid, instances) for uid, instances in found.items()]


def _series(uid: str, instances: list[IndexedInstance]) -> Series:
    attributes = decode(instances[0].encoded_attributes[2])
    return Series(
        series_instance_uid=uid,
        modality=text(attributes, "Modality"),
        description=text(attributes, "SeriesDescription"),
        objects=len(instances),
        size=sum(instance.location.size for instance in instances),
        storage_ids=tuple(sorted({instance.location.storage_id for instance in instances})),
    )


def last_edits(found: Match) -> list[LastEdit]:
    """The last edit of the patient, and that of the study, where there was one."""
    edits = []
    for level, encoded in zip((Level.PATIENT, Level.STUDY), found.encoded_attributes, strict=True):
        items = decode(encoded).get(ORIGINAL_ATTRIBUTES_SEQUENCE)
        if items is not None and len(items.value):
            edits.append(_edit(level, items.value[-1]))
    return edits


def _edit(level: Level, item: Dataset) -> LastEdit:
    changed = [element for previous in item.get("ModifiedAttributesSequence") or () for element in previous]
    return LastEdit(
        level=level,
        at=text(item, "AttributeModificationDateTime"),
        system=text(item, "ModifyingSystem"),
        reason=text(item, "ReasonForTheAttributeModification"),
        attributes=tuple(element.keyword or str(element.tag) for element in changed),
    )


def text(ds: Dataset, keyword: str) -> str:
    """Value of an attribute; several values are separated by backslashes."""
    value = ds.get(keyword)
    if value is None:
        return ""
    return "\\".join(map(str, value)) if isinstance(value, MultiValue | list) else str(value)
