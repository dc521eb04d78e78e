"""Value representations (PS3.5 6.2): lengths, byte order, padding, and the VR of a tag in the data dictionary."""

from __future__ import annotations

from array import array
from functools import lru_cache

from pydicom.datadict import dictionary_VR

LONG_VRS = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
SHORT_VRS = (
    *(b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL"),
    *(b"SS", b"ST", b"TM", b"UI", b"UL", b"US"),
)
HAS_LONG_LENGTH = dict.fromkeys(LONG_VRS, True) | dict.fromkeys(SHORT_VRS, False)
"""By VR, whether its length has 32 bits in Explicit VR (PS3.5 7.1.2)."""

TEXT_VRS = frozenset({b"LO", b"LT", b"PN", b"SH", b"ST", b"UC", b"UT"})
"""Those whose text is written in the Specific Character Set (PS3.5 6.1.2.2)."""

WORD_SIZES = {
    **dict.fromkeys((b"AT", b"OW", b"SS", b"US"), 2),
    **dict.fromkeys((b"FL", b"OF", b"OL", b"SL", b"UL"), 4),
    **dict.fromkeys((b"FD", b"OD", b"OV", b"SV", b"UV"), 8),
}
"""In octets: the words whose byte order depends on the transfer syntax (PS3.5 7.3)."""

_VALUE_SIZES = WORD_SIZES | {b"AT": 4}
_PADDED_WITH_NUL = frozenset({b"OB", b"OW", b"UI", b"UN", b"", *WORD_SIZES})
_MAX_SHORT_LENGTH = 0xFFFE
_CODES = {2: "H", 4: "I", 8: "Q"}


def padding(vr: bytes) -> bytes:
    """Octet that pads a value of odd length (PS3.5 6.2)."""
    return b"\0" if vr in _PADDED_WITH_NUL else b" "


def fits(vr: bytes, length: int) -> bool:
    """True if a value of so many octets can be one of that VR, and its length be written."""
    if length % _VALUE_SIZES.get(vr, 1):
        return False
    return length <= _MAX_SHORT_LENGTH or HAS_LONG_LENGTH[vr]


def is_whole(vr: bytes, length: int) -> bool:
    """True if a value of so many octets consists of words of the VR, so that they can be turned round.

    OW is taken for one that lacks its padding.
    """
    return vr == b"OW" or length % WORD_SIZES.get(vr, 1) == 0


def swapped(value: bytes | bytearray | memoryview, vr: bytes) -> bytes | bytearray | memoryview:
    """The value in the other byte order; as it is where it is not of words (PS3.5 7.3)."""
    size = WORD_SIZES.get(vr)
    if size is None or not is_whole(vr, len(value)):
        return value
    words = array(_CODES[size], bytes(value) + b"\0" * (len(value) % 2))
    words.byteswap()
    return words.tobytes()


@lru_cache(maxsize=8192)
def dictionary_vr(tag: int) -> str:
    """The VR of the data dictionary (PS3.6), ``"US or SS"`` where it has several; empty where it has none."""
    if not tag & 0xFFFF:
        return "UL"
    if tag >> 16 & 1:
        return "LO" if 0x10 <= tag & 0xFFFF <= 0xFF else ""
    try:
        return dictionary_VR(tag)
    except KeyError:
        return ""
