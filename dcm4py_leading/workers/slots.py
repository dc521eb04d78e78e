"""One number for each worker, as of its open associations, in memory that all of them share."""

from __future__ import annotations

import mmap
import os
from typing import Self

_SLOT_BYTES = 4
MOST = 0xFFFFFFFF
"""Greatest number."""


class Slots:
    """One number for each worker. A worker writes its own only, before it reads those of the others.

    So of several workers that take an association at the same moment at least the last one sees all of them: the
    sum may refuse one too many for a moment, and never admits one too many. Nobody waits for anybody.
    """

    def __init__(self, descriptor: int) -> None:
        """Takes over a file descriptor of such memory."""
        self.descriptor = descriptor
        self._map = mmap.mmap(descriptor, 0)
        self._numbers = memoryview(self._map).cast("I")

    @classmethod
    def create(cls, count: int) -> Self:
        """Slots that are all zero. The descriptor is to be given to the workers."""
        descriptor = os.memfd_create("dcm4py-slots", os.MFD_CLOEXEC)
        os.ftruncate(descriptor, count * _SLOT_BYTES)
        return cls(descriptor)

    def __len__(self) -> int:
        return len(self._numbers)

    def set(self, slot: int, number: int) -> None:
        """Write one number."""
        self._numbers[slot] = number

    def of(self, slot: int) -> int:
        """One number."""
        return self._numbers[slot]

    def is_less_elsewhere(self, slot: int) -> bool:
        """True if the number of another slot is less than that of this one, or the same and that slot comes first."""
        numbers = list(self._numbers)
        return min((number, index) for index, number in enumerate(numbers)) < (numbers[slot], slot)

    def next_serial_number(self, slot: int) -> int:
        """One more, and a number that no worker of another slot gives, nor one before in this slot.

        Not safe under threads: the worker's to see to.
        """
        count = (self._numbers[slot] + 1) & MOST
        self._numbers[slot] = count
        return count * len(self) + slot

    def total(self) -> int:
        """The sum of all."""
        return sum(self._numbers)

    def others(self, slot: int) -> int:
        """The sum without one."""
        return sum(number for index, number in enumerate(self._numbers) if index != slot)

    def close(self) -> None:
        """Let go of the memory."""
        self._numbers.release()
        self._map.close()
        os.close(self.descriptor)
