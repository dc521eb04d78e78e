"""Listening sockets, one for each Connection, and the associations that come in through them.

A reload binds new sockets before the configuration changes, and closes old sockets afterwards.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Container, Iterable, Mapping
from functools import partial

from dcm4py_leading.dicom.negotiation import Rejection
from dcm4py_leading.dicom.open_associations import AssociationNumber, OpenAssociations
from dcm4py_leading.dicom.scp.acceptance import Acceptances
from dcm4py_leading.dicom.scp.acceptor import AcceptedAssociation, Handler
from dcm4py_leading.dicom.scp.echo import echo
from dcm4py_leading.dicom.scp.find import find_matches
from dcm4py_leading.dicom.scp.other_processes import NoOtherProcesses, OtherProcesses
from dcm4py_leading.dicom.scp.retrieve import get, move
from dcm4py_leading.dicom.scp.store import store_object
from dcm4py_leading.dicom.scp.unadmitted import Unadmitted
from dcm4py_leading.dicom.scp.waiting import WaitingThreads
from dcm4py_leading.dicom.scu.outbound import OutboundLinks
from dcm4py_leading.dicom.upper.foreign import ForeignPeers
from dcm4py_leading.dicom.upper.pdu import AssociateReject
from dcm4py_leading.errors import ConfigInvalid, Problem
from dcm4py_leading.model.descriptors import shares
from dcm4py_leading.model.device import Connection
from dcm4py_leading.service.runtime import RuntimeHolder

LOG = logging.getLogger(__name__)

_ABORTED_SECONDS = 10.0
"""In which whoever has lost all associations should come to an end."""
_LOOK_SECONDS = 0.02
"""Between two looks at what has not ended yet, while the service stops."""

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
    """Bind the addresses that are not ``bound`` yet. Raises ConfigInvalid with every port that cannot be bound."""
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
    """The reason and a remedy; Python's own text would repeat the address."""
    reason = str(err) if err.errno is None else os.strerror(err.errno)
    if err.errno == errno.EACCES and address[1] < 1024:
        reason += "; a port below 1024 needs CAP_NET_BIND_SERVICE, see docs/troubleshooting.md"
    if err.errno == errno.EADDRINUSE:
        reason += f"; as root, ss -ltnp sport = :{address[1]} tells by which program"
    return reason


def close_all(sockets: Mapping[Address, socket.socket]) -> None:
    """Close sockets that are not served."""
    for sock in sockets.values():
        sock.close()


