"""Identity of an encoded object: its SOP class, instance and study, as far as they can be told for certain.

For certain is: the object is there to its last byte, and each of these elements stands in it with one value, wherever.
An object that was cut, that is in another transfer syntax than it says, or that names two studies, has none.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache

from dcm4py_leading.dataset.integrity import values_of_whole
from dcm4py_leading.dataset.layout import Layouts
from dcm4py_leading.dataset.object_bytes import MemoryBytes, ObjectBytes
from dcm4py_leading.dataset.scan import Buffer, Unscannable, encoding_of, scan
from dcm4py_leading.errors import ObjectMismatch

_SOP_CLASS_UID, _SOP_INSTANCE_UID = 0x00080016, 0x00080018
_PATIENT_ID, _STUDY_INSTANCE_UID, _SERIES_INSTANCE_UID = 0x00100020, 0x0020000D, 0x0020000E
_NAMES = {
    _SOP_CLASS_UID: "SOPClassUID",
    _SOP_INSTANCE_UID: "SOPInstanceUID",
    _PATIENT_ID: "PatientID",
    _STUDY_INSTANCE_UID: "StudyInstanceUID",
    _SERIES_INSTANCE_UID: "SeriesInstanceUID",
}
_PIXELS = 0x7FE00001
_ITEM = 0xFFFEE000
_PADDING = b"\0 "
_UID = re.compile(rb"[!-\[\]-~]+")
_layouts = Layouts()


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Identity of an object, as it says itself."""

    sop_class_uid: str
    sop_instance_uid: str
    patient_id: str
    study_instance_uid: str
    series_instance_uid: str
    """Empty where it has none, as Patient ID may be."""
    is_in_order: bool
    """True if its tags ascend up to its end: so each element stands in it once, and it can be cut out by its tag."""


def identity_of(data: Buffer, transfer_syntax_uid: str) -> Identity:
    """The identity of the object whose data set is ``data``.

    Raises InvalidObject where it is not whole, ObjectMismatch where one of its UIDs is missing or not certain.
    """
    return identity_of_object(MemoryBytes(data), transfer_syntax_uid)


def identity_of_object(source: ObjectBytes, transfer_syntax_uid: str) -> Identity:
    """As `identity_of`, of an object wherever it lies. Raises StorageUnavailable, too."""
    values = _values_in_order(source, transfer_syntax_uid)
    is_in_order = values is not None
    if values is None:
        values = values_of_whole(memoryview(source.all())[source.start :], transfer_syntax_uid, _NAMES)
    of = {tag: _one_of(tag, tuple(values.get(tag, ()))) for tag in _NAMES}
    return Identity(
        sop_class_uid=of[_SOP_CLASS_UID],
        sop_instance_uid=of[_SOP_INSTANCE_UID],
        patient_id=of[_PATIENT_ID],
        study_instance_uid=of[_STUDY_INSTANCE_UID],
        series_instance_uid=of[_SERIES_INSTANCE_UID],
        is_in_order=is_in_order,
    )


def _values_in_order(source: ObjectBytes, transfer_syntax_uid: str) -> Mapping[int, Collection[bytes]] | None:
    """The values where the tags ascend up to the end; None where they do not, or that cannot be told."""
    encoding = encoding_of(transfer_syntax_uid)
    if encoding is None:
        return None
    try:
        spans, at = _layouts.scan_object(source, encoding, stop_before=_PIXELS)
        view = source.view
        pixels, _ = scan(view if source.is_in_memory else source, encoding, start=at, end=source.size)
    except Unscannable:
        return None
    if not spans or next(reversed(pixels), 0) >= _ITEM:
        return None
    return {tag: (bytes(view[spans[tag][1] : spans[tag][2]]),) for tag in _NAMES if tag in spans}


@lru_cache(maxsize=1024)
def _one_of(tag: int, values: tuple[bytes, ...]) -> str:
    """The value as text. Raises ObjectMismatch."""
    name = _NAMES[tag]
    distinct = {value.strip(_PADDING) for value in values}
    if len(distinct) > 1:
        raise ObjectMismatch(f"the data set has {name} twice, with different values")
    value = next(iter(distinct), b"")
    if tag == _PATIENT_ID:
        return value.decode("utf-8", "replace")
    if not value:
        if tag == _SERIES_INSTANCE_UID:
            return ""
        raise ObjectMismatch(f"the data set has no {name}")
    if not _UID.fullmatch(value):
        raise ObjectMismatch(f"the data set's {name} is not one UID")
    return value.decode("ascii")
