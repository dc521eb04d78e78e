"""One job, as seen from outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any


class State(Enum):
    """State of a job."""

    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Progress of a job, in whatever it counts: objects, studies."""

    done: int = 0
    """Number of those that are through, failed ones included."""
    of: int | None = None
    """Number of all, where it is known."""
    failed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job at one moment."""

    job_id: str
    kind: str
    """Kind of work, such as ``send``."""
    subject: Mapping[str, str]
    """Subject of the work, for people. No patient data."""
    author: str
    started_at: datetime
    ended_at: datetime | None = None
    state: State = State.RUNNING
    progress: Progress = field(default_factory=Progress)
    problems: tuple[str, ...] = ()
    """Problems that came up, the first ones of many; the last one says why where it has failed."""
    result: Mapping[str, Any] = field(default_factory=dict)
    """Outcome as JSON; what it is, the kind tells."""
