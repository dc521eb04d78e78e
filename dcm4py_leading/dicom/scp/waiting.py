"""Threads that wait for connections and serve each accepted connection to its end.

All idle threads sleep in one epoll(7) of all listening sockets. For a connection the kernel wakes one thread, the one
that fell asleep last. This thread serves the connection and then waits again. So a normal association starts no thread,
and is not handed from one thread to another.

Two rules hold. One thread always waits: a thread takes a connection only if another thread is idle or can be started.
And connections of one socket are accepted one by one: the socket is off (EPOLLONESHOT) until the previous connection
has passed the limit of connections, which may close others.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import threading
import time
from collections.abc import Callable

from dcm4py_leading.log import Repeated
from dcm4py_leading.model.bounds import IDLE_THREADS

LOG = logging.getLogger(__name__)

Serve = Callable[[], None]
Take = Callable[[socket.socket, str], Serve]
"""Takes in a connection from an address, and gives what serves it to its end."""

IDLE = "waits for connections"
"""Name of a thread that does."""
_FIRST_THREADS = 2
_COURTESY_SECONDS = (0.0002,) * 10 + (0.002,) * 20
"""Pauses between looks at whether another process has taken a connection: it needs the first few to wake up, on a busy
machine some more."""
_VAIN_SECONDS = 0.5
"""After all of these pauses in vain no connection is left to others for so long: one of them may hang."""
_FAILURE_SECONDS = 0.1
"""Pause after a connection that cannot be accepted, or not be served."""
_JOIN_SECONDS = 1.0
"""For idle threads, to wake up and end."""


class _Door:
    """A listening socket; other processes may also accept from it."""

    def __init__(self, sock: socket.socket, take: Take) -> None:
        sock.setblocking(False)
        self.socket = sock
        self.take = take
        self.lock = threading.Lock()  # of whoever accepts from it, or closes it
        self.is_open = True


class WaitingThreads:
    """The threads of one process that wait at all of its listening sockets. Safe under threads."""

    def __init__(self, *, lets_others_first: Callable[[], bool] = lambda: False) -> None:
        """``lets_others_first`` is True if another process should take the next connection, unless it is slow."""
        self._lets_others_first = lets_others_first
        self._epoll = select.epoll()
        self._end = os.eventfd(0)
        self._epoll.register(self._end, select.EPOLLIN)
        self._lock = threading.Lock()
        self._doors: dict[int, _Door] = {}
        self._threads: set[threading.Thread] = set()
        self._idle = 0
        self._in_vain_until = 0.0
        self._is_over = False
        self._refused, self._failed = Repeated(LOG), Repeated(LOG)

    def watch(self, sock: socket.socket, take: Take) -> None:
        """Accept connections from a listening socket."""
        door = _Door(sock, take)
        with self._lock:
            missing = _FIRST_THREADS - self._idle
        for _ in range(missing):
            self._start()
        with self._lock:
            # Both or none: a thread may still hold an event of a closed socket that had the same descriptor.
            self._epoll.register(sock, select.EPOLLIN | select.EPOLLONESHOT)
            self._doors[sock.fileno()] = door

    def leave(self, sock: socket.socket) -> None:
        """Stop accepting from a socket and close it; connections accepted before are served."""
        with self._lock:
            door = self._doors.pop(sock.fileno())
        with door.lock:
            door.is_open = False
            self._epoll.unregister(sock)
            sock.close()

    def end(self) -> None:
        """End the threads, each after the connection that it serves; call when no socket is watched any more."""
        with self._lock:
            if self._is_over:
                return
            self._is_over = True
            threads = list(self._threads)
        os.eventfd_write(self._end, 1)  # it is never read, so every waiting thread sees it
        ends_at = time.monotonic() + _JOIN_SECONDS
        for thread in threads:
            thread.join(max(ends_at - time.monotonic(), 0))
        if not any(thread.is_alive() for thread in threads):
            self._epoll.close()
            os.close(self._end)

    # -- the threads --------------------------------------------------------------------------------------------

    def _start(self) -> None:
        """Start an idle thread. Raises RuntimeError when the system has none left."""
        thread = threading.Thread(target=self._run, name=IDLE, daemon=True)
        with self._lock:
            self._idle += 1
            self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError:
            with self._lock:
                self._idle -= 1
                self._threads.discard(thread)
            raise

    def _run(self) -> None:
        thread = threading.current_thread()
        try:
            while True:
                ((descriptor, _),) = self._epoll.poll(maxevents=1)
                if descriptor == self._end:
                    return
                with self._lock:
                    door = self._doors.get(descriptor)
                serve = None if door is None else self._accepted(door, thread)
                if serve is None:
                    continue
                try:
                    serve()
                finally:
                    thread.name = IDLE
                with self._lock:
                    if self._is_over or self._idle >= IDLE_THREADS:
                        return
                    self._idle += 1
        finally:
            with self._lock:
                self._threads.discard(thread)

    def _accepted(self, door: _Door, thread: threading.Thread) -> Serve | None:
        """Accept a connection for this thread to serve; None if the thread should wait again."""
        if self._lets_others_first() and time.monotonic() >= self._in_vain_until:
            self._leave_to_others(door)
        with door.lock:
            if not door.is_open:
                return None
            try:
                return self._taken(door, thread)
            finally:
                self._epoll.modify(door.socket, select.EPOLLIN | select.EPOLLONESHOT)

    def _leave_to_others(self, door: _Door) -> None:
        """Wait until another process has taken the connection, should no longer take it, or is too slow."""
        looking = select.poll()
        looking.register(door.socket, select.POLLIN)
        for pause in _COURTESY_SECONDS:
            time.sleep(pause)
            if not looking.poll(0) or not self._lets_others_first():
                return
        self._in_vain_until = time.monotonic() + _VAIN_SECONDS

    def _taken(self, door: _Door, thread: threading.Thread) -> Serve | None:
        try:
            accepted, address = door.socket.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return None  # another process was faster, or the peer has gone
        except OSError as err:  # out of descriptors: existing connections come first
            self._failed.log(logging.ERROR, "cannot accept a connection: %s", err.strerror)
            time.sleep(_FAILURE_SECONDS)
            return None
        if not self._is_replaced():
            self._refused.log(
                logging.ERROR,
                "connection from %s is closed: no thread can be started, raise the limit of tasks",
                address[0],
            )
            accepted.close()
            time.sleep(_FAILURE_SECONDS)
            return None
        thread.name = f"association from {address[0]}"
        return door.take(accepted, address[0])

    def _is_replaced(self) -> bool:
        """True if another thread will wait in place of this one."""
        with self._lock:
            is_last = self._idle == 1
            if not is_last:
                self._idle -= 1
                return True
        try:
            self._start()
        except RuntimeError:
            return False
        with self._lock:
            self._idle -= 1
        return True
