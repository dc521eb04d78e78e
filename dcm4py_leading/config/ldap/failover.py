"""Order in which the servers of a directory are asked: one that has just failed comes last for a while."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Server = TypeVar("Server", bound=Hashable)

_FIRST_PAUSE, _LONGEST_PAUSE = 10.0, 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pause:
    seconds: float
    until: float
    """In seconds of the clock."""


class Failover(Generic[Server]):
    """Servers in order of preference, and which of them are in a pause. Safe under threads.

    A pause doubles from 10 seconds to 5 minutes as long as the server keeps failing. It only moves the server behind
    the others: when all are in a pause, each is still asked, the one whose pause ends first before the others.
    """

    def __init__(self, servers: Sequence[Server], *, clock: Callable[[], float]) -> None:
        self._servers = tuple(servers)
        self._clock = clock
        self._pauses: dict[Server, _Pause] = {}
        self._lock = threading.Lock()

    @property
    def has_others(self) -> bool:
        """True if there are several servers."""
        return len(self._servers) > 1

    def order(self) -> list[Server]:
        """All servers, in the order in which to ask them now."""
        now = self._clock()
        with self._lock:
            ends = {server: pause.until for server, pause in self._pauses.items() if pause.until > now}
        return sorted(self._servers, key=lambda server: ends.get(server, now))

    def failed(self, server: Server) -> None:
        """Note that a server gave no answer. During its pause this changes nothing: others may have asked too."""
        now = self._clock()
        with self._lock:
            last = self._pauses.get(server)
            if last is not None and last.until > now:
                return
            seconds = _FIRST_PAUSE if last is None else min(2 * last.seconds, _LONGEST_PAUSE)
            self._pauses[server] = _Pause(seconds=seconds, until=now + seconds)

    def answered(self, server: Server) -> None:
        """It gave an answer: its next failure is a first one."""
        with self._lock:
            self._pauses.pop(server, None)
