"""Comparison of elements by their octets, and recognition of text elements."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydicom.datadict import dictionary_VR

from dcm4py_leading.dataset.scan import Buffer, Encoding, Span
from dcm4py_leading.dataset.text.charset import SPECIFIC_CHARACTER_SET

_TEXT_VRS = frozenset({b"LO", b"LT", b"PN", b"SH", b"ST", b"UC", b"UT", b"SQ", b"UN"})
"""VRs of what a change of the character set may concern, and of what may hold it (PS3.5 6.1.2.2)."""


def unequal_tags(
    view: memoryview,
    encoding: Encoding,
    spans: Mapping[int, Span],
    own: bytes,
    own_spans: Mapping[int, Span],
    compared: Iterable[int],
) -> tuple[int, ...]:
    """Instance attributes of the index that may differ in the object.

    They differ for each object, but usually equal those of the object, and then change nothing.
    """
    if not compared:
        return ()
    differing = []
    codes = value_of(view, spans, SPECIFIC_CHARACTER_SET)
    own_codes = value_of(own, own_spans, SPECIFIC_CHARACTER_SET)
    same_set = codes == own_codes
    is_ascii_the_same = b"IR 13" not in codes and b"IR 13" not in own_codes
    for tag in compared:
        start, value, end = own_spans[tag]
        span = spans.get(tag)
        expected = own[value:end]
        if (
            span is None
            or view[span[1] : span[2]] != expected
            or not (same_set or (is_ascii_the_same and expected.isascii()))
            or not encoding.is_little_endian
            or own[start + 4 : start + 6] == b"SQ"
        ):
            differing.append(tag)
    return tuple(differing)


def value_of(view: Buffer, spans: Mapping[int, Span], tag: int) -> bytes:
    span = spans.get(tag)
    return b"" if span is None else bytes(view[span[1] : span[2]])


def is_text(view: memoryview, tag: int, span: Span, encoding: Encoding) -> bool:
    """True if the element may hold text."""
    start = span[0]
    if encoding.is_implicit_vr:
        try:
            vr = dictionary_VR(tag).encode()
        except KeyError:
            return False  # read as UN, which is not changed
    else:
        vr = bytes(view[start + 4 : start + 6])
    return vr in _TEXT_VRS and not (vr == b"UN" and tag >> 16 & 1)


def is_concerned(view: memoryview, span: Span, is_ascii_the_same: bool) -> bool:
    """True if a change of the character set may change the text of the element."""
    _, value, end = span
    if not is_ascii_the_same:
        return value != end
    data = bytes(view[value:end])
    return not data.isascii() or b"\x1b" in data
