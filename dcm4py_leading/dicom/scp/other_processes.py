"""Other processes that serve the same ports: what each tells the others, so that they share limits and work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from dcm4py_leading.dicom.open_associations import serial_numbers


class OtherProcesses(Protocol):
    """The other processes; implemented by ``workers/shared_counts.py``. Safe under threads."""

    def report(self, *, associations: int, connections: int | None) -> None:
        """Let them know how many associations are open here, and how many connections are served.

        None: this process does not listen. A connection counts from its beginning, until its association has ended.
        """
        ...

    @property
    def associations(self) -> int:
        """Number of associations that are open there."""
        ...

    def should_go_first(self) -> bool:
        """True if one of them listens and has less to do: the next connection is best taken by that one."""
        ...

    def next_serial_number(self) -> int:
        """Serial number for an association, which no other one has or had."""
        ...


class NoOtherProcesses:
    """There is no other process."""

    associations = 0

    def __init__(self) -> None:
        self.next_serial_number: Callable[[], int] = serial_numbers()

    def report(self, *, associations: int, connections: int | None) -> None:
        """Nobody to tell."""

    def should_go_first(self) -> bool:
        """Nobody there."""
        return False
