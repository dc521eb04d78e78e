"""Open associations, kept for reuse."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from datetime import timedelta
from typing import Generic, Protocol, TypeVar

from dcm4py_leading.dicom.scu.requestor import AssociationFailed


class Poolable(Protocol):
    """An association as a pool uses it."""

    @property
    def is_open(self) -> bool: ...
    def release(self) -> None: ...
    def abort(self) -> None: ...


A = TypeVar("A", bound=Poolable)
_LOOK_EVERY = 1.0
"""Seconds after which idle associations are looked at again."""

Spawn = Callable[[Callable[[], None]], None]


def spawn(work: Callable[[], None]) -> None:
    """Run a function in a daemon thread."""
    threading.Thread(target=work, name="association pool", daemon=True).start()


class AssociationPool(Generic[A]):
    """Pool of associations: each is used by one thread at a time, and kept open for a while afterwards.

    Safe under threads: one lock, never held while an association is opened or closed. Associations are closed in the
    background, so that no caller waits for a peer that releases slowly. A thread closes idle associations after a while
    and ends with the last of them, so an unused pool holds no resources.
    """

    def __init__(
        self,
        *,
        most: int,
        idle_after: timedelta,
        clock: Callable[[], float],
        in_background: Spawn = spawn,
    ) -> None:
        """At most ``most`` associations for a key, each kept for ``idle_after`` without use."""
        self._most = most
        self._idle_after = idle_after.total_seconds()
        self._clock = clock
        self._in_background = in_background
        self._idle: dict[Hashable, list[tuple[A, float]]] = {}
        self._in_use: dict[Hashable, int] = {}
        self._is_looked_after = False
        self._is_closed = False
        self._changed = threading.Condition()

    def take(
        self, key: Hashable, open_new: Callable[[], A], *, timeout: timedelta | None, fresh: bool = False
    ) -> tuple[A, bool]:
        """Take an open association, and tell if it was used before; end with `give_back` or `discard`.

        ``fresh`` ignores idle associations. Raises AssociationFailed if all are in use during the whole ``timeout``,
        and the errors of ``open_new``.
        """
        ends_at = None if timeout is None else self._clock() + timeout.total_seconds()
        with self._changed:
            while True:
                idle = self._idle.get(key, [])
                while idle:
                    association, _ = idle.pop()
                    if association.is_open and not fresh:
                        self._in_use[key] = self._in_use.get(key, 0) + 1
                        return association, True
                    self._in_background(association.release)
                if self._in_use.get(key, 0) < self._most:
                    self._in_use[key] = self._in_use.get(key, 0) + 1
                    break
                remaining = None if ends_at is None else ends_at - self._clock()
                if remaining is not None and remaining <= 0:
                    raise AssociationFailed(f"all {self._most} associations are in use")
                self._changed.wait(remaining)
        try:
            return open_new(), False
        except BaseException:  # cleans up and raises on, whatever it was
            self._free(key)
            raise

    def give_back(self, key: Hashable, association: A) -> None:
        """Return an association that can be used again."""
        with self._changed:
            keep = association.is_open and not self._is_closed
            if keep:
                self._idle.setdefault(key, []).append((association, self._clock()))
                if not self._is_looked_after:
                    self._is_looked_after = True
                    threading.Thread(target=self._look_after, name="association pool", daemon=True).start()
            self._free(key)
        if not keep:
            self._in_background(association.release)

    def discard(self, key: Hashable, association: A) -> None:
        """Drop an association that must not be used again."""
        self._free(key)
        self._in_background(association.abort)

    def close(self) -> None:
        """Close idle associations now, and those in use when they are given back."""
        with self._changed:
            self._is_closed = True
        self._close_unused_since(None)

    def close_idle(self) -> None:
        """Close associations that were idle for too long."""
        self._close_unused_since(self._clock() - self._idle_after)

    @property
    def idle(self) -> int:
        """Number of associations that are open without being used."""
        with self._changed:
            return sum(map(len, self._idle.values()))

    def _close_unused_since(self, limit: float | None) -> None:
        with self._changed:
            due = {
                key: [(a, since) for a, since in kept if limit is None or since <= limit or not a.is_open]
                for key, kept in self._idle.items()
            }
            for key, gone in due.items():
                self._idle[key] = [kept for kept in self._idle[key] if kept not in gone]
                if not self._idle[key]:
                    del self._idle[key]
            self._changed.notify_all()
        for gone in due.values():
            for association, _ in gone:
                self._in_background(association.release)

    def _free(self, key: Hashable) -> None:
        with self._changed:
            self._in_use[key] -= 1
            if not self._in_use[key]:
                del self._in_use[key]
            self._changed.notify_all()

    def _look_after(self) -> None:
        while True:
            with self._changed:
                since = [at for kept in self._idle.values() for _, at in kept]
                if not since:
                    self._is_looked_after = False
                    return
                wait = min(since) + self._idle_after - self._clock()
                if wait > 0:
                    # An association whose peer asks to release is closed before the peer aborts it.
                    self._changed.wait(min(wait, _LOOK_EVERY))
            self.close_idle()
