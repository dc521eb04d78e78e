"""Frames and other bulk data by WADO-RS (PS3.18 10.4.1.1.5, 10.4.1.1.6), read from where they are in the object.

Native frames are found by their length, encapsulated ones by fragments and offset table (PS3.5 A.4).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

from pydicom.uid import ExplicitVRLittleEndian

from dcm4py_leading.dataset.elements import Elements, Fragments, Items
from dcm4py_leading.dataset.object_bytes import MemoryBytes, ObjectBytes
from dcm4py_leading.dataset.pixels.image_pixel import image_pixel
from dcm4py_leading.dataset.reading import read_data_set
from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE, IMPLICIT_LITTLE, Buffer, Encoding, encoding_of, is_encapsulated
from dcm4py_leading.errors import StatusError, SubOperationFailed
from dcm4py_leading.service.dicomweb.chunks import Chunk, Chunks, nothing
from dcm4py_leading.service.dicomweb.metadata import PIXELS, Opening, head_of
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
from dcm4py_leading.service.retrieve.encode import ObjectErrors, PreparedObject, Spliced
from dcm4py_leading.service.runtime import Runtime

OCTETS = "application/octet-stream"
_EXTENDED_OFFSETS = 0x7FE00001
_ITEM, _END = 0xFFFEE000, 0xFFFEE0DD
_ITEM_HEADER = struct.Struct("<HHL")
_LENGTH = struct.Struct("<L")
_UNDEFINED = 0xFFFFFFFF
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

Place = tuple[int, int]
"""Offset and length of octets."""


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
    """Path of the value (`dataset.json_tree.Path`), where no frames are wanted."""

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


class Values(NamedTuple):
    """Values of an object: where the octets of each are."""

    source: ObjectBytes
    places: Sequence[Sequence[Place]]
    transfer_syntax_uid: str
    """That of frames; empty of other values."""


def retrieve_values(runtime: Runtime, wanted: WantedValues, is_gone: Callable[[], bool]) -> tuple[ObjectsHead, Chunks]:
    """The answer: what comes before it, and the multipart body; to be closed. Raises as `objects.retrieve_objects`."""
    found = find_objects(runtime, wanted.named, is_gone)
    syntaxes = tuple(syntax for syntax, _ in wanted.accepted)
    first = first_of(found, syntaxes)
    if first is None:
        return found.head, nothing()
    try:
        values = _values(found, first, wanted)
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
    told = f"{media_type}; transfer-syntax={values.transfer_syntax_uid}" if values.transfer_syntax_uid else media_type
    chunks = answered(
        found,
        first,
        lambda stored: accepted_for(stored, syntaxes),
        lambda objects: _body(objects, values, wanted.boundary, told),
    )
    next(chunks)  # from now on it ends in form, also where nobody reads it
    return found.head, chunks


def _values(found: Found, prepared: PreparedObject, wanted: WantedValues) -> Values:
    """Frames or value that are wanted; none where they cannot be told: the head of ``found`` has the reason."""
    try:
        with _READING:
            if wanted.path and wanted.path[0] not in PIXELS:
                values = _value_of(prepared, wanted.path)
                found.head = ObjectsHead(is_empty=not values.places)
                return values
            values = Values(MemoryBytes(b""), (), "") if len(wanted.path) > 1 else frames_of(prepared)
    except SubOperationFailed as err:
        found.head = ObjectsHead(is_empty=True, left_out=1, why=str(err))
        return Values(MemoryBytes(b""), (), "")
    numbers = wanted.frames or range(1, len(values.places) + 1)
    places = [values.places[number - 1] for number in numbers if number <= len(values.places)]
    found.head = ObjectsHead(is_empty=not places, left_out=len(numbers) - len(places) if places else 0)
    return values._replace(places=places)


def _body(objects: Iterator[PreparedObject], values: Values, boundary: str, media_type: str) -> Iterator[Chunk]:
    for _ in objects:  # there is one
        for places in values.places:
            before = part_head(boundary, media_type)
            for place in places:
                for piece in _octets(values.source, place, for_system=True):
                    yield (before, piece)
                    before = b""
    yield (end_of(boundary),)


def _octets(source: ObjectBytes, place: Place, *, for_system: bool = False) -> Iterator[Buffer]:
    """The octets in pieces, each good until the next one."""
    at, left = place
    for batch in (source.batches_for_system if for_system else source.batches)((), at):
        for buffer in batch:
            piece = memoryview(buffer)[:left]
            yield piece
            left -= len(piece)
            if left <= 0:
                return


def _media_type(transfer_syntax_uid: str, accepted: Sequence[tuple[str, str]]) -> str:
    own = IMAGE_TYPES.get(transfer_syntax_uid, OCTETS)
    types = dict(reversed(accepted))
    return types.get(transfer_syntax_uid, types.get(AS_STORED, OCTETS)) or own


# -- frames ---------------------------------------------------------------------------------------------------------


def frames_of(prepared: PreparedObject) -> Values:
    """All frames of an object. Raises SubOperationFailed where they cannot be told apart, and one of UNREADABLE."""
    syntax = prepared.transfer_syntax_uid
    encoding = encoding_of(syntax)
    if encoding in (EXPLICIT_LITTLE, IMPLICIT_LITTLE):
        spliced = prepared.spliced or Spliced((), MemoryBytes(_whole(prepared)), 0)
        opening = head_of(spliced, encoding)
        if opening is not None and opening.pixels_at is not None:
            return _frames_in(spliced.source, opening, encoding, syntax)
        if opening is not None:
            raise SubOperationFailed("it has no pixel data")
    elements = read_data_set(_whole(prepared), syntax).elements
    element = next((elements[tag] for tag in reversed(PIXELS) if tag in elements), None)
    if element is None or isinstance(element.value, Items):
        raise SubOperationFailed("it has no pixel data")
    if isinstance(element.value, Fragments):
        table, *fragments = element.value.fragments
        source = MemoryBytes(b"".join(fragments))
        return Values(source, _grouped(bytes(table), _following(map(len, fragments)), elements), syntax)
    return Values(MemoryBytes(element.value), _native(elements, (0, len(element.value))), str(ExplicitVRLittleEndian))


def _whole(prepared: PreparedObject) -> bytes:
    return b"".join(buffer for batch in prepared.batches() for buffer in batch)


def _following(lengths: Iterator[int]) -> list[Place]:
    places, at = [], 0
    for length in lengths:
        places.append((at, length))
        at += length
    return places


def _frames_in(source: ObjectBytes, opening: Opening, encoding: Encoding, syntax: str) -> Values:
    assert opening.pixels_at is not None
    at = opening.pixels_at + (4 if encoding.is_implicit_vr else 8)
    (length,) = source.unpacked(_LENGTH, at)
    value = at + 4
    if length != _UNDEFINED:
        if value + length > source.size:
            raise SubOperationFailed("the pixel data ends early")
        if is_encapsulated(syntax):
            raise SubOperationFailed("the pixel data is not encapsulated, though its transfer syntax says so")
        return Values(source, _native(opening.elements, (value, length)), str(ExplicitVRLittleEndian))
    items = _items(source, value)
    table = b"".join(_octets(source, items[0])) if items[0][1] else b""
    return Values(source, _grouped(table, items[1:], opening.elements), syntax)


def _items(source: ObjectBytes, at: int) -> list[Place]:
    items: list[Place] = []
    while True:
        group, number, length = source.unpacked(_ITEM_HEADER, at)
        tag = group << 16 | number
        if tag == _END and items:
            return items
        if tag != _ITEM or at + 8 + length > source.size:
            raise SubOperationFailed("the fragments of the pixel data are damaged")
        items.append((at + 8, length))
        at += 8 + length


def _native(elements: Elements, value: Place) -> list[list[Place]]:
    image = image_pixel(elements)
    if image.bits_allocated % 8 and image.rows * image.columns * image.samples_per_pixel % 8:
        raise SubOperationFailed("its frames do not begin with an octet")
    length = replace(image, number_of_frames=1).native_length
    at, there = value
    if there < length * image.number_of_frames:
        raise SubOperationFailed(f"its pixel data has {there} octets, too few for the frames")
    return [[(at + number * length, length)] for number in range(image.number_of_frames)]


def _grouped(table: bytes, fragments: Sequence[Place], elements: Elements) -> list[list[Place]]:
    """The fragments of each frame: each is one, or all are one, or an offset table tells."""
    count = image_pixel(elements).number_of_frames
    if len(fragments) == count:
        return [[place] for place in fragments]
    if count == 1 and fragments:
        return [list(fragments)]
    offsets: list[int] = []
    at = 0
    for _, length in fragments:
        offsets.append(at)
        at += 8 + length
    for found in (_extended(elements), struct.unpack(f"<{len(table) // 4}L", table[: len(table) // 4 * 4])):
        if len(found) == count and found[0] == 0 and all(a < b for a, b in pairwise(found)):
            index_of = {offset: index for index, offset in enumerate(offsets)}
            if all(offset in index_of for offset in found):
                first = [index_of[offset] for offset in found]
                return [list(fragments[a:b]) for a, b in pairwise((*first, len(fragments)))]
    raise SubOperationFailed(f"its {count} frames cannot be told apart in {len(fragments)} fragments")


def _extended(elements: Elements) -> tuple[int, ...]:
    element = elements.get(_EXTENDED_OFFSETS)
    if element is None or isinstance(element.value, (Items, Fragments)) or len(element.value) % 8:
        return ()
    return struct.unpack(f"<{len(element.value) // 8}Q", element.value)


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
    elements = opening.elements if opening else read_data_set(_whole(prepared), prepared.transfer_syntax_uid).elements
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
