"""One listener for each Connection; a reload binds new ones before it and closes old ones after it."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Container, Iterable, Mapping

from dcm4py_leading.dicom.negotiation import Rejection
from dcm4py_leading.dicom.scp.acceptance import Acceptances
from dcm4py_leading.dicom.scp.acceptor import AcceptedAssociation, Handler
from dcm4py_leading.dicom.scp.echo import echo
from dcm4py_leading.dicom.scp.find import find_matches
from dcm4py_leading.dicom.scp.retrieve import get, move
from dcm4py_leading.dicom.scp.store import store_object
from dcm4py_leading.dicom.scp.unadmitted import Unadmitted
from dcm4py_leading.dicom.scu.outbound import Opened
from dcm4py_leading.dicom.under_way import AssociationsUnderWay, Numbered, serial_numbers
from dcm4py_leading.dicom.upper.foreign import ForeignPeers
from dcm4py_leading.dicom.upper.pdu import AssociateReject
from dcm4py_leading.errors import ConfigInvalid, Problem
from dcm4py_leading.log import Repeated
from dcm4py_leading.model.descriptors import shares
from dcm4py_leading.model.device import Connection
from dcm4py_leading.service.runtime import RuntimeHolder

LOG = logging.getLogger(__name__)

_ABORTED_SECONDS = 10.0
"""In which whoever has lost all associations should come to an end."""

HANDLERS: Mapping[str, Handler] = {
    "C-ECHO": echo,
    "C-STORE": store_object,
    "C-FIND": find_matches,
    "C-MOVE": move,
    "C-GET": get,
}
Address = tuple[str, int]


def bind_listener(connection: Connection) -> socket.socket:
    """A socket that listens where ``connection`` says. Raises OSError."""
    host, port = connection.listen_address
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    return socket.create_server(address[:2], family=family, backlog=connection.tcp_backlog)


def bind_all(
    connections: Iterable[Connection],
    bound: Container[Address],
    bind: Callable[[Connection], socket.socket] = bind_listener,
) -> dict[Address, socket.socket]:
    """Listen where nothing is ``bound`` yet. Raises ConfigInvalid with every port that cannot be had."""
    fresh: dict[Address, socket.socket] = {}
    problems = []
    for connection in connections:
        address = connection.listen_address
        if address in bound or address in fresh:
            continue
        try:
            fresh[address] = bind(connection)
        except OSError as err:
            reason = f"cannot listen on {address[0]}: {_why(err, address)}"
            problems.append(Problem(dn=connection.dn, attribute="dicomPort", value=str(address[1]), reason=reason))
    if problems:
        close_all(fresh)
        raise ConfigInvalid(problems)
    return fresh


def _why(err: OSError, address: Address) -> str:
    """The reason, with what helps; Python's own text names the address once more."""
    reason = str(err) if err.errno is None else os.strerror(err.errno)
    if err.errno == errno.EACCES and address[1] < 1024:
        reason += "; a port below 1024 needs CAP_NET_BIND_SERVICE, see docs/troubleshooting.md"
    return reason


def close_all(sockets: Mapping[Address, socket.socket]) -> None:
    """Let go of sockets that are not served."""
    for sock in sockets.values():
        sock.close()


class _Listener:
    """One listening socket, and the thread that accepts from it once it is started.

    Other processes may accept from the same socket.
    """

    def __init__(self, sock: socket.socket, accept: Callable[[socket.socket, str], None]) -> None:
        sock.setblocking(False)
        self._failures = Repeated(LOG)
        self._socket = sock
        self._accept = accept
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name=f"listener {sock.getsockname()[:2]}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        while True:
            if any(descriptor == self._woken.fileno() for descriptor, _ in poll.poll()):
                return
            try:
                accepted, address = self._socket.accept()
            except (BlockingIOError, ConnectionAbortedError):
                continue  # another process was faster, or the peer is gone again
            except OSError as err:  # out of descriptors: those who have a connection come first
                self._failures.log(logging.ERROR, "cannot accept a connection: %s", err.strerror)
                time.sleep(0.1)
                continue
            self._accept(accepted, address[0])

    def close(self) -> None:
        """Stop accepting, and let go of the socket."""
        if self._thread.ident is not None:
            self._wake.send(b"x")
            self._thread.join()
        for sock in (self._socket, self._wake, self._woken):
            sock.close()


