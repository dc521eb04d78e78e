"""Objects on their way through, where they are too large for the memory: in files that have no name."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryFile

from dcm4py_leading.coercion.scan import Buffer
from dcm4py_leading.errors import StorageUnavailable

_MOST_IN_MEMORY = 16 << 20
"""Bytes."""


class Spool:
    """Collects objects. What it puts on the disk goes with the last view of it, at the latest with the process."""

    def __init__(self, directory: Path, *, most_in_memory: int = _MOST_IN_MEMORY) -> None:
        """``directory`` should not be in memory itself; objects up to ``most_in_memory`` bytes are."""
        self._directory = directory
        self._most_in_memory = most_in_memory

    def collect(self, parts: Iterable[Buffer]) -> Buffer:
        """The parts as one; each is good until the next one. Raises StorageUnavailable."""
        held: list[bytes] = []
        size = 0
        source = iter(parts)
        for part in source:
            held.append(bytes(part))
            size += len(part)
            if size > self._most_in_memory:
                return self._on_disk(held, source)
        return b"".join(held)

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


def _write(descriptor: int, part: Buffer) -> None:
    view = memoryview(part)
    while view:
        view = view[os.write(descriptor, view) :]
