"""The DICOM JSON Model (PS3.18 Annex F), read to trees of elements as clients write it; bulk data comes from elsewhere.

Values are taken as they are told: what an object with them is worth is decided when it is stored, as with any other.
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Callable, Mapping
from typing import Any

from dcm4py_leading.dataset.elements import Element, Elements, Item, Items, Value
from dcm4py_leading.dataset.text.charset import SPECIFIC_CHARACTER_SET
from dcm4py_leading.dataset.vr import HAS_LONG_LENGTH, dictionary_vr, padding
from dcm4py_leading.errors import InvalidObject

Json = Any
"""A JSON value."""
BulkData = Callable[[str, int, int], Value]
"""Value of a BulkDataURI, by URI, tag, and number of sequences around it. Raises InvalidObject where there is none."""

_MAX_DEPTH = 32
"""Sequences within each other."""
_LONGEST_DS = 16
_UTF_8 = b"ISO_IR 192"
_NUMBERS = {
    "FD": "<d",
    "FL": "<f",
    "SL": "<i",
    "SS": "<h",
    "SV": "<q",
    "UL": "<I",
    "US": "<H",
    "UV": "<Q",
}
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_TAG = frozenset("0123456789abcdefABCDEF")


def tree_of_json(value: Json, bulk_data: BulkData) -> Elements:
    """The elements of a data set, whose text is in UTF-8. Raises InvalidObject, which names the element."""
    return _Reader(bulk_data).data_set(value, 0)


class _Reader:
    def __init__(self, bulk_data: BulkData) -> None:
        self._bulk_data = bulk_data

    def data_set(self, value: Json, depth: int) -> Elements:
        if not isinstance(value, Mapping):
            raise InvalidObject("a data set is no JSON object")
        if depth > _MAX_DEPTH:
            raise InvalidObject(f"sequences are nested more than {_MAX_DEPTH} deep")
        found: Elements = {}
        for name, content in value.items():
            if len(name) != 8 or not _TAG.issuperset(name):
                raise InvalidObject("the name of a member is no tag of 8 hexadecimal digits")
            tag = int(name, 16)
            if tag >> 16 <= 0x0002 or not tag & 0xFFFF:  # command, file meta, group lengths: of no data set
                continue
            found[tag] = self._element(tag, content, depth)
        if depth == 0 or SPECIFIC_CHARACTER_SET in found:
            found[SPECIFIC_CHARACTER_SET] = Element(SPECIFIC_CHARACTER_SET, b"CS", _UTF_8)
        return dict(sorted(found.items()))

    def _element(self, tag: int, content: Json, depth: int) -> Element:
        vr = content.get("vr") if isinstance(content, Mapping) else None
        if vr is None and isinstance(content, Mapping):
            vr = dictionary_vr(tag)[:2] or "UN"
        if not isinstance(vr, str) or vr.encode("ascii", "replace") not in HAS_LONG_LENGTH:
            raise _wrong(tag, "it has no VR")
        return Element(tag, vr.encode(), self._value(tag, vr, content, depth))

    def _value(self, tag: int, vr: str, content: Mapping[str, Json], depth: int) -> Value:
        if (uri := content.get("BulkDataURI")) is not None:
            if not isinstance(uri, str) or vr == "SQ":
                raise _wrong(tag, "its BulkDataURI is none")
            return self._bulk_data(uri, tag, depth)
        if (inline := content.get("InlineBinary")) is not None:
            try:
                return base64.b64decode(inline, validate=True)
            except (TypeError, ValueError) as err:
                raise _wrong(tag, "its InlineBinary is no Base64") from err
        values = content.get("Value", [])
        if not isinstance(values, list):
            raise _wrong(tag, "its Value is no array")
        if vr == "SQ":
            items = (self.data_set(item or {}, depth + 1) for item in values)
            return Items(tuple(Item(elements, is_undefined_length=False) for elements in items), False)
        try:
            return _encoded(vr, values)
        except (TypeError, ValueError, AttributeError, OverflowError, struct.error) as err:
            raise _wrong(tag, f"its Value is none of VR {vr}") from err


def _encoded(vr: str, values: list[Json]) -> bytes:
    """Raises what the values raise that are none of the VR."""
    if (form := _NUMBERS.get(vr)) is not None:
        convert = float if vr in ("FD", "FL") else _whole_number
        return b"".join(struct.pack(form, convert(value)) for value in values)
    if vr == "AT":
        return b"".join(struct.pack("<HH", int(value[:4], 16), int(value[4:8], 16)) for value in values)
    if vr in ("OB", "OD", "OF", "OL", "OV", "OW", "UN"):
        if values:
            raise ValueError
        return b""
    text = "\\".join("" if value is None else _text(vr, value) for value in values).encode("utf-8")
    if len(text) % 2:
        text += padding(vr.encode())
    return text


def _whole_number(value: Json) -> int:
    number = int(value)
    if isinstance(value, float) and number != value:
        raise ValueError
    return number


def _text(vr: str, value: Json) -> str:
    if vr == "PN":
        groups = [value] if isinstance(value, str) else [value.get(group) or "" for group in _GROUPS]
        return "=".join(groups).rstrip("=")
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or vr not in ("DS", "IS") or not math.isfinite(value):
        raise ValueError
    text = str(int(value) if float(value).is_integer() and abs(value) < 1e12 else value)
    digits = _LONGEST_DS
    while len(text) > _LONGEST_DS:
        text, digits = f"{value:.{digits}g}", digits - 1
    return text


def _wrong(tag: int, why: str) -> InvalidObject:
    return InvalidObject(f"element ({tag >> 16:04X},{tag & 0xFFFF:04X}): {why}")