class Listeners:
    """The listening sockets of the service, by address, and the associations that came in through them."""

    def __init__(
        self,
        holder: RuntimeHolder,
        *,
        bind: Callable[[Connection], socket.socket] = bind_listener,
        others: Callable[[], int] = lambda: 0,
        report: Callable[[int], None] = lambda _: None,
        next_number: Callable[[], int] | None = None,
    ) -> None:
        """``bind`` gives a listening socket or raises OSError; ``others`` counts associations of other processes.

        ``report`` is told how many are open here, whenever that changes. ``next_number`` gives serial numbers that are
        not those of associations of other processes.
        """
        self.holder = holder
        self._bind = bind
        self._others = others
        self._report = report
        self._acceptances = Acceptances()
        self._foreign = ForeignPeers()
        self._listeners: dict[Address, _Listener] = {}
        self._associations: dict[AcceptedAssociation, threading.Thread] = {}
        self._open: set[AcceptedAssociation] = set()
        self.under_way = AssociationsUnderWay(next_number or serial_numbers())
        self.opened = Opened(self.under_way)
        self._lock = threading.Lock()  # of listeners, associations and those that are open
        self._shares = shares()
        self._unadmitted = Unadmitted(self._shares.unadmitted)

    def bind(self, connections: Iterable[Connection]) -> Rebinding:
        """Bind what is not bound yet, without serving it. Raises ConfigInvalid with every port that cannot be had."""
        wanted = {connection.listen_address: connection for connection in connections}
        sockets = bind_all(wanted.values(), self._listeners, self._bind)
        fresh = {address: self._listener(address, sock) for address, sock in sockets.items()}
        return Rebinding(self, fresh, frozenset(self._listeners.keys() - wanted.keys()))

    def _listener(self, address: Address, sock: socket.socket) -> _Listener:
        def accept(sock: socket.socket, remote_address: str) -> None:
            association = AcceptedAssociation(
                *(sock, remote_address, address, self.holder, HANDLERS),
                takes_a_place=self._takes_a_place,
                is_admitted=self._is_admitted,
                acceptances=self._acceptances,
                foreign=self._foreign,
            )
            self._unadmitted.add(association)
            thread = threading.Thread(
                target=self._run, args=(association,), name=f"association from {remote_address}", daemon=True
            )
            with self._lock:
                self._associations[association] = thread
            try:
                thread.start()
            except RuntimeError:  # the system has no thread left
                LOG.error(
                    "connection from %s is closed: no thread can be started, raise the limit of tasks",
                    remote_address,
                )
                self._forget(association)
                sock.close()

        return _Listener(sock, accept)

    def _run(self, association: AcceptedAssociation) -> None:
        try:
            with self.opened.by_this_thread():
                association.run(on_end=lambda: self._has_ended(association))
        finally:
            self._forget(association)

    def _takes_a_place(self, association: AcceptedAssociation) -> int | Rejection:
        """It asks to be admitted: how many are open in all processes, it included; or why there is no place."""
        with self._lock:
            self._open.add(association)
            self._report(len(self._open))
            if len(self._open) > self._shares.admitted:
                return Rejection(AssociateReject(2, 3, 2), f"there is room for {self._shares.admitted} associations")
            return len(self._open) + self._others()

    def _is_admitted(self, association: AcceptedAssociation) -> Numbered:
        self._unadmitted.remove(association)
        return self.under_way.enter(association)

    def _has_ended(self, association: AcceptedAssociation) -> None:
        self._unadmitted.enter(association)  # until the peer has closed the connection
        with self._lock:
            self._open.discard(association)
            self._report(len(self._open))

    def _forget(self, association: AcceptedAssociation) -> None:
        self._unadmitted.remove(association)
        with self._lock:
            self._associations.pop(association, None)

    def _apply(self, fresh: Mapping[Address, _Listener], obsolete: frozenset[Address]) -> None:
        for address, listener in fresh.items():
            with self._lock:
                self._listeners[address] = listener
            listener.start()
            LOG.info("listening on %s:%d", *address)
        for address in obsolete:
            with self._lock:
                closed = self._listeners.pop(address, None)
            if closed is None:  # the service stops while an administrator stops the listening
                continue
            closed.close()
            LOG.info("no longer listening on %s:%d", *address)

    def open_associations(self) -> int:
        """Number of associations of peers with this process; a connection that asked for none yet does not count."""
        with self._lock:
            return len(self._open)

    @property
    def bound(self) -> frozenset[Address]:
        """Where it listens."""
        with self._lock:
            return frozenset(self._listeners)

    def close(self) -> None:
        """Close the listeners; associations go on."""
        self._apply({}, self.bound)

    def stop(self, drain_seconds: float) -> None:
        """Close the listeners, let requests under way end for ``drain_seconds``, abort every association.

        Those too that were opened to other systems for these requests: nothing of them is left. What goes on without
        an association is not waited for any longer than `_ABORTED_SECONDS` after that.
        """
        self.close()
        deadline = time.monotonic() + drain_seconds
        while True:
            with self._lock:
                running = dict(self._associations)
            if not running and not self.opened.has_threads:
                return
            if not running and time.monotonic() > deadline + _ABORTED_SECONDS:
                LOG.warning(
                    "a job or an export by HTTP has not ended: the service stops without waiting for it any longer"
                )
                return
            is_late = time.monotonic() > deadline
            for association in running:
                if is_late or not association.is_busy:
                    association.abort()
            if is_late:
                self.opened.abort()
            for thread in running.values():
                with contextlib.suppress(RuntimeError):  # not started yet
                    thread.join(0.02)
            self.opened.join(0.02)

    def pause(self, drain_seconds: float) -> None:
        """As `stop`, but other listeners may be bound later."""
        self.stop(drain_seconds)
        self.opened.begin_again()


class Rebinding:
    """New sockets, bound but not served, and the addresses to be left: commit after the swap, or cancel."""

    def __init__(self, listeners: Listeners, fresh: Mapping[Address, _Listener], obsolete: frozenset[Address]) -> None:
        self._listeners = listeners
        self._fresh = fresh
        self._obsolete = obsolete

    def commit(self) -> None:
        """Serve the new sockets, close the obsolete ones."""
        self._listeners._apply(self._fresh, self._obsolete)

    def cancel(self) -> None:
        """Close the new sockets again."""
        for listener in self._fresh.values():
            listener.close()
