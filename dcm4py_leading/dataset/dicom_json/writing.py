"""The DICOM JSON Model (PS3.18 Annex F), written from encoded data sets.

Element by element from their bytes, as `scan` finds them: answers to queries have few kinds of elements, and the same
ones again and again. IS, DS, SV and UV are strings, as dcm4chee has them; PS3.18 F.2.2 leaves the choice.
"""

from __future__ import annotations

import base64
import json
import math
import struct
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

from dcm4py_leading.dataset.data_sets import read, write
from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE, scan
from dcm4py_leading.dataset.text.character_sets import UTF_8, CharacterSet
from dcm4py_leading.dataset.text.charset import SPECIFIC_CHARACTER_SET
from dcm4py_leading.dataset.text.text import TEXT_VRS, decode, shown
from dcm4py_leading.dataset.vr import HAS_LONG_LENGTH

_SINGLE_VALUED = frozenset({"LT", "ST", "UT", "UR"})
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_NUMBERS: Mapping[str, tuple[str, int]] = {
    "FD": ("d", 8),
    "FL": ("f", 4),
    "SL": ("i", 4),
    "SS": ("h", 2),
    "UL": ("I", 4),
    "US": ("H", 2),
}
_NUMBERS_AS_TEXT: Mapping[str, tuple[str, int]] = {"SV": ("q", 8), "UV": ("Q", 8)}
_BYTES = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_PADDING = " \0"
_LONGEST_KNOWN = 256
IS_UTF_8 = f'"{SPECIFIC_CHARACTER_SET:08X}":{{"vr":"CS","Value":["{UTF_8}"]}}'
"""JSON is in UTF-8, whatever the data set was in (PS3.18 F.2)."""


def json_object(
    data: bytes,
    *,
    without: Collection[int] = (),
    added: Mapping[int, str] | None = None,
    inherited: CharacterSet = (),
) -> str:
    """The JSON object of a data set in Explicit VR Little Endian.

    ``without`` are tags that are left out; ``added`` are members of further tags, as `json_element` makes them.
    ``inherited`` is the character set of what it is an item of. Raises Unscannable, or one of UNREADABLE.
    """
    spans, _ = scan(data, EXPLICIT_LITTLE)
    codes = inherited
    if SPECIFIC_CHARACTER_SET in spans:
        _, start, end = spans[SPECIFIC_CHARACTER_SET]
        codes = character_set_of(data[start:end])
    members = dict(added or {})
    for tag, (start, _, end) in spans.items():
        if tag == SPECIFIC_CHARACTER_SET:
            members[tag] = IS_UTF_8
        elif tag not in without and tag & 0xFFFF:  # a group length is of no use here
            members[tag] = json_member(data[start:end], codes)
    return f"{{{','.join(members[tag] for tag in sorted(members))}}}"


def json_element(tag: int, vr: str, values: list[Any]) -> str:
    """A member of a JSON object, for `json_object`."""
    value = f',"Value":{json.dumps(values, ensure_ascii=False)}' if values else ""
    return f'"{tag:08X}":{{"vr":"{vr}"{value}}}'


def json_member(element: bytes, codes: CharacterSet) -> str:
    """A member of a JSON object out of an element in Explicit VR Little Endian, in this character set."""
    return (_known if len(element) <= _LONGEST_KNOWN else _member)(element, codes)


@lru_cache(maxsize=64)
def character_set_of(value: bytes) -> CharacterSet:
    """The character set that a value of Specific Character Set declares."""
    terms = tuple(term.strip(_PADDING) for term in value.decode("latin-1").split("\\"))
    return terms if any(terms) else ()


def _member(element: bytes, codes: CharacterSet) -> str:
    group, number = struct.unpack_from("<HH", element)
    tag, code = group << 16 | number, element[4:6]
    vr, value = code.decode("ascii"), element[12 if HAS_LONG_LENGTH[code] else 8 :]
    if vr in _BYTES:
        inline = f',"InlineBinary":"{base64.b64encode(value).decode("ascii")}"' if value else ""
        return f'"{tag:08X}":{{"vr":"{vr}"{inline}}}'
    if vr == "SQ":
        return _sequence(tag, element, codes)
    return json_element(tag, vr, _values(vr, value, codes))


_known = lru_cache(maxsize=8192)(_member)


def _values(vr: str, value: bytes, codes: CharacterSet) -> list[Any]:
    if vr in _NUMBERS:
        return [None if math.isnan(n) or math.isinf(n) else n for n in _unpacked(value, *_NUMBERS[vr])]
    if vr in _NUMBERS_AS_TEXT:
        return list(map(str, _unpacked(value, *_NUMBERS_AS_TEXT[vr])))
    if vr == "AT":
        pairs = _unpacked(value, "H", 2)
        return [f"{group:04X}{number:04X}" for group, number in zip(pairs[::2], pairs[1::2], strict=False)]
    text = decode(value, codes, vr) if vr in TEXT_VRS else value.decode("latin-1")
    parts = [text] if vr in _SINGLE_VALUED else text.split("\\")
    stripped = [part.rstrip(_PADDING) if vr in TEXT_VRS else part.strip(_PADDING) for part in parts]
    if not any(stripped):
        return []
    return [(_name(shown(part)) if vr == "PN" else shown(part)) if part else None for part in stripped]


def _name(text: str) -> dict[str, str] | None:
    groups = [group.rstrip(_PADDING) for group in text.split("=")]
    return {name: group for name, group in zip(_GROUPS, groups, strict=False) if group} or None


def _unpacked(value: bytes, form: str, size: int) -> tuple[Any, ...]:
    return struct.unpack(f"<{len(value) // size}{form}", value[: len(value) // size * size])


def _sequence(tag: int, element: bytes, codes: CharacterSet) -> str:
    items = [
        json_object(write(item, EXPLICIT_LITTLE, inherited=codes), inherited=codes)
        for item in read(element, EXPLICIT_LITTLE, inherited=codes)[tag].value or ()
    ]
    value = f',"Value":[{",".join(items)}]' if items else ""
    return f'"{tag:08X}":{{"vr":"SQ"{value}}}'
