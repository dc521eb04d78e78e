"""Identifiers of C-FIND, C-MOVE and C-GET between the wire and a Dataset."""

from __future__ import annotations

import zlib
from io import BytesIO

from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.uid import UID as PydicomUID

from dcm4py_leading.coercion.unreadable import UNREADABLE
from dcm4py_leading.dicom.message import Request
from dcm4py_leading.errors import IdentifierMismatch, StatusError

_LONGEST = 1 << 26
"""Octets; a list of a million UIDs has less."""


def decode_identifier(request: Request) -> Dataset:
    """The identifier of a request. Raises IdentifierMismatch when it cannot be parsed."""
    encoded = bytearray()
    for part in request.data:
        encoded += part
        if len(encoded) > _LONGEST:
            raise IdentifierMismatch(f"the identifier is longer than {_LONGEST} octets")
    try:
        identifier = decode(bytes(encoded), request.transfer_syntax)
        identifier.decode()
        for _ in identifier.iterall():  # pydicom parses values when they are first looked at
            pass
    except (*UNREADABLE, zlib.error) as err:
        raise IdentifierMismatch(f"the identifier cannot be parsed ({type(err).__name__})") from err
    return identifier


def encode_identifier(identifier: Dataset, transfer_syntax: str) -> bytes:
    """``identifier`` in the transfer syntax of its presentation context. Raises StatusError."""
    try:
        return encode(identifier, transfer_syntax)
    except UNREADABLE as err:
        raise StatusError(f"a response identifier cannot be encoded ({type(err).__name__})") from err


def decode(encoded: bytes, transfer_syntax: str) -> Dataset:
    """The data set; its values are parsed when they are looked at. Raises one of UNREADABLE, or zlib.error."""
    syntax = PydicomUID(transfer_syntax)
    if syntax.is_deflated:
        encoded = zlib.decompress(encoded, -zlib.MAX_WBITS)
    return read_dataset(BytesIO(encoded), syntax.is_implicit_VR, syntax.is_little_endian)


def encode(ds: Dataset, transfer_syntax: str) -> bytes:
    """The bytes of the data set. Raises one of UNREADABLE."""
    syntax = PydicomUID(transfer_syntax)
    buffer = DicomBytesIO()
    buffer.is_implicit_VR = syntax.is_implicit_VR
    buffer.is_little_endian = syntax.is_little_endian
    write_dataset(buffer, ds)
    encoded: bytes = buffer.getvalue()
    if syntax.is_deflated:
        compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        encoded = compressor.compress(encoded) + compressor.flush()
        encoded += b"\0" * (len(encoded) % 2)
    return encoded
