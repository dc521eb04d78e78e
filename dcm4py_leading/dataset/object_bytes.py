"""The encoded data set of an object where it lies: in memory, or in a file."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from dcm4py_leading.dataset.scan import Buffer
from dcm4py_leading.model.bounds import MAPPED_BYTES

BATCH = 1 << 20
"""Octets that are copied at once where somebody has to look at them: TLS, or a spool."""

Batches = Iterator[Sequence[Buffer]]
"""Buffers to be sent together; each batch is good until the next one is asked for."""


class ObjectBytes(Protocol):
    """A data set, of which at least the beginning is in memory. All that reads raises StorageUnavailable.

    All offsets are those of `view`.
    """

    view: memoryview
    """Beginning of the data set, and what may stand before it."""
    start: int
    """Offset of the data set."""
    size: int
    """Offset of its end."""

    @property
    def is_in_memory(self) -> bool:
        """True if there is nothing more to be read."""
        ...

    def look_further(self) -> bool:
        """Have more of it in `view`; False where there is no more, or more than should be in memory."""
        ...

    def unpacked(self, form: struct.Struct, at: int) -> tuple[Any, ...]:
        """Numbers of an element's header, wherever it is (see `scan.Windowed`)."""
        ...

    def all(self) -> Buffer:
        """All of it, from offset 0 on; good also after `close`."""
        ...

    def batches(self, pieces: Sequence[Buffer], rest: int) -> Batches:
        """``pieces``, then everything from ``rest`` on."""
        ...

    def batches_for_system(self, pieces: Sequence[Buffer], rest: int) -> Batches:
        """The same for the system alone: nobody else may look at the octets."""
        ...

    def close(self) -> None:
        """Nobody looks at its bytes any more. May be called again."""
        ...


class MemoryBytes:
    """A data set that is in memory; implements `ObjectBytes`."""

    __slots__ = ("size", "start", "view")

    is_in_memory = True

    def __init__(self, data: Buffer) -> None:
        self.view = memoryview(data)
        self.start = 0
        self.size = len(self.view)

    def look_further(self) -> bool:
        return False

    def unpacked(self, form: struct.Struct, at: int) -> tuple[Any, ...]:
        return form.unpack_from(self.view, at)

    def all(self) -> Buffer:
        return self.view

    def batches(self, pieces: Sequence[Buffer], rest: int) -> Batches:
        return _cut_up(pieces, self.view[rest:], BATCH)

    def batches_for_system(self, pieces: Sequence[Buffer], rest: int) -> Batches:
        return _cut_up(pieces, self.view[rest:], MAPPED_BYTES)

    def close(self) -> None:
        """It goes when nobody has it any more."""


def _cut_up(pieces: Sequence[Buffer], rest: memoryview, most: int) -> Batches:
    first = pieces
    for at in range(0, max(len(rest), 1), most):
        yield [*first, rest[at : at + most]]
        first = ()
