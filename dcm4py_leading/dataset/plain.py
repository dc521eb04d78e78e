"""Values that pydicom would write unchanged: copied as bytes, and compared as ASCII text.

A value is plain where reading it and writing it again gives the same bytes, whatever the character set. What is not
plain may still be right; it is left to pydicom.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

Matches = Callable[[bytes], object]

_SOLID = rb"[!-~](?:[ -~]*[!-~])?"
_WORD = rb"[!-\[\]-~](?:[ -\[\]-~]*[!-\[\]-~])?"
_WORDS = _WORD + rb"(?:\\" + _WORD + rb")*"
_DECIMAL = rb"[+-]?[0-9]{1,12}(?:\.[0-9]{0,24})?(?:[eE][+-]?[0-9]{1,2})?"
_FORMS: dict[bytes, bytes] = {
    b"UI": rb"[0-9.]+\0?",
    b"DA": rb"[0-9]{8}",
    b"TM": rb"[0-9.]+ ?",
    b"IS": rb"-?[0-9]{1,9} ?",
    b"DS": _DECIMAL + rb"(?:\\" + _DECIMAL + rb")* ?",
    b"PN": rb"[!-<>-\[\]-~](?:[ -<>-\[\]-~]*[!-<>-\[\]-~])? ?",
    **dict.fromkeys((b"AE", b"AS", b"CS", b"LO", b"SH"), _WORDS + b" ?"),
    **dict.fromkeys((b"LT", b"ST"), _SOLID + b" ?"),
}
_MATCHES: dict[bytes, Matches] = {vr: re.compile(form).fullmatch for vr, form in _FORMS.items()}
_UNPACKED = {
    b"US": struct.Struct("<H"),
    b"SS": struct.Struct("<h"),
    b"UL": struct.Struct("<L"),
    b"SL": struct.Struct("<l"),
}
_MAX_BYTES = 0xFFFE


def is_plain(vr: bytes, value: bytes) -> bool:
    """True if ``value`` of ``vr``, in little endian, is written as it was read. Only VRs with a short length are."""
    size = len(value)
    if size % 2 or size > _MAX_BYTES:
        return False
    matches = _MATCHES.get(vr)
    if matches is not None:
        return not size or matches(value) is not None
    return vr in _UNPACKED and size % _UNPACKED[vr].size == 0


def compared_text(vr: bytes, value: bytes) -> str | None:
    """The first of the plain values as `normal.first_text` has it."""
    if vr in _UNPACKED:
        return str(_UNPACKED[vr].unpack_from(value)[0]) if value else None
    if vr in (b"LT", b"ST"):
        return value.decode("ascii").strip(" \0") or None
    return value.decode("ascii").partition("\\")[0].strip(" \0") or None
