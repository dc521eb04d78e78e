"""Connections without an association: not admitted yet, rejected, or released and not closed by the peer.

Anybody can open such connections, so their number is limited. When the limit is reached, the oldest connection of the
address with the most connections is closed. So a peer that asks for an association at once gets it, however many other
peers are silent.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from typing import Protocol

from dcm4py_leading.log import Repeated

LOG = logging.getLogger(__name__)

_ATTEMPTS = 5
_END_SECONDS = 1.0
"""For a connection that gives way, to be gone: its thread has only to wake up."""


class Connection(Protocol):
    """A connection without an association."""

    @property
    def remote_address(self) -> str:
        """IP address of the peer."""
        ...

    def give_way(self) -> None:
        """Close the connection without waiting; `Unadmitted.remove` is called when it is closed."""
        ...


class Unadmitted:
    """The connections of one process in their order of arrival. Safe under threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._changed = threading.Condition()
        self._connections: dict[Connection, None] = {}
        self._giving_way: set[Connection] = set()
        self._told = Repeated(LOG)

    def __len__(self) -> int:
        with self._changed:
            return len(self._connections)

    def add(self, connection: Connection) -> None:
        """Add a new connection; if there are too many, close others and wait until they are closed."""
        for _ in range(_ATTEMPTS):
            with self._changed:
                if len(self._connections) < self._most:
                    break
                victim = self._victim()
            if victim is not None:
                self._tell(victim)
                victim.give_way()
            with self._changed:
                self._changed.wait_for(lambda: len(self._connections) < self._most, _END_SECONDS)
        self.enter(connection)

    def enter(self, connection: Connection) -> None:
        """Count a connection whose association has ended, until the connection is closed."""
        with self._changed:
            self._connections[connection] = None

    def remove(self, connection: Connection) -> None:
        """Remove a connection that was admitted or closed."""
        with self._changed:
            self._connections.pop(connection, None)
            self._giving_way.discard(connection)
            self._changed.notify_all()

    def _victim(self) -> Connection | None:
        staying = [one for one in self._connections if one not in self._giving_way]
        if not staying:
            return None
        counts = Counter(one.remote_address for one in staying)
        most = max(counts.values())
        victim = next(one for one in staying if counts[one.remote_address] == most)
        self._giving_way.add(victim)
        return victim

    def _tell(self, victim: Connection) -> None:
        self._told.warning(
            "a connection from %s was ended, as more than %d have no association", victim.remote_address, self._most
        )
