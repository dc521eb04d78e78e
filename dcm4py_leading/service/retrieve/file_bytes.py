"""The bytes of an object in a file, on their way out.

Python reads the head of the file, and later element headers one by one, into memory. The rest is passed to the system
as a map of the file, which Python never reads: reading the map of a truncated file would end the process (SIGBUS),
while the system only refuses to send it.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Sequence
from typing import Any, BinaryIO

from dcm4py_leading.dataset.object_bytes import BATCH, Batches
from dcm4py_leading.dataset.scan import Buffer
from dcm4py_leading.errors import StorageUnavailable
from dcm4py_leading.model.bounds import LOOKED_AT_BYTES, MAPPED_BYTES

HEAD = 1 << 16
"""Octets that are read of a file. To hand the rest to the system as a map costs less than to read it, above this
size."""
_FURTHER = 4
"""Times as many octets are read when the head does not do."""
_WINDOW = 4096
"""Octets that are read for a header beyond the head: the next one may be near."""
_DICOM_PREFIX = 132
_FIRST_ELEMENT = 144
_CANNOT_BE_READ = "a stored object cannot be read"


class Buffers:
    """Reusable read buffers of one retrieve: one for each object under way. Safe under threads."""

    def __init__(self) -> None:
        self._free: list[memoryview] = []

    def take(self) -> memoryview:
        """Take a buffer of `BATCH` octets."""
        try:
            return self._free.pop()
        except IndexError:
            return _memory(BATCH)

    def give_back(self, buffer: memoryview) -> None:
        """Return a buffer."""
        self._free.append(buffer)


class FileBytes:
    """A data set in a file; implements `dataset.object_bytes.ObjectBytes`."""

    __slots__ = (
        "_buffer",
        "_buffers",
        "_descriptor",
        "_is_part",
        "_origin",
        "_window",
        "_window_at",
        "size",
        "start",
        "view",
    )

    def __init__(self, descriptor: int, size: int, buffers: Buffers, *, origin: int | None = None) -> None:
        """``descriptor`` is closed with this object. Raises StorageUnavailable if the file has changed.

        The file has ``size`` octets and was written by this service (`dataset.part10`). With ``origin``, the data set
        has ``size`` octets and begins there.
        """
        self.size = size
        self.start = 0
        self._buffers = buffers
        self._descriptor: int | None = descriptor
        self._buffer: memoryview | None = buffers.take()
        self._origin = origin or 0
        self._is_part = origin is not None
        self._window = b""
        self._window_at = 0
        try:
            if size <= HEAD and origin is None:
                self.view = self._buffer[:size]
                # One call is enough if the file has its old length; a longer file is read on.
                if os.preadv(descriptor, [self._buffer], 0) != size:
                    self._require_size()
                    self._read(self.view, 0)
            else:
                self._require_size()
                self.view = self._buffer[: min(size, HEAD)]
                self._read(self.view, 0)
            if origin is None:
                self.start = start_of_data_set(self.view)
        except OSError as err:
            self.close()
            raise StorageUnavailable(_CANNOT_BE_READ) from err
        except StorageUnavailable:
            self.close()
            raise

    @property
    def is_in_memory(self) -> bool:
        """True if there is nothing more to be read (see `ObjectBytes`)."""
        return len(self.view) == self.size

    def look_further(self) -> bool:
        """Read more of the file into memory (see `ObjectBytes`)."""
        assert self._buffer is not None
        length = len(self.view)
        if length == self.size or length >= LOOKED_AT_BYTES:
            return False
        length = min(_FURTHER * length, self.size, LOOKED_AT_BYTES)
        view = (self._buffer if length <= BATCH else _memory(length))[:length]
        self._read_part(view, 0)
        self.view = view
        return True

    def unpacked(self, form: struct.Struct, at: int) -> tuple[Any, ...]:
        """Numbers of a header (see `scan.Windowed`)."""
        end = at + form.size
        if end <= len(self.view):
            return form.unpack_from(self.view, at)
        if not self._window_at <= at <= end <= self._window_at + len(self._window):
            window = memoryview(bytearray(max(min(_WINDOW, self.size - at), 0)))
            self._read_part(window, at)
            self._window, self._window_at = bytes(window), at
        return form.unpack_from(self._window, at - self._window_at)

    def all(self) -> Buffer:
        """All of the file, in memory of its own (see `ObjectBytes`)."""
        content = _memory(max(self.size, 1))[: self.size]
        self._read_part(content, 0)
        return content

    def batches(self, pieces: Sequence[Buffer], rest: int) -> Batches:
        """Batches; parts that are not in memory are read piece by piece (see `ObjectBytes`)."""
        if self.is_in_memory:
            return iter(([*pieces, self.view[rest:]],))
        return self._batches_read(pieces, rest)

    def _batches_read(self, pieces: Sequence[Buffer], rest: int) -> Batches:
        assert self._buffer is not None
        first, at = [*pieces, self.view[rest:]], max(len(self.view), rest)
        # The first part goes behind what of the head lies in the buffer.
        used = len(self.view) if len(self.view) < BATCH else 0
        if not used:
            yield first
            first = []
        while at < self.size:
            part = self._buffer[used : min(BATCH, used + self.size - at)]
            self._read_part(part, at)
            yield [*first, part]
            at += len(part)
            first, used = [], 0
        if first:
            yield first

    def batches_for_system(self, pieces: Sequence[Buffer], rest: int) -> Batches:
        """Batches; the part that is not in memory is a map of the file (see `ObjectBytes`)."""
        assert self._descriptor is not None
        first, at = [*pieces, self.view[rest:]], max(len(self.view), rest)
        while at < self.size:
            before = (self._origin + at) % mmap.ALLOCATIONGRANULARITY
            length = min(MAPPED_BYTES, self.size - at + before)
            try:
                self._require_size()
                window = mmap.mmap(
                    self._descriptor,
                    length,
                    flags=mmap.MAP_PRIVATE,
                    prot=mmap.PROT_READ,
                    offset=self._origin + at - before,
                )
            except (OSError, ValueError) as err:
                raise StorageUnavailable(_CANNOT_BE_READ) from err
            part = memoryview(window)[before:]
            at += len(part)
            if at < self.size and (sum(map(len, first)) + len(part)) & 1:
                # Fragments have an even length (PS3.8 E.1): so the last octet never has to be split off a map.
                part, at = part[:-1], at - 1
            yield [*first, part]
            first = []
        if first:
            yield first

    def _read_part(self, into: memoryview, at: int) -> None:
        try:
            self._read(into, at)
        except OSError as err:
            raise StorageUnavailable(_CANNOT_BE_READ) from err

    def _read(self, into: memoryview, at: int) -> None:
        """Fill it with what the file has from ``at`` on. Raises OSError when the file has become shorter."""
        assert self._descriptor is not None
        done = 0
        while done < len(into):
            count = os.preadv(self._descriptor, [into[done:]], self._origin + at + done)
            if not count:
                raise OSError("the file ends early")
            done += count

    def _require_size(self) -> None:
        """Raise if the file was truncated since it was stored."""
        assert self._descriptor is not None
        length, end = os.fstat(self._descriptor).st_size, self._origin + self.size
        if length < end or (length > end and not self._is_part):
            raise StorageUnavailable("a stored object is not as long as it was when it was stored")

    def close(self) -> None:
        """Close the file (see `ObjectBytes`)."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        if self._buffer is not None:
            self._buffers.give_back(self._buffer)
            self._buffer = None


class SharedFileBytes(FileBytes):
    """A data set in a shared file; closes itself when unreferenced, as it may never be sent."""

    __slots__ = ()

    def __del__(self) -> None:
        self.close()


def _memory(size: int) -> memoryview:
    # It takes the memory that is touched; a bytearray touches all.
    return memoryview(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))


def read_stored(file: BinaryIO) -> tuple[memoryview, int]:
    """Read the whole file; also return the offset of its data set. Raises StorageUnavailable."""
    try:
        file.seek(0)
        view = memoryview(file.read())
    except OSError as err:
        raise StorageUnavailable(_CANNOT_BE_READ) from err
    return view, start_of_data_set(view)


def start_of_data_set(view: memoryview) -> int:
    """Offset of the data set: after the File Meta Information, which begins with its length (PS3.10 7.1)."""
    if len(view) < _FIRST_ELEMENT or bytes(view[128:_DICOM_PREFIX]) != b"DICM":
        raise StorageUnavailable("a stored object is no DICOM file")
    start = _FIRST_ELEMENT + int.from_bytes(view[140:_FIRST_ELEMENT], "little")
    if start > len(view):
        raise StorageUnavailable("a stored object ends within its File Meta Information")
    return start
