"""File descriptors and slots that a supervisor hands to a worker process, by environment variables."""

from __future__ import annotations

import signal
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

CONTROL_FD = "DCM4PY_WORKER_CONTROL_FD"
"""Where it is set, the process is a worker."""
_ASSOCIATIONS_FD, _CONNECTIONS_FD, _SERIAL_NUMBERS_FD, _FORWARDS_FD = (
    f"DCM4PY_WORKER_{what}_FD" for what in ("ASSOCIATIONS", "CONNECTIONS", "SERIAL_NUMBERS", "FORWARDS")
)
_SLOT, _PASSING_DIR = "DCM4PY_WORKER_SLOT", "DCM4PY_WORKER_PASSING_DIR"


SIGNALS = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)
"""Those that are meant for the supervisor. A worker begins with them held back, and ignores them as soon as it can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InheritedResources:
    """Resources that a worker inherits; all numbers except the slot are file descriptors."""

    control: int
    associations: int
    """Of `slots.Slots`: how many associations each worker has open."""
    connections: int
    """Of `slots.Slots`: how many connections each worker serves."""
    serial_numbers: int
    """Of `slots.Slots`: how many associations each slot has had."""
    forwards: int
    """Of `slots.Slots`: how many retrieves of each worker objects of another archive may come for."""
    slot: int
    """Which of the workers it is."""
    passing: Path
    """Where workers listen for each other."""

    @property
    def descriptors(self) -> tuple[int, ...]:
        """File descriptors that the process has to inherit."""
        return (self.control, self.associations, self.connections, self.serial_numbers, self.forwards)

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables to add to those of the supervisor."""
        return {
            CONTROL_FD: str(self.control),
            _ASSOCIATIONS_FD: str(self.associations),
            _CONNECTIONS_FD: str(self.connections),
            _SERIAL_NUMBERS_FD: str(self.serial_numbers),
            _FORWARDS_FD: str(self.forwards),
            _SLOT: str(self.slot),
            _PASSING_DIR: str(self.passing),
        }

    @classmethod
    def taken_from(cls, environment: MutableMapping[str, str]) -> Self:
        """Read the resources from the environment, and remove their variables from it."""
        return cls(
            control=int(environment.pop(CONTROL_FD)),
            associations=int(environment.pop(_ASSOCIATIONS_FD)),
            connections=int(environment.pop(_CONNECTIONS_FD)),
            serial_numbers=int(environment.pop(_SERIAL_NUMBERS_FD)),
            forwards=int(environment.pop(_FORWARDS_FD)),
            slot=int(environment.pop(_SLOT)),
            passing=Path(environment.pop(_PASSING_DIR)),
        )
