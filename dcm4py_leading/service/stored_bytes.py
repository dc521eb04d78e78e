"""The bytes of a stored object, on their way out."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from dcm4py_leading.dataset.scan import Buffer
from dcm4py_leading.errors import StorageUnavailable

BUFFER = 1 << 20
"""Octets that are read at once. Into memory that is used again and again: to map a file costs half as much more."""
_DICOM_PREFIX = 132
_FIRST_ELEMENT = 144


class Buffers:
    """Memory to read into, for one retrieve: as many pieces as objects are under way at a time. Safe under threads."""

    def __init__(self) -> None:
        self._free: list[memoryview] = []

    def take(self) -> memoryview:
        """One of `BUFFER` octets."""
        try:
            return self._free.pop()
        except IndexError:
            return memoryview(bytearray(BUFFER))

    def give_back(self, buffer: memoryview) -> None:
        """Nobody looks at it any more."""
        self._free.append(buffer)


class StoredBytes:
    """A DICOM file that this service wrote (`dataset.part10`).

    One of up to `BUFFER` octets is read. Of a larger one, ``view`` is a map, of which only the head gets touched; the
    rest is read piece by piece when it is sent.
    """

    def __init__(self, file: BinaryIO, buffers: Buffers) -> None:
        """``file`` may be closed after this. Raises StorageUnavailable when it is none of ours."""
        descriptor = file.fileno()
        self._buffers = buffers
        self._buffer: memoryview | None = buffers.take()
        self._descriptor: int | None = None
        try:
            size = os.fstat(descriptor).st_size
            if size <= BUFFER:
                self.view = self._buffer[:size]
                _read(descriptor, self.view, 0)
            else:
                self.view = memoryview(mmap.mmap(descriptor, size, access=mmap.ACCESS_READ))
                self._descriptor = os.dup(descriptor)
            self.start = start_of_data_set(self.view)
        except (OSError, ValueError) as err:
            self.close()
            raise StorageUnavailable("a stored object cannot be read") from err
        except StorageUnavailable:
            self.close()
            raise

    def batches(self, pieces: Sequence[Buffer], rest: int) -> Iterator[Sequence[Buffer]]:
        """``pieces``, then everything from ``rest`` on; each batch is good until the next one is asked for.

        Raises StorageUnavailable.
        """
        size = len(self.view)
        if self._descriptor is None:
            yield [*pieces, self.view[rest:]]
            return
        first: Sequence[Buffer] = pieces
        for at in range(rest, size, BUFFER):
            assert self._buffer is not None
            part = self._buffer[: min(BUFFER, size - at)]
            try:
                _read(self._descriptor, part, at)
            except OSError as err:
                raise StorageUnavailable("a stored object cannot be read") from err
            yield [*first, part]
            first = ()
        if first:
            yield first

    def close(self) -> None:
        """Nobody looks at its bytes any more. May be called again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        if self._buffer is not None:
            self._buffers.give_back(self._buffer)
            self._buffer = None


def _read(descriptor: int, into: memoryview, at: int) -> None:
    """Fill it with what the file has from ``at`` on. Raises OSError when the file has become shorter."""
    done = 0
    while done < len(into):
        count = os.preadv(descriptor, [into[done:]], at + done)
        if not count:
            raise OSError("the file ends early")
        done += count


def read_stored(file: BinaryIO) -> tuple[memoryview, int]:
    """The whole of such a file, and where its data set begins. Raises StorageUnavailable."""
    try:
        file.seek(0)
        view = memoryview(file.read())
    except OSError as err:
        raise StorageUnavailable("a stored object cannot be read") from err
    return view, start_of_data_set(view)


def start_of_data_set(view: memoryview) -> int:
    """Where it begins: behind the File Meta Information, which begins with its length (PS3.10 7.1)."""
    if len(view) < _FIRST_ELEMENT or bytes(view[128:_DICOM_PREFIX]) != b"DICM":
        raise StorageUnavailable("a stored object is no DICOM file")
    start = _FIRST_ELEMENT + int.from_bytes(view[140:_FIRST_ELEMENT], "little")
    if start > len(view):
        raise StorageUnavailable("a stored object ends within its File Meta Information")
    return start
