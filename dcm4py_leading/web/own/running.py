"""``/dcm4py-leading/...``: the running configuration, what a reload would change, listeners and workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from dcm4py_leading.config.difference import Difference
from dcm4py_leading.errors import Problem
from dcm4py_leading.service.monitor.listening import ListeningPort


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedReload:
    """The last attempt to take another configuration, if it failed."""

    at: datetime
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningConfiguration:
    """What is in force."""

    device_name: str
    fingerprint: str
    loaded_at: datetime
    source: str
    """The directory or the LDIF files, for people."""
    is_last_good: bool
    """True if it is the copy that was kept on disk, because the directory was down at start."""
    is_followed: bool
    """True if changes in the directory are put in force unasked (``--watch``)."""
    is_listening: bool
    """False from ``ctrl/stop`` to ``ctrl/start``."""
    directory_failure: str | None
    """Why the directory gave no answer when it was last asked."""
    last_failed_reload: FailedReload | None
    """None when the last attempt was good."""
    problems: tuple[Problem, ...]
    """What is to be said of the configuration in force; warnings only."""
    degraded: tuple[str, ...]
    """What is not as it should be, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingReload:
    """What a reload would do now. Nothing of it is done."""

    can_be_reloaded: bool
    """False if a reload would be refused, and the configuration in force would stay."""
    fingerprint: str | None
    """Of what would be in force; None where nothing would be."""
    differences: tuple[Difference, ...]
    """From the configuration in force to what the directory says."""
    problems: tuple[Problem, ...]
    """What is wrong with what the directory says: errors refuse it, warnings do not."""
    failure: str | None = None
    """Why the directory cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerState:
    """One process that takes associations."""

    pid: int | None
    """None between one that has ended and the next."""
    is_serving: bool
    associations: int
    restarts: int
    """How often another one had to be started in its place."""
    started_at: datetime


class Running(Protocol):
    """What pages and routes may ask the service. Called from a worker thread."""

    def running(self) -> RunningConfiguration:
        """What is in force."""
        ...

    def pending(self) -> PendingReload:
        """What a reload would do; costs a read of the directory."""
        ...

    def listeners(self) -> Sequence[ListeningPort]:
        """Where associations are accepted, or should be."""
        ...

    def workers(self) -> Sequence[WorkerState]:
        """The processes; without ``--workers`` this one alone."""
        ...

    def start_listening(self) -> None:
        """Bind the ports of the configuration in force and accept associations; nothing when that is so already.

        Raises ConfigError with every port that cannot be had, and then none is bound.
        """
        ...

    def stop_listening(self) -> None:
        """Accept no associations until `start_listening`; those under way may end for a while, then are aborted."""
        ...