class Listeners:
    """The listening sockets of the service, by address, and the associations that came in through them."""

    def __init__(
        self,
        holder: RuntimeHolder,
        *,
        bind: Callable[[Connection], socket.socket] = bind_listener,
        others: OtherProcesses | None = None,
    ) -> None:
        """``bind`` gives a listening socket or raises OSError; ``others`` are the processes with the same sockets."""
        self.holder = holder
        self._bind = bind
        self._others = others or NoOtherProcesses()
        self._worker = "" if others is None else f", worker with process id {os.getpid()}"
        self._acceptances = Acceptances()
        self._foreign = ForeignPeers()
        self._sockets: dict[Address, socket.socket] = {}
        self._waiting = WaitingThreads(lets_others_first=self._others.should_go_first)
        self._associations: set[AcceptedAssociation] = set()
        """Connections until they are closed."""
        self._unfinished: set[AcceptedAssociation] = set()
        """Those of which it is not over what the peer wants."""
        self._open: set[AcceptedAssociation] = set()
        """Those that were admitted, or ask to be."""
        self.associations = OpenAssociations(self._others.next_serial_number)
        self.opened = OutboundLinks(self.associations)
        self._lock = threading.Lock()  # of sockets and the sets of associations
        self._one_is_gone = threading.Condition(self._lock)
        self._shares = shares()
        self._unadmitted = Unadmitted(self._shares.unadmitted)

    def bind(self, connections: Iterable[Connection]) -> Rebinding:
        """Bind new addresses without serving them. Raises ConfigInvalid with every port that cannot be bound."""
        wanted = {connection.listen_address: connection for connection in connections}
        fresh = bind_all(wanted.values(), self._sockets, self._bind)
        return Rebinding(self, fresh, frozenset(self._sockets.keys() - wanted.keys()))

    def _take(self, address: Address, sock: socket.socket, remote_address: str) -> Callable[[], None]:
        """Register a connection to ``address``; the returned function serves it."""
        association = AcceptedAssociation(
            *(sock, remote_address, address, self.holder, HANDLERS),
            takes_a_place=self._takes_a_place,
            is_admitted=self._is_admitted,
            acceptances=self._acceptances,
            foreign=self._foreign,
        )
        with self._lock:
            self._associations.add(association)
            self._unfinished.add(association)
            self._report()
        self._unadmitted.add(association)
        return partial(self._run, association)

    def _run(self, association: AcceptedAssociation) -> None:
        try:
            with self.opened.by_this_thread():
                association.run(on_end=lambda: self._has_ended(association))
        finally:
            self._forget(association)

    def _report(self) -> None:
        """Publish our counts to the other processes; call with the lock held."""
        connections = len(self._unfinished) if self._sockets else None
        self._others.report(associations=len(self._open), connections=connections)

    def _takes_a_place(self, association: AcceptedAssociation) -> int | Rejection:
        """Count an association that asks for admission: the number in all processes, or the reason for a refusal."""
        with self._lock:
            self._open.add(association)
            self._report()
            if len(self._open) > self._shares.admitted:
                return Rejection(AssociateReject(2, 3, 2), f"there is room for {self._shares.admitted} associations")
            return len(self._open) + self._others.associations

    def _is_admitted(self, association: AcceptedAssociation) -> AssociationNumber:
        self._unadmitted.remove(association)
        return self.associations.enter(association)

    def _has_ended(self, association: AcceptedAssociation) -> None:
        with self._lock:
            if association not in self._unfinished:  # reported before
                return
            self._unfinished.discard(association)
            self._open.discard(association)
            self._report()
        self._unadmitted.enter(association)  # until the peer has closed the connection

    def _forget(self, association: AcceptedAssociation) -> None:
        self._unadmitted.remove(association)
        with self._lock:
            self._associations.discard(association)
            self._unfinished.discard(association)
            self._one_is_gone.notify_all()

    def _apply(self, fresh: Mapping[Address, socket.socket], obsolete: frozenset[Address]) -> None:
        for address, sock in fresh.items():
            with self._lock:
                self._sockets[address] = sock
                self._report()
            self._waiting.watch(sock, partial(self._take, address))
            LOG.info("listening on %s:%d%s", *address, self._worker)
        for address in obsolete:
            with self._lock:
                closed = self._sockets.pop(address, None)
                self._report()
            if closed is None:  # the service stops while an administrator stops the listening
                continue
            self._waiting.leave(closed)
            LOG.info("no longer listening on %s:%d%s", *address, self._worker)

    def open_associations(self) -> int:
        """Number of associations of peers with this process; a connection that asked for none yet does not count."""
        with self._lock:
            return len(self._open)

    @property
    def bound(self) -> frozenset[Address]:
        """The addresses on which it listens."""
        with self._lock:
            return frozenset(self._sockets)

    def close(self) -> None:
        """Close the listeners; open associations continue."""
        self._apply({}, self.bound)

    def stop(self, drain_seconds: float) -> None:
        """Close the listeners, give running requests ``drain_seconds`` to end, then abort every association.

        Also aborts the associations that were opened to other systems for these requests. Waits at most
        `_ABORTED_SECONDS` longer for threads that continue without an association.
        """
        self.close()
        self._drain(drain_seconds)
        self._waiting.end()

    def pause(self, drain_seconds: float) -> None:
        """Like `stop`, but listeners may be bound again later."""
        self.close()
        self._drain(drain_seconds)
        self.opened.begin_again()

    def _drain(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while True:
            with self._lock:
                running = list(self._associations)
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
            with self._lock:
                self._one_is_gone.wait_for(lambda: not self._associations, _LOOK_SECONDS)
            self.opened.join(_LOOK_SECONDS)


class Rebinding:
    """New sockets that are bound but not served, and obsolete addresses: commit after the swap, or cancel."""

    def __init__(
        self, listeners: Listeners, fresh: Mapping[Address, socket.socket], obsolete: frozenset[Address]
    ) -> None:
        self._listeners = listeners
        self._fresh = fresh
        self._obsolete = obsolete

    def commit(self) -> None:
        """Serve the new sockets, close the obsolete ones."""
        self._listeners._apply(self._fresh, self._obsolete)

    def cancel(self) -> None:
        """Close the new sockets."""
        close_all(self._fresh)
