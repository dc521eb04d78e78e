"""Test if a data set is complete and plain: present to its last byte, and encoded as PS3.5 7 demands.

pydicom takes a file that ends early for what it has, so a truncated object would be stored without a word. This
walks over the structure and skips the values. It cannot know of a data set that ends between two elements of the
top level. What is not plain may still be understood; `reading` tells.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from pydicom._dicom_dict import DicomDictionary

from dcm4py_leading.dataset.layout import Layouts
from dcm4py_leading.dataset.reading import parse, read_data_set
from dcm4py_leading.dataset.scan import Buffer, Encoding, Span, Unscannable, encoding_of, scan
from dcm4py_leading.errors import InvalidObject

PIXELS = 0x7FE00008
"""The first tag of pixel data: there pydicom stops, too, where it reads headers."""
_UNDEFINED_LENGTH = b"\xff\xff\xff\xff"

_layouts = Layouts()


def plain_spans(data: Buffer, transfer_syntax_uid: str, *, start: int = 0) -> Mapping[int, Span] | None:
    """Where the top level elements before the pixel data are, if the data set from ``start`` on is plain to its end.

    None where it is deflated, odd, or broken. The same object for data sets that are laid out alike, as those of a
    series mostly are: it must not be changed.
    """
    encoding = encoding_of(transfer_syntax_uid)
    if encoding is None:
        return None
    try:
        spans, scanned_to = _layouts.scan(data, encoding, start=start, stop_before=PIXELS)
        rest, _ = scan(data, encoding, start=scanned_to)
        # The scan skips what has a length, so this looks into sequences.
        if any(
            parse(data, encoding, start=at, end=following).oddities
            for at, following in (*_nested(data, encoding, spans), *_nested(data, encoding, rest))
        ):
            return None
    except (Unscannable, InvalidObject):
        return None
    return spans or None


def values_of_whole(data: Buffer, transfer_syntax_uid: str, tags: Collection[int]) -> Mapping[int, Sequence[bytes]]:
    """The values of the top level elements of these tags; two where one stands there again with another value.

    ``tags`` are those of UIDs and IDs. Raises InvalidObject.
    """
    ds = read_data_set(data, transfer_syntax_uid)
    if not ds.elements:
        raise InvalidObject("the data set is empty")
    values = {tag: [ds.value(tag)] for tag in tags if tag in ds.elements}
    for tag in values.keys() & ds.conflicting.keys():
        other = ds.conflicting[tag]
        values[tag].append(b"" if isinstance(other, tuple) else bytes(other))
    return values


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


def _is_sequence_tag(tag: int) -> bool:
    """True if the data dictionary has a sequence there; one stands in a group that repeats, (50xx,2600)."""
    return tag in _SEQUENCES or tag & 0xFF00FFFF == 0x50002600


_SEQUENCES = frozenset(tag for tag, (vr, *_) in DicomDictionary.items() if vr == "SQ")
