"""Buffers for forwarded objects: in reused memory, or in unnamed files for large objects.

Memory is reused because allocating new pages takes longer than filling them.
"""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from dcm4py_leading.dataset.scan import Buffer
from dcm4py_leading.errors import StorageUnavailable

_MAX_IN_MEMORY = 16 << 20
_LEAST = 1 << 17
_MAX_KEPT = 32 << 20
"""Bytes; of memory that is kept to be used again."""


class Spool:
    """Collects objects. A file is deleted with the last view of it, at the latest with the process.

    Safe under threads.
    """

    def __init__(self, directory: Path, *, most_in_memory: int = _MAX_IN_MEMORY) -> None:
        """``directory`` is for objects larger than ``most_in_memory`` bytes; it should not be a memory file system."""
        self._directory = directory
        self._most_in_memory = most_in_memory
        self._lock = threading.Lock()
        self._kept: list[bytearray] = []

    def collect(self, parts: Iterable[Buffer]) -> memoryview:
        """Join the parts of an object; each part is valid until the next one. Raises StorageUnavailable."""
        buffer = self._take()
        view, size = memoryview(buffer), 0
        source = iter(parts)
        for part in source:
            end = size + len(part)
            if end > self._most_in_memory:
                whole = self._on_disk([bytes(view[:size]), bytes(part)], source)
                self._keep(buffer)
                return whole
            if end > len(view):
                view.release()
                buffer.extend(bytes(max(end, _LEAST, len(buffer) * 2) - len(buffer)))
                view = memoryview(buffer)
            view[size:end] = part
            size = end
        self._keep(buffer)
        return view[:size]

    def file(self) -> BinaryIO:
        """An unnamed file, unbuffered. Raises StorageUnavailable."""
        try:
            return TemporaryFile(dir=self._directory, buffering=0)
        except OSError as err:
            raise StorageUnavailable(f"no file for an object on its way through: {err.strerror}") from err

    def _take(self) -> bytearray:
        """Take a buffer without views, or a new one."""
        with self._lock:
            for number, buffer in enumerate(self._kept):
                if not _is_in_view(buffer):
                    return self._kept.pop(number)
        return bytearray()

    def _keep(self, buffer: bytearray) -> None:
        with self._lock:
            if sum(map(len, self._kept)) + len(buffer) <= _MAX_KEPT:
                self._kept.append(buffer)

    def _on_disk(self, begun: list[bytes], rest: Iterable[Buffer]) -> memoryview:
        try:
            with TemporaryFile(dir=self._directory, buffering=0) as file:
                while begun:
                    _write(file.fileno(), begun.pop(0))
                for part in rest:
                    _write(file.fileno(), part)
                return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        except OSError as err:
            raise StorageUnavailable(f"no room for an object on its way through: {err.strerror}") from err


def _is_in_view(buffer: bytearray) -> bool:
    try:
        buffer.append(0)
    except BufferError:  # a buffer with a view cannot be resized
        return True
    del buffer[-1]
    return False


def _write(descriptor: int, part: Buffer) -> None:
    view = memoryview(part)
    while view:
        view = view[os.write(descriptor, view) :]
