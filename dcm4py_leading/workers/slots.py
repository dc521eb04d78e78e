"""One number for each worker, such as its open associations, in shared memory."""

from __future__ import annotations

import mmap
import os
from typing import Self

_SLOT_BYTES = 4
MOST = 0xFFFFFFFF
"""Greatest number."""


class Slots:
    """One number for each worker. A worker writes only its own, before it reads those of the others.

    So if several workers accept an association at the same moment, at least the last one sees all of them: the sum may
    refuse one too many for a moment, but never admits one too many. There are no locks.
    """

    def __init__(self, descriptor: int) -> None:
        """``descriptor`` is the shared memory; closed with this object."""
        self.descriptor = descriptor
        self._map = mmap.mmap(descriptor, 0)
        self._numbers = memoryview(self._map).cast("I")

    @classmethod
    def create(cls, count: int) -> Self:
        """Create slots that are all zero; the workers inherit the descriptor."""
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
        """Count up and return a number that is unique among all slots and all earlier workers of this slot.

        Not safe under threads.
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
