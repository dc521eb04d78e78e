"""DICOM files (PS3.10 7): the header written before a received data set, and the header of a file that is read."""

from __future__ import annotations

import struct
from typing import BinaryIO, NamedTuple

from dcm4py_leading import __version__
from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE, Buffer, Span, Unscannable, scan
from dcm4py_leading.errors import InvalidObject

IMPLEMENTATION_CLASS_UID = "2.25.75081376102063671794799070006276009994"
IMPLEMENTATION_VERSION_NAME = f"DCM4PY_{__version__}"[:16]
DICOMDIR = "1.2.840.10008.1.3.10"
"""Media Storage Directory Storage (PS3.4 B.5)."""
_MAX_HEADER_BYTES = 1 << 20

_META_INFORMATION_VERSION = b"\x02\x00\x01\x00OB\x00\x00\x02\x00\x00\x00\x00\x01"


def encode_header(
    *, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, sending_ae_title: str
) -> bytes:
    """Preamble, prefix and File Meta Information, so that a data set in that transfer syntax may follow."""
    meta = (
        _META_INFORMATION_VERSION
        + _element(0x0002, b"UI", sop_class_uid)
        + _element(0x0003, b"UI", sop_instance_uid)
        + _element(0x0010, b"UI", transfer_syntax_uid)
        + _OUR_IMPLEMENTATION
        + _element(0x0016, b"AE", sending_ae_title)
    )
    return _PREAMBLE_AND_PREFIX + b"\x02\x00\x00\x00UL\x04\x00" + len(meta).to_bytes(4, "little") + meta


def _element(number: int, vr: bytes, text: str) -> bytes:
    """An element (0002,number)."""
    value = text.encode("latin-1", "replace")
    if len(value) % 2:
        value += b"\0" if vr == b"UI" else b" "
    return _HEADER.pack(0x0002, number, vr, len(value)) + value


_HEADER = struct.Struct("<HH2sH")
_PREAMBLE_AND_PREFIX = bytes(128) + b"DICM"
_OUR_IMPLEMENTATION = _element(0x0012, b"UI", IMPLEMENTATION_CLASS_UID) + _element(
    0x0013, b"SH", IMPLEMENTATION_VERSION_NAME
)


def media_storage_sop_instance_uid(data: Buffer) -> str | None:
    """(0002,0003) of a file of ours that begins with ``data``; None if it is not one."""
    try:
        spans, _ = scan(data, EXPLICIT_LITTLE, start=len(_PREAMBLE_AND_PREFIX), stop_before=0x00020004)
        _, value, following = spans[0x00020003]
    except (Unscannable, KeyError):
        return None
    return bytes(data[value:following]).decode("latin-1").rstrip("\0")


class FileMeta(NamedTuple):
    """File Meta Information, as far as it is needed to store the data set."""

    media_storage_sop_class_uid: str
    media_storage_sop_instance_uid: str
    transfer_syntax_uid: str
    end: int
    """Offset of the data set in the file."""


def read_file_meta(file: BinaryIO) -> FileMeta | None:
    """File Meta Information of a file, positioned at its start; None if it is not a DICOM file.

    Raises OSError, and InvalidObject where it cannot be read or lacks one of the three.
    """
    start = len(_PREAMBLE_AND_PREFIX)
    data = file.read(start)
    if data[128:] != b"DICM":
        return None
    data += file.read(_MAX_HEADER_BYTES)
    try:
        spans, end = scan(data, EXPLICIT_LITTLE, start=start, stop_before=0x00020001)
        if 0x00020000 in spans:  # in another transfer syntax, what follows the header may look like a part of it
            length = int.from_bytes(data[spans[0x00020000][1] : end], "little")
            spans, end = scan(data, EXPLICIT_LITTLE, start=start, end=min(end + length, len(data)))
        else:
            spans, end = scan(data, EXPLICIT_LITTLE, start=start, stop_before=0x00030000)
        sop_class, sop_instance, syntax = (_uid(data, spans[tag]) for tag in (0x00020002, 0x00020003, 0x00020010))
        return FileMeta(sop_class, sop_instance, syntax, end)
    except Unscannable as err:
        raise InvalidObject(f"the File Meta Information cannot be read: {err}") from err
    except KeyError as err:
        raise InvalidObject(f"the File Meta Information lacks element {err.args[0]:08X}") from err


def _uid(data: Buffer, span: Span) -> str:
    _, value, following = span
    return bytes(data[value:following]).decode("latin-1").rstrip("\0 ")
