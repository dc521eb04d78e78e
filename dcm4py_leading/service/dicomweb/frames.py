"""Frames and other bulk data by WADO-RS (PS3.18 10.4.1.1.5, 10.4.1.1.6), read from where they are in the object."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydicom.uid import ExplicitVRLittleEndian

from dcm4py_leading.dataset.elements import Elements, Fragments, Items
from dcm4py_leading.dataset.object_bytes import MemoryBytes
from dcm4py_leading.dataset.reading import read_data_set
from dcm4py_leading.dataset.scan import encoding_of, is_encapsulated
from dcm4py_leading.errors import StatusError, SubOperationFailed
from dcm4py_leading.service.dicomweb.chunks import Chunk, Chunks, nothing
from dcm4py_leading.service.dicomweb.frame_places import Values, frames_of, octets_at, whole
from dcm4py_leading.service.dicomweb.metadata import PIXELS, head_of
from dcm4py_leading.service.dicomweb.native_frames import NativeFrames
from dcm4py_leading.service.dicomweb.objects import (
    AS_STORED,
    Found,
    Named,
    ObjectsHead,
    accepted_for,
    answered,
    end_of,
    find_objects,
    first_of,
    part_head,
)
from dcm4py_leading.service.retrieve.encode import ObjectErrors, PreparedObject
from dcm4py_leading.service.retrieve.sub_operations import RetrievedObject
from dcm4py_leading.service.runtime import Runtime

OCTETS = "application/octet-stream"
_READING = ObjectErrors("its pixel data cannot be read")
IMAGE_TYPES: Mapping[str, str] = {
    **{f"1.2.840.10008.1.2.4.{number}": "image/jpeg" for number in (50, 51, 57, 70)},
    **{f"1.2.840.10008.1.2.4.{number}": "image/jls" for number in (80, 81)},
    **{f"1.2.840.10008.1.2.4.{number}": "image/jp2" for number in (90, 91)},
    **{f"1.2.840.10008.1.2.4.{number}": "image/jpx" for number in (92, 93)},
    **{f"1.2.840.10008.1.2.4.{number}": "image/jphc" for number in (201, 202, 203)},
    "1.2.840.10008.1.2.4.110": "image/jxl",
    "1.2.840.10008.1.2.4.111": "image/jxl",
    "1.2.840.10008.1.2.4.112": "image/jxl",
    "1.2.840.10008.1.2.5": "image/dicom-rle",
}
"""Media type of a frame by transfer syntax (PS3.18 8.7.3.3.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedValues:
    """Frames of an instance, or one of its values."""

    named: Named
    accepted: tuple[tuple[str, str], ...]
    """Transfer syntaxes as in `objects.WantedObjects`, each with the media type; empty for that of the syntax."""
    boundary: str
    frames: tuple[int, ...] = ()
    """Their numbers, counted from 1."""
    path: tuple[int, ...] = ()
    """Path of the value (`dataset.dicom_json.tree.Path`), where no frames are wanted."""

    def to_json(self) -> Any:
        """As it passes between processes."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> WantedValues:
        """The same out of what `to_json` made."""
        return cls(
            named=Named.from_json(value["named"]),
            accepted=tuple((syntax, media_type) for syntax, media_type in value["accepted"]),
            boundary=value["boundary"],
            frames=tuple(value["frames"]),
            path=tuple(value["path"]),
        )


def retrieve_values(runtime: Runtime, wanted: WantedValues, is_gone: Callable[[], bool]) -> tuple[ObjectsHead, Chunks]:
    """The answer: what comes before it, and the multipart body; to be closed. Raises as `objects.retrieve_objects`."""
    found = find_objects(runtime, wanted.named, is_gone)
    syntaxes = tuple(syntax for syntax, _ in wanted.accepted)
    first = first_of(found, syntaxes, _as_stored)
    if first is None:
        return found.head, nothing()
    try:
        values = _values(found, first, wanted)
        native = None
        if values.transfer_syntax_uid not in ("", *accepted_for(first.transfer_syntax_uid, syntaxes)):
            values, native = _native_of(found, first, values)
    except BaseException as err:  # closes, and raises on whatever it was
        first.close()
        found.close()
        if isinstance(err, StatusError):
            found.refuse(err)
        raise
    if not values.places:
        first.close()
        found.close()
        found.finish(0x0000)
        return found.head, nothing()
    media_type = _media_type(values.transfer_syntax_uid, wanted.accepted)
    found.head = replace(found.head, media_type=media_type)
    found.validate(wanted.accepted, wanted.frames, wanted.path)
    told = f"{media_type}; transfer-syntax={values.transfer_syntax_uid}" if values.transfer_syntax_uid else media_type
    chunks = answered(
        found,
        first,
        lambda stored: accepted_for(stored, syntaxes),
        lambda objects: _body(objects, values, wanted.boundary, told, native),
    )
    next(chunks)  # from now on it ends in form, also where nobody reads it
    return found.head, chunks


def _as_stored(obj: RetrievedObject, accepted: Collection[str]) -> PreparedObject:
    """The object with its frames as they are stored: those that are wanted are decompressed one by one."""
    stored = obj.transfer_syntax_uid
    return obj.prepare((stored,) if is_encapsulated(stored) else accepted)


def _native_of(found: Found, first: PreparedObject, values: Values) -> tuple[Values, NativeFrames | None]:
    """Values whose frames are decompressed when they leave; the first one is already. Raises DecodersBusy."""
    if not values.places:
        return values, None
    try:
        native = NativeFrames(values)
    except SubOperationFailed as err:
        found.head = ObjectsHead(is_empty=True, left_out=1, why=str(err))
        return values._replace(places=()), None
    first.is_transcoded = True
    return values._replace(transfer_syntax_uid=str(ExplicitVRLittleEndian)), native


def _values(found: Found, prepared: PreparedObject, wanted: WantedValues) -> Values:
    """Frames or value that are wanted; none where they cannot be told: the head of ``found`` has the reason."""
    try:
        with _READING:
            if wanted.path and wanted.path[0] not in PIXELS:
                values = _value_of(prepared, wanted.path)
                found.head = ObjectsHead(is_empty=not values.places)
                return values
            values = Values(MemoryBytes(b""), (), "") if len(wanted.path) > 1 else frames_of(prepared)
            if wanted.path and wanted.path[0] != values.tag:  # the pixels are those of another element
                values = values._replace(places=())
    except SubOperationFailed as err:
        found.head = ObjectsHead(is_empty=True, left_out=1, why=str(err))
        return Values(MemoryBytes(b""), (), "")
    numbers = wanted.frames or range(1, len(values.places) + 1)
    places = [values.places[number - 1] for number in numbers if number <= len(values.places)]
    found.head = ObjectsHead(is_empty=not places, left_out=len(numbers) - len(places) if places else 0)
    return values._replace(places=places)


def _body(
    objects: Iterator[PreparedObject], values: Values, boundary: str, media_type: str, native: NativeFrames | None
) -> Iterator[Chunk]:
    for _ in objects:  # there is one
        for places in values.places:
            before = part_head(boundary, media_type)
            if native is not None:
                yield (before, native.next())
                continue
            for place in places:
                for piece in octets_at(values.source, place, for_system=True):
                    yield (before, piece)
                    before = b""
            if before:
                yield (before,)
    yield (end_of(boundary),)


def _media_type(transfer_syntax_uid: str, accepted: Sequence[tuple[str, str]]) -> str:
    own = IMAGE_TYPES.get(transfer_syntax_uid, OCTETS)
    types = dict(reversed(accepted))
    return types.get(transfer_syntax_uid, types.get(AS_STORED, OCTETS)) or own


# -- other values ---------------------------------------------------------------------------------------------------


def _value_of(prepared: PreparedObject, path: Sequence[int]) -> Values:
    """The value at a path, wherever it is; nothing where there is none."""
    encoding = encoding_of(prepared.transfer_syntax_uid)
    opening = None
    if prepared.spliced is not None and encoding is not None and encoding.is_little_endian:
        opening = head_of(prepared.spliced, encoding)
    if opening is not None and path[0] in opening.places:
        assert prepared.spliced is not None
        places = [[opening.places[path[0]]]] if len(path) == 1 else []
        return Values(prepared.spliced.source, places, "")
    elements = opening.elements if opening else read_data_set(whole(prepared), prepared.transfer_syntax_uid).elements
    value = _at(elements, path)
    return Values(MemoryBytes(value or b""), [[(0, len(value))]] if value else [], "")


def _at(elements: Elements, path: Sequence[int]) -> bytes | None:
    element = elements.get(path[0])
    if element is None or isinstance(element.value, Fragments):
        return None
    if not isinstance(element.value, Items):
        return bytes(element.value) if len(path) == 1 else None
    if len(path) < 3 or not 1 <= path[1] <= len(element.value.items):
        return None
    return _at(element.value.items[path[1] - 1].elements, path[2:])
