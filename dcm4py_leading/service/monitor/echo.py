"""Outcome of a C-ECHO to a peer, and how fast it was; the codes are those of dcm4chee's echo service."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from dcm4py_leading.errors import Dcm4pyError


class UnknownAE(Dcm4pyError):
    """There is no such AE, here or in the directory."""


class AENotForUser(UnknownAE):
    """dcmAcceptedUserRole of an AE lists no role of the user."""


class EchoResult(IntEnum):
    """Result of a C-ECHO: how far it came; the numbers are what dcm4chee answers."""

    SUCCESS = 0
    INCOMPATIBLE = 1
    """No connection of ours goes with one of the peer's, or none may initiate."""
    NOT_CONNECTED = 2
    """The peer cannot be reached, or answers no association request."""
    REJECTED = 3
    """The peer rejects the association, or Verification on it."""
    NOT_SENT = 4
    NO_ANSWER = 5
    """No C-ECHO response in time, or not one of success."""
    NOT_RELEASED = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoOutcome:
    """One C-ECHO. Times are milliseconds; 0 for steps that were not reached."""

    result: EchoResult
    connection_ms: int = 0
    echo_ms: int = 0
    release_ms: int = 0
    error: str | None = None
