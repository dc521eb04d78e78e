"""Identifiers of C-FIND, C-MOVE and C-GET between the wire and a Dataset."""

from __future__ import annotations

import zlib
from functools import lru_cache

from pydicom import Dataset
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, empty_value_for_VR
from pydicom.tag import BaseTag
from pydicom.uid import UID as PydicomUID

from dcm4py_leading.dataset.data_sets import read
from dcm4py_leading.dataset.scan import Encoding, Unscannable, encoding_of, scan
from dcm4py_leading.dataset.unreadable import UNREADABLE
from dcm4py_leading.dicom.message import Request
from dcm4py_leading.errors import IdentifierMismatch, StatusError
from dcm4py_leading.service.encode import encoded

_LONGEST = 1 << 26
"""Octets; a list of a million UIDs has less."""


def decode_identifier(request: Request) -> Dataset:
    """The identifier of a request. Raises IdentifierMismatch when it cannot be parsed."""
    received = bytearray()
    for part in request.data:
        received += part
        if len(received) > _LONGEST:
            raise IdentifierMismatch(f"the identifier is longer than {_LONGEST} octets")
    try:
        valued, universal = _split(bytes(received), request.transfer_syntax)
        identifier = decode(valued, request.transfer_syntax)
        _parse(identifier)
        for tag, vr in universal:
            identifier[tag] = DataElement(tag, vr, empty_value_for_VR(vr), already_converted=True)
    except (*UNREADABLE, zlib.error) as err:
        raise IdentifierMismatch(f"the identifier cannot be parsed ({type(err).__name__})") from err
    return identifier


def _split(encoded: bytes, transfer_syntax: str) -> tuple[bytes, list[tuple[BaseTag, str]]]:
    """The elements with a value, and the others by tag and VR: most keys have none, and take pydicom 20 us each."""
    encoding = encoding_of(transfer_syntax)
    if encoding is None:
        return encoded, []
    try:
        spans, _ = scan(encoded, encoding)
    except Unscannable:
        return encoded, []
    valued: list[bytes] = []
    universal: list[tuple[BaseTag, str]] = []
    for tag, (start, value, end) in spans.items():
        vr = _plain_vr(tag) if value == end else None
        if vr is None or not (encoding.is_implicit_vr or encoded[start + 4 : start + 6].decode("ascii") == vr):
            valued.append(encoded[start:end])
        else:
            universal.append((BaseTag(tag), vr))
    return b"".join(valued), universal


@lru_cache(maxsize=1024)
def _plain_vr(tag: int) -> str | None:
    """The VR of a standard attribute that is no sequence and has only one."""
    try:
        vr = dictionary_VR(tag)
    except KeyError:
        return None
    return vr if len(vr) == 2 and vr != "SQ" else None


def _parse(ds: Dataset) -> None:
    """Look at everything: pydicom parses values when they are first looked at."""
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
    """The data set, its text decoded; other values are parsed when they are looked at.

    Raises one of UNREADABLE, or zlib.error.
    """
    syntax = PydicomUID(transfer_syntax)
    if syntax.is_deflated:
        encoded = zlib.decompressobj(-zlib.MAX_WBITS).decompress(encoded, _LONGEST)
    return read(encoded, Encoding(syntax.is_implicit_VR, syntax.is_little_endian))
