"""The bytes of a stored object, on their way out without being copied."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from dcm4py_leading.coercion.scan import Buffer
from dcm4py_leading.errors import StorageUnavailable

_READ_AT_ONCE = 1 << 17
"""Up to this many octets, reading is cheaper than mapping."""
WINDOW = 1 << 23
"""So much of a file is mapped in at a time, in octets; a multiple of the page size."""
_DONT_NEED: int | None = getattr(mmap, "MADV_DONTNEED", None)
_DICOM_PREFIX = 132
_FIRST_ELEMENT = 144


class StoredBytes:
    """A DICOM file that this service wrote (`archive.part10`): read when it is small, else mapped into memory."""

    def __init__(self, file: BinaryIO) -> None:
        """``file`` may be closed after this. Raises StorageUnavailable when it is none of ours."""
        descriptor = file.fileno()
        try:
            size = os.fstat(descriptor).st_size
            self._map: mmap.mmap | None = None
            if size <= _READ_AT_ONCE:
                self.view = memoryview(os.pread(descriptor, size, 0))
            else:
                self._map = mmap.mmap(descriptor, size, access=mmap.ACCESS_READ)
                self.view = memoryview(self._map)
        except (OSError, ValueError) as err:
            raise StorageUnavailable("a stored object cannot be read") from err
        if len(self.view) < _FIRST_ELEMENT or bytes(self.view[128:_DICOM_PREFIX]) != b"DICM":
            raise StorageUnavailable("a stored object is no DICOM file")
        self.start = _FIRST_ELEMENT + int.from_bytes(self.view[140:_FIRST_ELEMENT], "little")
        """Where the data set begins: behind the File Meta Information, which begins with its length (PS3.10 7.1)."""
        if self.start > len(self.view):
            raise StorageUnavailable("a stored object ends within its File Meta Information")

    def batches(self, pieces: Sequence[Buffer], rest: int) -> Iterator[Sequence[Buffer]]:
        """``pieces``, then everything from ``rest`` on; each batch is good until the next one is asked for.

        What was sent of a mapped file does not stay in memory.
        """
        size = len(self.view)
        at = rest
        first: Sequence[Buffer] = pieces
        while at < size:
            end = min((at // WINDOW + 1) * WINDOW, size)
            yield [*first, self.view[at:end]]
            first = ()
            if self._map is not None and _DONT_NEED is not None and size > WINDOW:
                self._map.madvise(_DONT_NEED, 0, end)
            at = end
        if first:
            yield first
