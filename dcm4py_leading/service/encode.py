"""From a data set to the bytes of a C-STORE in a transfer syntax that the destination accepts."""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader, FileIO
from typing import BinaryIO

from pydicom import Dataset
from pydicom.dataelem import DataElement
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dcm4py_leading.dataset.data_sets import read_file, write
from dcm4py_leading.dataset.pixel_data import decompress
from dcm4py_leading.dataset.scan import Buffer, Encoding
from dcm4py_leading.dataset.unreadable import UNREADABLE
from dcm4py_leading.errors import SubOperationFailed

UNCOMPRESSED = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))
_ODD = (*UNREADABLE, RuntimeError, InvalidDicomError, zlib.error)
_WORD_TYPES = {"OW": "H", "OL": "I", "OF": "I", "OD": "Q", "OV": "Q"}


@dataclass(slots=True, kw_only=True)
class PreparedObject:
    """An object as it goes out: what the C-STORE command names, and the data set's bytes in pieces."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    length: int
    """Octets of the data set."""
    source: Iterator[Sequence[Buffer]] | None
    release: Callable[[], None] = lambda: None
    """Lets go of what the bytes come from."""
    is_transcoded: bool = False
    """Whether it leaves in another transfer syntax than it is stored in."""

    def batches(self) -> Iterator[Sequence[Buffer]]:
        """The data set, once, in buffers to be sent together; each batch is good until the next one is asked for."""
        source, self.source = self.source, None
        return iter(()) if source is None else source

    def close(self) -> None:
        """Let go of the file that the bytes come from. May be called again."""
        self.source = None
        self.release()


def proposed_transfer_syntaxes(stored: str) -> tuple[tuple[str, ...], ...]:
    """What to propose for an object: one presentation context for each tuple.

    The stored syntax in a context of its own, so that the peer cannot prefer another, and the uncompressed ones.
    """
    return ((stored,), tuple(syntax for syntax in UNCOMPRESSED if syntax != stored))


def choose_transfer_syntax(stored: str, accepted: Collection[str]) -> str:
    """The accepted syntax to send in: the stored one if possible. Raises SubOperationFailed."""
    for syntax in (stored, *UNCOMPRESSED):
        if syntax in accepted:
            return syntax
    raise SubOperationFailed("the destination accepts neither the stored nor an uncompressed transfer syntax")


@contextmanager
def object_errors(what: str) -> Iterator[None]:
    """Turn what pydicom and its plug-ins raise on an odd object into SubOperationFailed, without its values."""
    try:
        yield
    except _ODD as err:
        raise SubOperationFailed(f"{what} ({type(err).__name__})") from err


def read_object(file: BinaryIO) -> Dataset:
    """The data set of a stored DICOM file. Raises SubOperationFailed."""
    file.seek(0)
    buffered = BufferedReader(file) if isinstance(file, FileIO) else file
    try:
        with object_errors("cannot be parsed"):
            return read_file(buffered)
    finally:
        if isinstance(buffered, BufferedReader) and buffered is not file:
            buffered.detach()  # `file` stays open


def read_encoded(file: BinaryIO) -> bytes:
    """The bytes of the data set of a stored DICOM file, as they were received (PS3.10 7.1)."""
    file.seek(140)
    group_length = int.from_bytes(file.read(4), "little")  # of the File Meta Information, which `part10` wrote
    file.seek(144 + group_length)
    return file.read()


def encode_data_set(ds: Dataset, stored: str, target: str) -> bytes:
    """``ds``, which was read in transfer syntax ``stored``, in ``target``. May change ``ds``.

    Raises SubOperationFailed.
    """
    source, syntax = UID(stored), UID(target)
    if source.is_encapsulated and not syntax.is_encapsulated:
        with object_errors("cannot be decompressed"):
            decompress(ds, stored)
        source = ExplicitVRLittleEndian
    with object_errors("cannot encode"):
        if source.is_little_endian != syntax.is_little_endian:
            _swap_words(ds)
        return encoded(ds, target)


def encoded(ds: Dataset, transfer_syntax_uid: str) -> bytes:
    """A data set without bulk data, such as an identifier, in that transfer syntax. Raises one of UNREADABLE."""
    syntax = UID(transfer_syntax_uid)
    data = write(ds, Encoding(syntax.is_implicit_VR, syntax.is_little_endian))
    return deflated(data) if syntax.is_deflated else data


def deflated(data: bytes) -> bytes:
    """PS3.5 A.5: raw deflate, padded to even length."""
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    small = compressor.compress(data) + compressor.flush()
    return small + b"\0" * (len(small) % 2)


def _swap_words(ds: Dataset) -> None:
    """Turn the byte order of word-valued elements, which pydicom keeps as bytes (PS3.5 6.2, OW and the like)."""

    def swap(_: Dataset, element: DataElement) -> None:
        code = _WORD_TYPES.get(element.VR)
        if code is not None and isinstance(element.value, bytes):
            words = array(code, element.value)
            words.byteswap()
            element.value = words.tobytes()

    ds.walk(swap)
