"""Associations that this process opened on behalf of its peers, and the threads that use them.

A stop of the service ends them all, whatever other systems do. A new association finds its owner by the context of the
thread, so code that queries other systems does not have to pass the owner along.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from weakref import WeakSet

from dcm4py_leading.dicom.open_associations import (
    AssociationNumber,
    MonitoredAssociation,
    OpenAssociations,
    serial_numbers,
)
from dcm4py_leading.dicom.upper.link import Link


class OutboundLinks:
    """Associations and threads that one service has opened. Safe under threads."""

    def __init__(self, associations: OpenAssociations | None = None) -> None:
        """``associations`` receives each association that is opened."""
        self.associations = associations or OpenAssociations(serial_numbers())
        self._lock = threading.Lock()
        self._links: WeakSet[Link] = WeakSet()
        self._threads: set[threading.Thread] = set()
        self._is_over = False

    @contextmanager
    def by_this_thread(self) -> Iterator[None]:
        """Own the associations that this thread, and threads that it spawns, open inside the block."""
        token = _owner.set(self)
        try:
            yield
        finally:
            _owner.reset(token)

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """Like `by_this_thread`; this thread also counts as a spawned thread until the end of the block."""
        thread = threading.current_thread()
        with self._lock:
            self._threads = self._threads | {thread}
        try:
            with self.by_this_thread():
                yield
        finally:
            with self._lock:
                self._threads = self._threads - {thread}

    @property
    def has_threads(self) -> bool:
        """True if any spawned thread is still running."""
        return bool(self._running())

    def join(self, seconds: float) -> None:
        """Wait for the spawned threads, each at most so many seconds."""
        for thread in self._running():
            thread.join(seconds)

    def abort(self) -> None:
        """Abort all associations, and from now on each new one at once."""
        with self._lock:
            self._is_over = True
            links = list(self._links)
        for link in links:
            link.abort()

    def begin_again(self) -> None:
        """Allow new associations again, after `abort`."""
        with self._lock:
            self._is_over = False

    def _add(self, link: Link) -> bool:
        with self._lock:
            self._links.add(link)
            return not self._is_over

    def _running(self) -> Collection[threading.Thread]:
        with self._lock:
            self._threads = {thread for thread in self._threads if thread.is_alive()}
            return self._threads

    def _start(self, thread: threading.Thread) -> None:
        with self._lock:
            thread.start()
            self._threads = {other for other in self._threads if other.is_alive()} | {thread}


_owner: ContextVar[OutboundLinks | None] = ContextVar("opened", default=None)


def register(link: Link) -> None:
    """Register a connection before anything is sent on it; abort it at once if the service is stopping."""
    owner = _owner.get()
    if owner is not None and not owner._add(link):
        link.abort()


def enter(association: MonitoredAssociation) -> AssociationNumber | None:
    """Register an established association with the monitor; None if this thread has no owner."""
    owner = _owner.get()
    return None if owner is None else owner.associations.enter(association)


def spawn(work: Callable[[], None], name: str) -> None:
    """Run a function in another thread on behalf of the same peer."""
    thread = threading.Thread(target=copy_context().run, args=(work,), name=name, daemon=True)
    owner = _owner.get()
    if owner is None:
        thread.start()
    else:
        owner._start(thread)
