"""Counts that all workers share; implements `dicom.scp.other_processes.OtherProcesses`."""

from __future__ import annotations

import threading

from dcm4py_leading.workers.slots import MOST, Slots

NOT_LISTENING = MOST
"""In the place of a number of connections: this worker takes none."""


class SharedCounts:
    """The counts of the other workers, for the worker of one slot. Safe under threads."""

    def __init__(self, slot: int, *, associations: Slots, connections: Slots, serial_numbers: Slots) -> None:
        self._slot = slot
        self._associations = associations
        self._connections = connections
        self._serial_numbers = serial_numbers
        self._numbering = threading.Lock()

    def report(self, *, associations: int, connections: int | None) -> None:
        """Publish our counts (see `OtherProcesses`)."""
        self._associations.set(self._slot, associations)
        self._connections.set(self._slot, NOT_LISTENING if connections is None else connections)

    @property
    def associations(self) -> int:
        """Number of associations of the other workers."""
        return self._associations.others(self._slot)

    def should_go_first(self) -> bool:
        """True if another worker serves fewer connections, or equally many and its slot comes first.

        So connections that come one by one stay with one worker, whose caches are filled, and concurrent connections
        are spread evenly.
        """
        return self._connections.is_less_elsewhere(self._slot)

    def next_serial_number(self) -> int:
        """Serial number for an association (see `OtherProcesses`)."""
        with self._numbering:
            return self._serial_numbers.next_serial_number(self._slot)
