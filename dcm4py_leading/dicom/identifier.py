"""Identifiers of C-FIND, C-MOVE and C-GET between the wire and a Dataset."""

from __future__ import annotations

from pydicom import Dataset
from pydicom.uid import UID as PydicomUID
from pynetdicom.dsutils import decode, encode

from dcm4py_leading.dicom.message import Request
from dcm4py_leading.errors import IdentifierMismatch, StatusError


def decode_identifier(request: Request) -> Dataset:
    """The identifier of a request. Raises IdentifierMismatch when it cannot be parsed."""
    syntax = PydicomUID(request.transfer_syntax)
    try:
        identifier = decode(request.data, syntax.is_implicit_VR, syntax.is_little_endian, syntax.is_deflated)
        identifier.decode()
        for _ in identifier.iterall():  # pydicom parses values when they are first looked at
            pass
    except (ValueError, KeyError, TypeError, AttributeError, OSError, NotImplementedError, LookupError) as err:
        raise IdentifierMismatch(f"the identifier cannot be parsed ({type(err).__name__})") from err
    return identifier


def encode_identifier(request: Request, identifier: Dataset) -> bytes:
    """``identifier`` in the transfer syntax of the request's presentation context."""
    syntax = PydicomUID(request.transfer_syntax)
    encoded = encode(identifier, syntax.is_implicit_VR, syntax.is_little_endian, syntax.is_deflated)
    if encoded is None:
        raise StatusError("a response identifier cannot be encoded")
    return bytes(encoded)
