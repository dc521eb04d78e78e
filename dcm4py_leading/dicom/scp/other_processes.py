"""Counts that processes on the same ports share, so that limits apply to all of them and work is spread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from dcm4py_leading.dicom.open_associations import serial_numbers


class OtherProcesses(Protocol):
    """The other processes; implemented by ``workers/shared_counts.py``. Safe under threads."""

    def report(self, *, associations: int, connections: int | None) -> None:
        """Publish the number of open associations and of served connections of this process.

        ``connections`` None: this process does not listen. A connection counts until its association has ended.
        """
        ...

    @property
    def associations(self) -> int:
        """Number of associations that are open in the other processes."""
        ...

    def should_go_first(self) -> bool:
        """True if another process listens and has less work; it should accept the next connection."""
        ...

    def next_serial_number(self) -> int:
        """Serial number for an association, unique among all processes."""
        ...


class NoOtherProcesses:
    """The only process: there are no others."""

    associations = 0

    def __init__(self) -> None:
        self.next_serial_number: Callable[[], int] = serial_numbers()

    def report(self, *, associations: int, connections: int | None) -> None:
        """Do nothing."""

    def should_go_first(self) -> bool:
        """Always False."""
        return False
