"""Counts that all workers share; implements `dicom.scp.other_processes.OtherProcesses`."""

from __future__ import annotations

import threading

from dcm4py_leading.workers.slots import MOST, Slots

NOT_LISTENING = MOST
"""In the place of a number of connections: this worker takes none."""


class SharedCounts:
    """The other workers, for the worker of one slot. Safe under threads."""

    def __init__(self, slot: int, *, associations: Slots, connections: Slots, serial_numbers: Slots) -> None:
        self._slot = slot
        self._associations = associations
        self._connections = connections
        self._serial_numbers = serial_numbers
        self._numbering = threading.Lock()

    def report(self, *, associations: int, connections: int | None) -> None:
        """Write our own numbers (see `OtherProcesses`)."""
        self._associations.set(self._slot, associations)
        self._connections.set(self._slot, NOT_LISTENING if connections is None else connections)

    @property
    def associations(self) -> int:
        """Number of associations of the other workers."""
        return self._associations.others(self._slot)

    def should_go_first(self) -> bool:
        """True if another worker serves fewer connections, or as few and its slot is before ours.

        So connections that come one after the other stay with a worker that has its caches filled, and those that come
        at the same time are spread evenly.
        """
        return self._connections.is_less_elsewhere(self._slot)

    def next_serial_number(self) -> int:
        """Serial number for an association (see `OtherProcesses`)."""
        with self._numbering:
            return self._serial_numbers.next_serial_number(self._slot)
