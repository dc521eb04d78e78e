"""Where the frames of an object are: native ones by their length, encapsulated ones by fragments and offset table.

PS3.5 A.4.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from types import MappingProxyType
from typing import NamedTuple

from pydicom.uid import ExplicitVRLittleEndian

from dcm4py_leading.dataset.elements import Element, Elements, Fragments, Items
from dcm4py_leading.dataset.object_bytes import MemoryBytes, ObjectBytes
from dcm4py_leading.dataset.pixels.image_pixel import image_pixel
from dcm4py_leading.dataset.pixels.pixel_data import PIXEL_DATA
from dcm4py_leading.dataset.reading import read_data_set
from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE, IMPLICIT_LITTLE, Buffer, Encoding, encoding_of, is_encapsulated
from dcm4py_leading.errors import SubOperationFailed
from dcm4py_leading.service.dicomweb.metadata import PIXELS, Opening, head_of
from dcm4py_leading.service.retrieve.encode import PreparedObject, Spliced

_EXTENDED_OFFSETS = 0x7FE00001
_ITEM, _END = 0xFFFEE000, 0xFFFEE0DD
_ITEM_HEADER = struct.Struct("<HHL")
_LENGTH = struct.Struct("<L")
_TAG = struct.Struct("<HH")
_UNDEFINED = 0xFFFFFFFF
DESCRIBING = 0x0028
"""Group of the elements that describe an image."""
_LONGEST_TABLE = 1 << 18
"""Octets of a lookup table; those of PS3.3 C.7.6.3.1.6 have half of it."""

Place = tuple[int, int]
"""Offset and length of octets."""


class Values(NamedTuple):
    """Values of an object: where the octets of each are."""

    source: ObjectBytes
    places: Sequence[Sequence[Place]]
    transfer_syntax_uid: str
    """That of frames; empty of other values."""
    elements: Mapping[int, Element] = MappingProxyType({})
    """Of frames, what stands before them in the object."""
    tag: int = PIXEL_DATA
    """Element that has the frames."""


def frames_of(prepared: PreparedObject) -> Values:
    """All frames of an object. Raises SubOperationFailed where they cannot be told apart, and one of UNREADABLE."""
    syntax = prepared.transfer_syntax_uid
    encoding = encoding_of(syntax)
    if encoding in (EXPLICIT_LITTLE, IMPLICIT_LITTLE):
        spliced = prepared.spliced or Spliced((), MemoryBytes(whole(prepared)), 0)
        opening = head_of(spliced, encoding)
        if opening is not None and opening.pixels_at is not None:
            return _frames_in(spliced.source, opening, encoding, syntax)
        if opening is not None:
            raise SubOperationFailed("it has no pixel data")
    elements = read_data_set(whole(prepared), syntax).elements
    element = next((elements[tag] for tag in reversed(PIXELS) if tag in elements), None)
    if element is None or isinstance(element.value, Items):
        raise SubOperationFailed("it has no pixel data")
    if isinstance(element.value, Fragments):
        table, *fragments = element.value.fragments
        source = MemoryBytes(b"".join(fragments))
        return Values(source, _grouped(bytes(table), _following(map(len, fragments)), elements), syntax, elements)
    native = _native(elements, (0, len(element.value)))
    return Values(MemoryBytes(element.value), native, str(ExplicitVRLittleEndian), elements, element.tag)


def octets_at(source: ObjectBytes, place: Place, *, for_system: bool = False) -> Iterator[Buffer]:
    """The octets in pieces, each good until the next one; with ``for_system`` only the system may look at them.

    Raises StorageUnavailable.
    """
    at, left = place
    for batch in (source.batches_for_system if for_system else source.batches)((), at):
        for buffer in batch:
            piece = memoryview(buffer)[:left]
            yield piece
            left -= len(piece)
            if left <= 0:
                return


def value_at(source: ObjectBytes, places: Iterable[Place]) -> bytes:
    """The octets at places, in memory. Raises StorageUnavailable."""
    value = bytearray()
    for place in places:
        for piece in octets_at(source, place):
            value += piece
    return bytes(value)


def whole(prepared: PreparedObject) -> bytes:
    """All octets of the data set."""
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
        native = _native(opening.elements, (value, length))
        return Values(
            source, native, str(ExplicitVRLittleEndian), _described(source, opening), _tag(source, opening.pixels_at)
        )
    items = _items(source, value)
    table = value_at(source, items[:1])
    return Values(source, _grouped(table, items[1:], opening.elements), syntax, _described(source, opening))


def _described(source: ObjectBytes, opening: Opening) -> Elements:
    """Elements before the pixel data, with lookup tables that were not read yet."""
    tables = {
        tag: Element(tag, opening.not_read[tag], value_at(source, [place]))
        for tag, place in opening.places.items()
        if tag >> 16 == DESCRIBING and place[1] <= _LONGEST_TABLE
    }
    return dict(sorted({**opening.elements, **tables}.items())) if tables else opening.elements


def _tag(source: ObjectBytes, at: int) -> int:
    group, number = source.unpacked(_TAG, at)
    return int(group) << 16 | int(number)


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
