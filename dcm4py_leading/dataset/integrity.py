"""Whether a DICOM file is whole: every element, item and fragment is there to its last byte (PS3.5 7).

pydicom takes a file that ends early for what it has, so a truncated object would be stored without a word. This
walks over the structure and skips the values. It cannot know of a data set that ends between two elements of the
top level.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pydicom._dicom_dict import DicomDictionary
from pydicom.uid import UID, ExplicitVRLittleEndian

from dcm4py_leading.dataset.scan import Buffer, Encoding, Span, Unscannable, encoding_of, scan
from dcm4py_leading.dataset.vr import LONG_VRS
from dcm4py_leading.errors import InvalidObject

_TRANSFER_SYNTAX_UID = 0x00020010
_PIXEL_DATA = 0x7FE00010
_ITEM = 0xFFFEE000
_ITEM_DELIMITATION = 0xFFFEE00D
_SEQUENCE_DELIMITATION = 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_MAX_DEPTH = 64
_CHUNK = 1 << 16
_LONGEST_FOUND = 1 << 10


class _Source(Protocol):
    @property
    def position(self) -> int: ...

    def read(self, count: int) -> bytes:
        """Exactly so many bytes. Raises InvalidObject."""
        ...

    def skip(self, count: int) -> None: ...

    def is_at_end(self) -> bool: ...


def verify(data: Buffer) -> None:
    """Check the bytes of a DICOM file of any transfer syntax.

    Raises InvalidObject when it ends early or does not follow the encoding rules.
    """
    source = _Plain(data, 0)
    if source.read(132)[128:] != b"DICM":
        raise InvalidObject("not a DICOM file")
    syntax = _transfer_syntax(source)
    verify_data_set(data, syntax, start=source.position)


def verify_data_set(data: Buffer, transfer_syntax_uid: str, *, start: int = 0) -> Mapping[int, Span] | None:
    """Check the data set that ``data`` holds from ``start`` to its end; where its top level elements are.

    None where it is whole, but its elements are not to be cut out: deflated, or not in order. Raises InvalidObject as
    `verify`.
    """
    encoding = encoding_of(transfer_syntax_uid)
    if encoding is not None:
        spans = _spans_of_whole(data, encoding, start)
        if spans is not None:
            return spans
    _walk(data, transfer_syntax_uid, start).top_level()
    return None


def values_of_whole(data: Buffer, transfer_syntax_uid: str, tags: Collection[int]) -> Mapping[int, Sequence[bytes]]:
    """The values of the top level elements of these tags, each as often as it stands in the data set.

    ``tags`` are those of UIDs and IDs. Raises InvalidObject as `verify`.
    """
    walk = _walk(data, transfer_syntax_uid, 0)
    walk.wanted = frozenset(tags)
    walk.top_level()
    return walk.found


def _walk(data: Buffer, transfer_syntax_uid: str, start: int) -> _Walk:
    syntax = UID(transfer_syntax_uid)
    if not syntax.is_transfer_syntax:  # private, or newer than pydicom: explicit VR little endian (PS3.5 10)
        syntax = ExplicitVRLittleEndian
    source = _Inflated(data, start) if syntax.is_deflated else _Plain(data, start)
    is_implicit = syntax.is_implicit_VR and not syntax.is_deflated
    return _Walk(source, implicit=is_implicit, order="<" if syntax.is_little_endian else ">")


def _spans_of_whole(data: Buffer, encoding: Encoding, start: int) -> Mapping[int, Span] | None:
    """What a scan finds, if that shows that all is there; None leaves the verdict to the walk.

    The scan skips what has a length, so the walk looks into sequences.
    """
    try:
        spans, _ = scan(data, encoding, start=start)
    except Unscannable:
        return None
    if not spans or next(reversed(spans)) >= _ITEM:
        return None
    source = _Plain(data, start)
    walk = _Walk(source, implicit=encoding.is_implicit_vr, order="<" if encoding.is_little_endian else ">")
    for at, following in _nested(data, encoding, spans):
        source.position = at
        walk.element()
        if source.position != following:
            return None
    return spans


def _nested(data: Buffer, encoding: Encoding, spans: Mapping[int, Span]) -> list[tuple[int, int]]:
    """Where elements that have items or fragments begin and end."""
    if encoding.is_implicit_vr:
        return [
            (at, following)
            for tag, (at, value, following) in spans.items()
            if _is_sequence_tag(tag) or data[at + 4 : value] == _UNDEFINED_LENGTH
        ]
    return [
        (at, following)
        for at, value, following in spans.values()
        if value - at == 12 and (data[at + 4 : at + 6] == b"SQ" or data[at + 8 : value] == _UNDEFINED_LENGTH)
    ]


class _Plain:
    """The bytes as they are."""

    def __init__(self, data: Buffer, position: int) -> None:
        self._data = data
        self.position = position
        self._end = len(data)

    def read(self, count: int) -> bytes:
        following = self.position + count
        if following > self._end:
            raise InvalidObject("the data set ends early")
        data = self._data[self.position : following]
        self.position = following
        return bytes(data)

    def skip(self, count: int) -> None:
        self.position += count
        if self.position > self._end:
            raise InvalidObject("the data set ends early")

    def is_at_end(self) -> bool:
        return self.position == self._end


class _Inflated:
    """The bytes of a deflated data set (PS3.5 A.5), a chunk at a time."""

    def __init__(self, data: Buffer, start: int) -> None:
        self._data = data
        self._next = start
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        self._buffer = bytearray()
        self.position = 0

    def read(self, count: int) -> bytes:
        self._fill(count)
        if len(self._buffer) < count:
            raise InvalidObject("the data set ends early")
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        self.position += count
        return data

    def skip(self, count: int) -> None:
        while count > 0:
            count -= len(self.read(min(count, _CHUNK)))

    def is_at_end(self) -> bool:
        self._fill(1)
        return not self._buffer

    def _fill(self, count: int) -> None:
        while len(self._buffer) < count and not self._inflate.eof:
            data = self._inflate.unconsumed_tail or self._chunk()
            try:
                inflated = self._inflate.decompress(data, _CHUNK)
            except zlib.error as err:
                raise InvalidObject("the data set cannot be inflated") from err
            if not data and not inflated and not self._inflate.eof:
                raise InvalidObject("the deflated data set ends early")
            self._buffer += inflated

    def _chunk(self) -> bytes:
        chunk = bytes(self._data[self._next : self._next + _CHUNK])
        self._next += len(chunk)
        return chunk


@dataclass(frozen=True, slots=True)
class _Element:
    tag: int
    vr: bytes | None
    """None: implicit."""
    length: int


class _Walk:
    """One pass over a data set."""

    def __init__(self, source: _Source, *, implicit: bool, order: str) -> None:
        self._source = source
        self._implicit = implicit
        self._tag = struct.Struct(f"{order}HH")
        self._short = struct.Struct(f"{order}H")
        self._long = struct.Struct(f"{order}L")
        self.wanted: frozenset[int] = frozenset()
        self.found: dict[int, list[bytes]] = {}

    def top_level(self) -> None:
        if self._source.is_at_end():
            raise InvalidObject("the data set is empty")
        while not self._source.is_at_end():
            self.element()

    def element(self) -> None:
        """One element of the top level."""
        element = self._header()
        if element.tag >> 16 == 0xFFFE:
            raise InvalidObject(f"unexpected item or delimiter at byte {self._source.position}")
        if element.tag in self.wanted:
            if element.length > _LONGEST_FOUND:
                raise InvalidObject(f"a UID or ID of more than {_LONGEST_FOUND} bytes")
            self.found.setdefault(element.tag, []).append(self._source.read(element.length))
        else:
            self._value(element, depth=0)

    def _header(self) -> _Element:
        head = self._source.read(8)
        group, number = self._tag.unpack(head[:4])
        tag = group << 16 | number
        vr = head[4:6]
        # As pydicom does: some writers switch to implicit VR inside of sequences, where it would be a VR in capitals.
        if self._implicit or group == 0xFFFE or not (vr.isalpha() and vr.isupper()):
            return _Element(tag, None, self._long.unpack(head[4:])[0])
        if vr in LONG_VRS:
            return _Element(tag, vr, self._long.unpack(self._source.read(4))[0])
        return _Element(tag, vr, self._short.unpack(head[6:])[0])

    def _value(self, element: _Element, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise InvalidObject(f"sequences nested more than {_MAX_DEPTH} deep")
        if element.length == _UNDEFINED:
            if element.tag == _PIXEL_DATA or element.vr not in (None, b"SQ", b"UN"):
                self._fragments()
            else:
                self._items(None, depth + 1)
        elif _is_sequence(element):
            self._items(self._source.position + element.length, depth + 1)
        else:
            self._source.skip(element.length)

    def _items(self, end: int | None, depth: int) -> None:
        """Items up to ``end``, or to the Sequence Delimitation Item (PS3.5 7.5)."""
        while end is None or self._source.position < end:
            item = self._header()
            if item.tag == _SEQUENCE_DELIMITATION and end is None:
                return
            if item.tag != _ITEM:
                raise InvalidObject(f"an item was expected at byte {self._source.position - 8}")
            if item.length == _UNDEFINED:
                self._elements(None, depth)
            else:
                self._elements(self._source.position + item.length, depth)
        self._must_be_at(end)

    def _elements(self, end: int | None, depth: int) -> None:
        """Elements of an item up to ``end``, or to the Item Delimitation Item."""
        while end is None or self._source.position < end:
            element = self._header()
            if element.tag == _ITEM_DELIMITATION and end is None:
                return
            if element.tag >> 16 == 0xFFFE:
                raise InvalidObject(f"unexpected item or delimiter at byte {self._source.position - 8}")
            self._value(element, depth)
        self._must_be_at(end)

    def _fragments(self) -> None:
        """Encapsulated pixel data (PS3.5 A.4)."""
        while True:
            fragment = self._header()
            if fragment.tag == _SEQUENCE_DELIMITATION:
                return
            if fragment.tag != _ITEM or fragment.length == _UNDEFINED:
                raise InvalidObject(f"a fragment was expected at byte {self._source.position - 8}")
            self._source.skip(fragment.length)

    def _must_be_at(self, end: int | None) -> None:
        if end is not None and self._source.position != end:
            raise InvalidObject(f"an element ends outside of its item or sequence at byte {self._source.position}")


def _is_sequence(element: _Element) -> bool:
    return _is_sequence_tag(element.tag) if element.vr is None else element.vr == b"SQ"


def _is_sequence_tag(tag: int) -> bool:
    """Whether the data dictionary has a sequence there; one stands in a group that repeats, (50xx,2600)."""
    return tag in _SEQUENCES or tag & 0xFF00FFFF == 0x50002600


_UNDEFINED_LENGTH = b"\xff\xff\xff\xff"
_SEQUENCES = frozenset(tag for tag, (vr, *_) in DicomDictionary.items() if vr == "SQ")


def _transfer_syntax(source: _Plain) -> str:
    """Transfer Syntax UID of the File Meta Information; leaves ``source`` at the data set."""
    walk = _Walk(source, implicit=False, order="<")
    found: str | None = None
    while not source.is_at_end():
        group = source.read(2)
        source.position -= 2
        if group != b"\x02\x00":
            break
        element = walk._header()
        if element.tag == _TRANSFER_SYNTAX_UID:
            found = source.read(element.length).decode("ascii", "replace").rstrip("\0 ")
        else:
            source.skip(element.length)
    if found is None:
        raise InvalidObject("the file names no transfer syntax")
    return found
