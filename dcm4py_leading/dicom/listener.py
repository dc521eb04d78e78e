"""One listener for each Connection; a reload binds new ones before it and closes old ones after it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Mapping
from socketserver import BaseRequestHandler
from typing import Any

from pydicom.uid import UID
from pynetdicom.ae import ApplicationEntity as PynetdicomAE
from pynetdicom.presentation import build_context
from pynetdicom.transport import AddressInformation, AssociationServer, AssociationSocket

from dcm4py_leading.archive.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dcm4py_leading.dicom.association import AcceptedAssociation, Handler
from dcm4py_leading.dicom.negotiation import VERIFICATION
from dcm4py_leading.dicom.scp_echo import echo
from dcm4py_leading.dicom.scp_find import find_matches
from dcm4py_leading.dicom.scp_retrieve import get, move
from dcm4py_leading.dicom.scp_store import store_object
from dcm4py_leading.errors import ConfigInvalid, Problem
from dcm4py_leading.model.device import Connection
from dcm4py_leading.service.runtime import RuntimeHolder

LOG = logging.getLogger(__name__)

HANDLERS: Mapping[str, Handler] = {
    "C-ECHO": echo,
    "C-STORE": store_object,
    "C-FIND": find_matches,
    "C-MOVE": move,
    "C-GET": get,
}
Address = tuple[str, int]


class _Server(AssociationServer):
    """Binds in its constructor, so that a port that is taken is known before anything changes."""

    def __init__(self, listeners: Listeners, connection: Connection) -> None:
        address = connection.listen_address
        ae = PynetdicomAE()
        ae.network_timeout = None
        ae.maximum_associations = 1 << 30  # dcmLimitOpenAssociations is heeded in negotiation
        self.request_queue_size = connection.tcp_backlog
        self._listeners = listeners
        self._listen_address = address
        host = AddressInformation(*address).address
        super().__init__(
            ae, (host, address[1]), "ANY-SCP", [build_context(VERIFICATION)], request_handler=BaseRequestHandler
        )

    def finish_request(self, request: Any, client_address: Any) -> None:
        assoc = AcceptedAssociation(
            self.ae,
            self._listen_address,
            self._listeners.holder,
            HANDLERS,
            self._listeners.open_associations,
        )
        assoc._server = self
        assoc.name = f"AcceptorThread from {client_address[0]}"
        assoc.set_socket(AssociationSocket(assoc, client_socket=request))
        assoc.acceptor.address_info = AddressInformation.from_tuple(self.server_address)
        assoc.acceptor.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
        assoc.acceptor.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        assoc.requestor.address_info = AddressInformation.from_tuple(client_address)
        self._listeners.track(assoc)
        assoc.start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        LOG.error("connection from %s: cannot be served", client_address[0], exc_info=False)

    def shutdown(self) -> None:
        """Stop accepting; associations go on. (pynetdicom's own wants to be one of its AE's servers.)"""
        super(AssociationServer, self).shutdown()
        self.server_close()


class Listeners:
    """The listening sockets of the service, by address, and the associations that came in through them."""

    def __init__(self, holder: RuntimeHolder) -> None:
        self.holder = holder
        self._servers: dict[Address, tuple[_Server, threading.Thread]] = {}
        self._associations: set[AcceptedAssociation] = set()
        self._lock = threading.Lock()  # of _associations

    def bind(self, connections: Iterable[Connection]) -> Rebinding:
        """Bind what is not bound yet, without serving it. Raises ConfigInvalid with every port that cannot be had."""
        wanted = {connection.listen_address: connection for connection in connections}
        fresh: dict[Address, _Server] = {}
        problems = []
        for address, connection in wanted.items():
            if address not in self._servers:
                try:
                    fresh[address] = _Server(self, connection)
                except OSError as err:
                    reason = f"cannot listen on {address[0]}: {err.strerror or err}"
                    problems.append(
                        Problem(dn=connection.dn, attribute="dicomPort", value=str(address[1]), reason=reason)
                    )
        rebinding = Rebinding(self, fresh, frozenset(self._servers.keys() - wanted.keys()))
        if problems:
            rebinding.cancel()
            raise ConfigInvalid(problems)
        return rebinding

    def _apply(self, fresh: Mapping[Address, _Server], obsolete: frozenset[Address]) -> None:
        for address, server in fresh.items():
            thread = threading.Thread(
                target=server.serve_forever, kwargs={"poll_interval": 0.1}, name=f"listener {address}", daemon=True
            )
            self._servers[address] = (server, thread)
            thread.start()
            LOG.info("listening on %s:%d", *address)
        for address in obsolete:
            server, thread = self._servers.pop(address)
            server.shutdown()
            thread.join()
            LOG.info("no longer listening on %s:%d", *address)

    def track(self, assoc: AcceptedAssociation) -> None:
        """Remember a new association, forget those that ended."""
        with self._lock:
            self._associations = {a for a in self._associations if a.is_alive()}
            self._associations.add(assoc)

    def open_associations(self) -> int:
        """How many associations peers have with us, the one that is being asked about included."""
        with self._lock:
            return sum(assoc.is_alive() for assoc in self._associations)

    def stop(self, drain_seconds: float) -> None:
        """Close the listeners, let requests under way end for ``drain_seconds``, abort every association."""
        self._apply({}, frozenset(self._servers))
        deadline = time.monotonic() + drain_seconds
        with self._lock:
            associations = list(self._associations)
        while associations := [assoc for assoc in associations if assoc.is_alive()]:
            for assoc in associations:
                if not assoc.is_busy or time.monotonic() > deadline:
                    assoc.abort()
            time.sleep(0.02)


class Rebinding:
    """New sockets, bound but not served, and the addresses to be left: commit after the swap, or cancel."""

    def __init__(self, listeners: Listeners, fresh: Mapping[Address, _Server], obsolete: frozenset[Address]) -> None:
        self._listeners = listeners
        self._fresh = fresh
        self._obsolete = obsolete

    def commit(self) -> None:
        """Serve the new sockets, close the obsolete ones."""
        self._listeners._apply(self._fresh, self._obsolete)

    def cancel(self) -> None:
        """Close the new sockets again."""
        for server in self._fresh.values():
            server.server_close()
