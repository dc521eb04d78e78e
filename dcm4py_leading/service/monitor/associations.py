"""The associations of a service under way, as an administrator sees them; nothing of a patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class MessageCounts:
    """DIMSE messages of one service, such as C-FIND, on one association."""

    requests: int = 0
    responses: int = 0
    """Pending ones included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAssociation:
    """One association at one moment."""

    serial_number: int
    """Of no other association of this service, in whichever of its processes."""
    connected_at: datetime
    is_initiated: bool
    """True if we opened it."""
    local_ae_title: str
    remote_ae_title: str
    remote_host: str
    """Address of the peer; of one that we called, where we called it."""
    pid: int
    """Process id of the worker that has it."""
    is_busy: bool = False
    """True if the peer waits for the end of a request; never of one that we opened."""
    performed: Mapping[str, MessageCounts] = field(default_factory=dict)
    """Counts of what the peer asked of us, by service."""
    invoked: Mapping[str, MessageCounts] = field(default_factory=dict)
    """Counts of what we asked of the peer, by service."""
    study: str | None = None
    """The study of its last request, or the first few of many, as the log refers to them (`log.ref`)."""
