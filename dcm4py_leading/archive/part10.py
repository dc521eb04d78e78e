"""DICOM files (PS3.10 7): the header before a received data set, and reading back what was stored."""

from __future__ import annotations

from typing import BinaryIO, Protocol

import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID

from dcm4py_leading import __version__
from dcm4py_leading.archive.integrity import verify
from dcm4py_leading.coercion.unreadable import UNREADABLE
from dcm4py_leading.errors import InvalidObject

__all__ = ["IMPLEMENTATION_CLASS_UID", "IMPLEMENTATION_VERSION_NAME", "read_header", "verify", "write_header"]

IMPLEMENTATION_CLASS_UID = "2.25.75081376102063671794799070006276009994"
IMPLEMENTATION_VERSION_NAME = f"DCM4PY_{__version__}"[:16]


class Writable(Protocol):
    """What takes bytes."""

    def write(self, data: bytes, /) -> int: ...


def write_header(
    file: Writable,
    *,
    sop_class_uid: str,
    sop_instance_uid: str,
    transfer_syntax_uid: str,
    sending_ae_title: str,
) -> None:
    """Write preamble, prefix and File Meta Information, so that a data set in that transfer syntax may follow."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(sop_class_uid)
    meta.MediaStorageSOPInstanceUID = UID(sop_instance_uid)
    meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    meta.SourceApplicationEntityTitle = sending_ae_title
    buffer = DicomBytesIO()
    write_file_meta_info(buffer, meta, enforce_standard=True)
    file.write(bytes(128) + b"DICM" + buffer.getvalue())


def read_header(file: BinaryIO) -> FileDataset:
    """The data set of a DICOM file up to Pixel Data, with its File Meta Information. Raises InvalidObject.

    Values are parsed when they are looked at, so ``file`` must stay open no longer than this call.
    """
    file.seek(0)
    try:
        return pydicom.dcmread(file, stop_before_pixels=True)
    except (InvalidDicomError, *UNREADABLE) as err:
        raise InvalidObject(f"the data set cannot be parsed ({type(err).__name__})") from err
