"""Positions of the elements of an encoded data set (PS3.5 7), found without decoding a value.

What is sent, indexed or answered in bulk is cut out of its bytes by these positions; pydicom sees only the few
elements that rules are about.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from pydicom.uid import UID

from dcm4py_leading.dataset.vr import HAS_LONG_LENGTH
from dcm4py_leading.model import bounds

Buffer = bytes | bytearray | memoryview


class Windowed(Protocol):
    """Encoded elements that are not in memory up to their end: the headers are read one by one."""

    def unpacked(self, form: struct.Struct, at: int) -> tuple[Any, ...]:
        """The numbers at offset ``at``. Raises struct.error where the elements end before."""
        ...


Scanned = Buffer | Windowed
_UnpackFrom = Callable[[Any, int], tuple[Any, ...]]

Span = tuple[int, int, int]
"""Offsets of an element: of its tag, of its value, and of what follows it."""

_SEQUENCE_DELIMITATION = 0xFFFEE0DD
_ITEM_DELIMITATION = 0xFFFEE00D
_ITEM = 0xFFFEE000
_UNDEFINED = 0xFFFFFFFF
_MAX_DEPTH = 64
_EACH_ELEMENT = range(bounds.DATA_SET_ELEMENTS)


class Unscannable(ValueError):
    """The bytes do not follow the encoding rules, or not in an order that can be cut: leave them to pydicom."""


class EndsEarly(Unscannable):
    """The bytes that are in memory end within an element, before the data set does."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """Encoding of elements (PS3.5 7.1): that of a transfer syntax that is not deflated."""

    is_implicit_vr: bool
    is_little_endian: bool


IMPLICIT_LITTLE = Encoding(True, True)
EXPLICIT_LITTLE = Encoding(False, True)
EXPLICIT_BIG = Encoding(False, False)


DEFLATED = frozenset({"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"})
"""Transfer syntaxes that deflate the data set as a whole (PS3.5 A.5, and A.7: JPIP Referenced Deflate)."""


_NATIVE = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"})


def is_encapsulated(transfer_syntax_uid: str) -> bool:
    """True if pixel data is encapsulated in this transfer syntax, or not there at all; so in one that is not known."""
    return transfer_syntax_uid not in _NATIVE


@lru_cache(maxsize=256)
def encoding_of(transfer_syntax_uid: str) -> Encoding | None:
    """The encoding of a data set in this transfer syntax; None where it is deflated and can only be inflated first.

    A syntax that pydicom does not know is taken for Explicit VR Little Endian (PS3.5 10).
    """
    if transfer_syntax_uid in DEFLATED:
        return None
    syntax = UID(transfer_syntax_uid)
    if not syntax.is_transfer_syntax or syntax.is_private:
        return EXPLICIT_LITTLE
    return Encoding(syntax.is_implicit_VR, syntax.is_little_endian)


def scan(
    data: Scanned, encoding: Encoding, *, start: int = 0, end: int | None = None, stop_before: int = 1 << 32
) -> tuple[dict[int, Span], int]:
    """The spans of the top level elements of ``data[start:end]`` whose tag is below ``stop_before``, by tag, in order.

    The second value is the offset of the first element that was not looked at. Raises Unscannable: an element that
    ends outside, tags that do not ascend, a VR that is none, an odd length, a delimiter of nothing; EndsEarly where
    ``data`` goes less far than ``end``, and less far than what is looked at. What is `Windowed` needs an ``end``.
    """
    size = len(data) if end is None else end  # type: ignore[arg-type]
    try:
        if encoding.is_implicit_vr:
            return _scan_implicit(data, start, size, stop_before)
        return _scan_explicit(data, encoding, start, size, stop_before)
    except struct.error as err:
        goes_on = isinstance(data, (memoryview, bytes, bytearray)) and len(data) < size
        raise (EndsEarly if goes_on else Unscannable)("the data set ends within an element") from err


_HEADERS = {True: struct.Struct("<HH2sH"), False: struct.Struct(">HH2sH")}
_LENGTHS = {True: struct.Struct("<L"), False: struct.Struct(">L")}
_IMPLICIT_HEADER = struct.Struct("<HHL")


def _scan_explicit(
    data: Scanned, encoding: Encoding, at: int, size: int, stop_before: int
) -> tuple[dict[int, Span], int]:
    header = _unpacker(data, _HEADERS[encoding.is_little_endian])
    long_length = _unpacker(data, _LENGTHS[encoding.is_little_endian])
    is_long = HAS_LONG_LENGTH
    spans: dict[int, Span] = {}
    last = -1
    lengths = 0
    for _ in _EACH_ELEMENT:
        if at >= size:
            break
        group, number, vr, length = header(data, at)
        tag = group << 16 | number
        if tag >= stop_before:
            break
        if tag <= last:
            raise Unscannable("the tags do not ascend")
        last = tag
        try:
            has_long_length = is_long[vr]
        except KeyError:
            raise Unscannable("an element has no VR") from None
        value = at + 8
        if has_long_length:
            length = long_length(data, value)[0]
            value = at + 12
            if length == _UNDEFINED:
                # PS3.5 6.2.2: the items of a UN of undefined length are in Implicit VR Little Endian.
                within = IMPLICIT_LITTLE if vr == b"UN" else encoding
                following = _end_of_items(data, within, value, size, 0)
                spans[tag] = (at, value, following)
                at = following
                continue
        lengths |= length
        following = value + length
        if following > size:
            raise Unscannable("an element ends outside of the data set")
        spans[tag] = (at, value, following)
        at = following
    else:
        if at < size:
            raise Unscannable("more elements than any data set needs")
    if lengths & 1:
        raise Unscannable("a value has an odd length")
    return spans, at


def _scan_implicit(data: Scanned, at: int, size: int, stop_before: int) -> tuple[dict[int, Span], int]:
    header = _unpacker(data, _IMPLICIT_HEADER)
    spans: dict[int, Span] = {}
    last = -1
    lengths = 0
    for _ in _EACH_ELEMENT:
        if at >= size:
            break
        group, number, length = header(data, at)
        tag = group << 16 | number
        if tag >= stop_before:
            break
        if tag <= last:
            raise Unscannable("the tags do not ascend")
        last = tag
        value = at + 8
        if length == _UNDEFINED:
            following = _end_of_items(data, IMPLICIT_LITTLE, value, size, 0)
        else:
            lengths |= length
            following = value + length
        if following > size:
            raise Unscannable("an element ends outside of the data set")
        spans[tag] = (at, value, following)
        at = following
    else:
        if at < size:
            raise Unscannable("more elements than any data set needs")
    if lengths & 1:
        raise Unscannable("a value has an odd length")
    if last >= _ITEM:
        raise Unscannable("a delimiter of nothing")
    return spans, at


def _end_of_items(data: Scanned, encoding: Encoding, at: int, size: int, depth: int) -> int:
    """Where the items end, or the fragments, that begin at ``at`` and end with a Sequence Delimitation Item."""
    if depth > _MAX_DEPTH:
        raise Unscannable(f"sequences nested more than {_MAX_DEPTH} deep")
    while True:
        tag, length = _item_header(data, encoding, at)
        at += 8
        if tag == _SEQUENCE_DELIMITATION:
            return at
        if tag != _ITEM or (length & 1 and length != _UNDEFINED):
            raise Unscannable("an item of even length was expected")
        at = _end_of_item(data, encoding, at, size, depth) if length == _UNDEFINED else at + length
        if at > size:
            raise Unscannable("an item ends outside of the data set")


def _end_of_item(data: Scanned, encoding: Encoding, at: int, size: int, depth: int) -> int:
    """Where an item ends that begins at ``at`` and ends with an Item Delimitation Item."""
    header = _unpacker(data, _HEADERS[encoding.is_little_endian])
    long_length = _unpacker(data, _LENGTHS[encoding.is_little_endian])
    while True:
        group, number, vr, length = header(data, at)
        within = encoding
        if group == 0xFFFE:
            if number != _ITEM_DELIMITATION & 0xFFFF:
                raise Unscannable("an unexpected item or delimiter")
            return at + 8
        if encoding.is_implicit_vr:
            length = _item_header(data, encoding, at)[1]
            value = at + 8
        elif vr not in HAS_LONG_LENGTH:
            raise Unscannable("an element has no VR")
        else:
            value = at + 8
            if HAS_LONG_LENGTH[vr]:
                length = long_length(data, value)[0]
                value = at + 12
                within = IMPLICIT_LITTLE if vr == b"UN" else encoding
            elif length == _UNDEFINED:
                raise Unscannable("an undefined length where none can be")
        if length == _UNDEFINED:
            at = _end_of_items(data, within, value, size, depth + 1)
        else:
            at = value + length
            if length & 1:
                raise Unscannable("a value has an odd length")
        if at > size:
            raise Unscannable("an element ends outside of its item")


def _item_header(data: Scanned, encoding: Encoding, at: int) -> tuple[int, int]:
    form = _IMPLICIT_HEADER if encoding.is_little_endian else _BIG_ITEM_HEADER
    if isinstance(data, (memoryview, bytes, bytearray)):
        group, number, length = form.unpack_from(data, at)
    else:
        group, number, length = data.unpacked(form, at)
    return group << 16 | number, length


_BIG_ITEM_HEADER = struct.Struct(">HHL")


def _unpacker(data: Scanned, form: struct.Struct) -> _UnpackFrom:
    if isinstance(data, (memoryview, bytes, bytearray)):
        return form.unpack_from
    return lambda windowed, at: windowed.unpacked(form, at)
