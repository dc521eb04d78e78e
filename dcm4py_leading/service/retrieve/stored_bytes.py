"""The bytes of a stored object, on their way out."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from dcm4py_leading.dataset.scan import Buffer
from dcm4py_leading.errors import StorageUnavailable
from dcm4py_leading.model.bounds import MAPPED_BYTES

HEAD = 1 << 16
"""Octets that are read of a file. What follows them goes to the system as a map of the file: above this size that costs
less than to read it."""
BUFFER = 1 << 20
"""Octets that are read at once where there can be no map. Into memory that is used again and again."""
_DICOM_PREFIX = 132
_FIRST_ELEMENT = 144
_CANNOT_BE_READ = "a stored object cannot be read"


class Buffers:
    """Memory to read into, for one retrieve: as many pieces as objects are under way at a time. Safe under threads."""

    def __init__(self) -> None:
        self._free: list[memoryview] = []

    def take(self) -> memoryview:
        """One of `BUFFER` octets."""
        try:
            return self._free.pop()
        except IndexError:
            # It takes the memory that is touched; a bytearray touches all.
            return memoryview(mmap.mmap(-1, BUFFER, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))

    def give_back(self, buffer: memoryview) -> None:
        """Nobody looks at it any more."""
        self._free.append(buffer)


class StoredBytes:
    """A DICOM file that this service wrote (`dataset.part10`)."""

    __slots__ = ("_buffer", "_buffers", "_descriptor", "_is_map", "size", "start", "view")

    def __init__(self, descriptor: int, size: int, buffers: Buffers) -> None:
        """``descriptor`` is closed with this object. Raises StorageUnavailable where it is no such file of that size.

        `view` has the first `HEAD` octets of the file, or all.
        """
        self.size = size
        self._buffers = buffers
        self._descriptor: int | None = descriptor
        self._buffer: memoryview | None = buffers.take()
        self._is_map = False
        try:
            if size <= HEAD:
                self.view = self._buffer[:size]
                # One call where the file is as long as it was; of a longer one it reads more.
                if os.preadv(descriptor, [self._buffer], 0) != size:
                    self._require_size()
                    _read(descriptor, self.view, 0)
            else:
                self._require_size()
                self.view = self._buffer[:HEAD]
                _read(descriptor, self.view, 0)
            self.start = start_of_data_set(self.view)
        except OSError as err:
            self.close()
            raise StorageUnavailable(_CANNOT_BE_READ) from err
        except StorageUnavailable:
            self.close()
            raise

    def look_at_all(self) -> None:
        """Have all of the file in `view`; of one that is larger than `BUFFER` it is a map.

        Raises StorageUnavailable.
        """
        assert self._buffer is not None and self._descriptor is not None
        try:
            if self.size <= BUFFER:
                self.view = self._buffer[: self.size]
                _read(self._descriptor, self.view, 0)
            else:
                self.view = memoryview(mmap.mmap(self._descriptor, self.size, access=mmap.ACCESS_READ))
                self._is_map = True
        except (OSError, ValueError) as err:
            raise StorageUnavailable(_CANNOT_BE_READ) from err

    def batches(self, pieces: Sequence[Buffer], rest: int) -> Iterator[Sequence[Buffer]]:
        """``pieces``, then everything from ``rest`` on; each batch is good until the next one is asked for.

        Raises StorageUnavailable.
        """
        if self.is_in_memory:
            return iter(([*pieces, self.view[rest:]],))
        return self._batches_read(pieces, rest)

    @property
    def is_in_memory(self) -> bool:
        """True if there is nothing more to be read."""
        return len(self.view) == self.size and not self._is_map

    def _batches_read(self, pieces: Sequence[Buffer], rest: int) -> Iterator[Sequence[Buffer]]:
        assert self._buffer is not None and self._descriptor is not None
        first, at, used = self._head(pieces, rest)
        while at < self.size:
            part = self._buffer[used : min(BUFFER, used + self.size - at)]
            try:
                _read(self._descriptor, part, at)
            except OSError as err:
                raise StorageUnavailable(_CANNOT_BE_READ) from err
            yield [*first, part]
            at += len(part)
            first, used = (), 0
        if first:
            yield first

    def batches_mapped(self, pieces: Sequence[Buffer], rest: int) -> Iterator[Sequence[Buffer]]:
        """As `batches`, for the system alone: to look at a map of a file that has become shorter ends the process."""
        assert self._descriptor is not None
        first, at, _ = self._head(pieces, rest)
        while at < self.size:
            before = at % mmap.ALLOCATIONGRANULARITY
            length = min(MAPPED_BYTES, self.size - at + before)
            try:
                self._require_size()
                window = mmap.mmap(
                    self._descriptor, length, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ, offset=at - before
                )
            except (OSError, ValueError) as err:
                raise StorageUnavailable(_CANNOT_BE_READ) from err
            yield [*first, memoryview(window)[before:]]
            at += length - before
            first = ()
        if first:
            yield first

    def _head(self, pieces: Sequence[Buffer], rest: int) -> tuple[Sequence[Buffer], int, int]:
        """Buffers to be sent first, where the rest of the file begins, and how much of the buffer they are in."""
        if self._is_map:
            return pieces, rest, 0
        return [*pieces, self.view[rest:]], len(self.view), len(self.view)

    def _require_size(self) -> None:
        """A file that has lost its end since it was stored must not pass for the object."""
        assert self._descriptor is not None
        if os.fstat(self._descriptor).st_size != self.size:
            raise StorageUnavailable("a stored object is not as long as it was when it was stored")

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
        raise StorageUnavailable(_CANNOT_BE_READ) from err
    return view, start_of_data_set(view)


def start_of_data_set(view: memoryview) -> int:
    """Where it begins: behind the File Meta Information, which begins with its length (PS3.10 7.1)."""
    if len(view) < _FIRST_ELEMENT or bytes(view[128:_DICOM_PREFIX]) != b"DICM":
        raise StorageUnavailable("a stored object is no DICOM file")
    start = _FIRST_ELEMENT + int.from_bytes(view[140:_FIRST_ELEMENT], "little")
    if start > len(view):
        raise StorageUnavailable("a stored object ends within its File Meta Information")
    return start
