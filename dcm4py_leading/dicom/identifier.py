"""Identifiers of C-FIND, C-MOVE and C-GET between the wire and a Dataset."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from functools import lru_cache

from pydicom import Dataset
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, empty_value_for_VR
from pydicom.tag import BaseTag
from pydicom.uid import UID as PydicomUID

from dcm4py_leading.dataset.data_sets import read
from dcm4py_leading.dataset.deflate import inflated
from dcm4py_leading.dataset.elements import DataSet, Elements, Items, Oddity
from dcm4py_leading.dataset.encoder import encode
from dcm4py_leading.dataset.reading import parse
from dcm4py_leading.dataset.scan import (
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    Encoding,
    Span,
    Unscannable,
    encoding_of,
    scan,
)
from dcm4py_leading.dataset.text.unreadable import UNREADABLE
from dcm4py_leading.dataset.vr import LONG_VRS, dictionary_vr
from dcm4py_leading.dicom.message import Request
from dcm4py_leading.errors import IdentifierMismatch, InvalidObject, StatusError, TooMuchInflated
from dcm4py_leading.model import bounds
from dcm4py_leading.service.retrieve.encode import encoded

_LONGEST_RESPONSE = 1 << 26
"""Octets."""
_SMALL = 1 << 14
"""Octets up to which an identifier is scanned at once."""
_DELIMITERS = 0xFFFE0000


def decode_identifier(request: Request) -> Dataset:
    """Read the identifier of a request. Raises IdentifierMismatch when a part of it cannot be parsed.

    Errors that leave no doubt, such as tags out of order, are accepted. A key that comes twice with different values is
    not: it is unclear which value is meant.
    """
    data, encoding, spans = _elements(request)
    if data.count(b"\\") >= bounds.IDENTIFIER_VALUES:
        raise IdentifierMismatch(f"the identifier has more than {bounds.IDENTIFIER_VALUES} values")
    valued: list[bytes] = []
    universal: list[tuple[BaseTag, str]] = []
    for tag, (start, value, end) in spans.items():
        vr = _plain_vr(tag) if value == end else None
        if vr is None or not (encoding.is_implicit_vr or data[start + 4 : start + 6] == vr.encode()):
            valued.append(data[start:end])
        else:
            universal.append((BaseTag(tag), vr))
    try:
        identifier = read(b"".join(valued), encoding)
        _parse(identifier)
        # Most keys have no value, and take pydicom 20 us each.
        for tag, vr in universal:
            identifier[tag] = DataElement(tag, vr, empty_value_for_VR(vr), already_converted=True)
    except UNREADABLE as err:
        raise IdentifierMismatch(f"the identifier cannot be parsed ({type(err).__name__})") from err
    return identifier


def _elements(request: Request) -> tuple[bytes, Encoding, Mapping[int, Span]]:
    """Read the whole identifier within its bounds; return it, its encoding, and the positions of its elements."""
    received = bytearray()
    for part in request.data:
        received += part
        if len(received) > bounds.IDENTIFIER_BYTES:
            raise IdentifierMismatch(f"the identifier is longer than {bounds.IDENTIFIER_BYTES} octets")
    data = bytes(received)
    encoding = encoding_of(request.transfer_syntax)
    try:
        if encoding is None:
            data, encoding = bytes(inflated(data, most=bounds.IDENTIFIER_BYTES)), EXPLICIT_LITTLE
        if len(data) <= _SMALL and (plain := _plain(data, encoding)):
            return data, encoding, plain
        ds = parse(data, encoding, most_elements=bounds.IDENTIFIER_ELEMENTS)
    except TooMuchInflated:
        raise
    except InvalidObject as err:
        raise IdentifierMismatch(f"the identifier: {err}") from err
    if _may_be_cut(data, ds):
        raise IdentifierMismatch("the identifier ends within the header of an element")
    if ds.conflicting:
        which = ", ".join(f"({tag >> 16:04X},{tag & 0xFFFF:04X})" for tag in sorted(ds.conflicting)[:5])
        raise IdentifierMismatch(f"the identifier has keys twice, with different values: {which}")
    if _depth(ds.elements) > bounds.IDENTIFIER_DEPTH:
        raise IdentifierMismatch(f"the identifier has sequences nested more than {bounds.IDENTIFIER_DEPTH} deep")
    # Implicit VR: the VR is that of the data dictionary, whatever the length of the value.
    form = IMPLICIT_LITTLE if encoding.is_implicit_vr else EXPLICIT_LITTLE
    data = b"".join(encode(ds.elements, form))
    spans, _ = scan(data, form)
    return data, form, spans


def _plain(data: bytes, encoding: Encoding) -> Mapping[int, Span] | None:
    """Positions of the elements of a usual identifier; None if it needs a closer look."""
    try:
        spans, _ = scan(data, encoding)
    except Unscannable:
        return None
    return spans if spans and _is_flat(data, encoding, spans) else None


def _may_be_cut(data: bytes, ds: DataSet) -> bool:
    """True if the faulty part may be the start of an element whose end is missing."""
    return Oddity.UNKNOWN_VR in ds.oddities and data[-4:-2] in LONG_VRS


def _is_flat(data: bytes, encoding: Encoding, spans: Mapping[int, Span]) -> bool:
    """True if no element has items; a scan does not look into items."""
    if max(spans) >= _DELIMITERS:
        return False
    if encoding.is_implicit_vr:
        return all(value == end or _is_no_sequence(tag) for tag, (_, value, end) in spans.items())
    return not any(value - at == 12 and value != end for at, value, end in spans.values())


def _depth(elements: Elements) -> int:
    """Depth of nested sequences."""
    items = (item for element in elements.values() if isinstance(element.value, Items) for item in element.value.items)
    return max((1 + _depth(item.elements) for item in items), default=0)


@lru_cache(maxsize=1024)
def _is_no_sequence(tag: int) -> bool:
    """True if the attribute is in the data dictionary and is not a sequence."""
    return dictionary_vr(tag) not in ("", "SQ")


@lru_cache(maxsize=1024)
def _plain_vr(tag: int) -> str | None:
    """The VR of a standard attribute that is no sequence and has only one."""
    try:
        vr = dictionary_VR(tag)
    except KeyError:
        return None
    return vr if len(vr) == 2 and vr != "SQ" else None


def _parse(ds: Dataset) -> None:
    """Parse every value now; pydicom otherwise parses a value when it is first read."""
    for tag in list(ds.keys()):
        element = ds[tag]
        if element.VR == "SQ":
            for item in element.value:
                _parse(item)


def encode_identifier(identifier: Dataset, transfer_syntax: str) -> bytes:
    """``identifier`` in the transfer syntax of its presentation context. Raises StatusError."""
    try:
        return encoded(identifier, transfer_syntax)
    except UNREADABLE as err:
        raise StatusError(f"a response identifier cannot be encoded ({type(err).__name__})") from err


def decode(encoded: bytes, transfer_syntax: str) -> Dataset:
    """Decode a data set and its text; pydicom parses other values when they are first read.

    Raises one of UNREADABLE, or zlib.error.
    """
    syntax = PydicomUID(transfer_syntax)
    if syntax.is_deflated:
        encoded = zlib.decompressobj(-zlib.MAX_WBITS).decompress(encoded, _LONGEST_RESPONSE)
    return read(encoded, Encoding(syntax.is_implicit_VR, syntax.is_little_endian))
