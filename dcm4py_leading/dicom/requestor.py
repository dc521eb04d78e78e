"""Our side of an association that we open.

pynetdicom's own reactor thread is not started: it can take a response before the waiting call does. Without it the
caller's thread alone reads, so an association here belongs to one thread at a time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from pydicom.uid import UID
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity as PynetdicomAE
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import A_RELEASE
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AddressInformation, AssociationSocket

from dcm4py_leading.archive.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dcm4py_leading.dicom.association import no_delay, seconds, socket_of, store_on
from dcm4py_leading.dicom.message import MoveOriginator, Primitive
from dcm4py_leading.model.device import ApplicationEntity, Connection, RemoteAE
from dcm4py_leading.model.values import AETitle
from dcm4py_leading.service.encode import PreparedObject


class AssociationFailed(Exception):
    """The association could not be opened, or ended before the answer. The message says what the peer did."""


class RequestedAssociation:
    """An open association with ``remote``; a context manager that releases it, or aborts when an exception ends it."""

    def __init__(
        self,
        local_ae: ApplicationEntity,
        remote: RemoteAE,
        contexts: Sequence[PresentationContext],
        *,
        for_storage: bool = False,
        timeout: timedelta | None = None,
    ) -> None:
        """Open it. Raises AssociationFailed.

        dcmSendTimeout bounds the sending of each request, dcmStoreTimeout where it is ``for_storage``. ``timeout``
        bounds the opening as a whole, beside dcmTCPConnectTimeout and dcmAAACTimeout.
        """
        self._remote = remote
        local = next((c for c in local_ae.connections if not c.is_tls), None)
        target = _usable_connection(remote)
        if local is None:
            raise AssociationFailed(f"AE {local_ae.ae_title} has no connection that can initiate")
        if not local_ae.association_initiator:
            raise AssociationFailed(f"AE {local_ae.ae_title} must not initiate: dicomAssociationInitiator is FALSE")
        self._local = local
        self._send_timeout = local.store_timeout if for_storage else local.send_timeout
        self._socket: Any = None
        self._last_message_id = 0
        self._assoc = self._open(local_ae, target, contexts, timeout)

    def _open(
        self,
        local_ae: ApplicationEntity,
        target: Connection,
        contexts: Sequence[PresentationContext],
        timeout: timedelta | None,
    ) -> Association:
        local = self._local
        ends_at = None if timeout is None else time.monotonic() + timeout.total_seconds()
        ae = PynetdicomAE(local_ae.calling_ae_title_for(self._remote.ae_title))
        ae.acse_timeout = seconds(local.aaac_timeout)
        ae.connection_timeout = _shorter(seconds(local.tcp_connect_timeout), seconds(timeout))
        ae.dimse_timeout = seconds(local.response_timeout)
        ae.network_timeout = seconds(local.idle_timeout)
        assoc = Association(ae, "requestor")
        assoc.name = f"RequestorThread to {self._remote.ae_title}"
        # A process that ends does not wait for an association that is kept open.
        assoc.dul.daemon = True
        port = target.port or 0
        where = f"{self._remote.ae_title} at {target.hostname}:{port}"
        try:
            address = AddressInformation(target.hostname, port)
            bind_address = local.client_bind_address or ("::" if address.is_ipv6 else "0.0.0.0")
            wrapper = AssociationSocket(assoc, address=AddressInformation(bind_address, 0))
        except OSError as err:
            raise AssociationFailed(f"{where}: {err.strerror or err}") from err
        assoc.set_socket(wrapper)
        self._socket = wrapper.socket
        assoc.acceptor.ae_title = self._remote.ae_title
        assoc.acceptor.address_info = address
        assoc.requestor.address_info = AddressInformation(bind_address, 0)
        assoc.requestor.ae_title = ae.ae_title
        assoc.requestor.maximum_length = local.receive_pdu_length
        assoc.requestor.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
        assoc.requestor.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        for number, context in enumerate(contexts):
            context.context_id = 2 * number + 1
        assoc.requestor.requested_contexts = list(contexts)

        is_connected = threading.Event()

        def connected(_: object) -> None:
            is_connected.set()
            no_delay(socket_of(assoc), self._send_timeout)
            if ends_at is not None:
                assoc.acse_timeout = _shorter(assoc.acse_timeout, max(0.001, ends_at - time.monotonic()))

        assoc.bind(evt.EVT_CONN_OPEN, connected)
        assoc._is_paused = True  # there is no reactor to wait for
        assoc.request()
        if not assoc.is_established:
            self._socket.close()
            raise AssociationFailed(f"{where}: {_failure(assoc, is_connected.is_set())}")
        # connect() took the timeout off again after the event
        no_delay(socket_of(assoc), self._send_timeout)
        return assoc

    @property
    def peer(self) -> AETitle:
        """AE title of the peer."""
        return self._remote.ae_title

    @property
    def accepted_contexts(self) -> list[PresentationContext]:
        """What the peer accepted."""
        return list(self._assoc.accepted_contexts)

    @property
    def is_open(self) -> bool:
        """Whether the peer is still there, and does not ask to release."""
        return bool(
            self._assoc.is_established
            and self._assoc.dul.is_alive()
            and not self._assoc.acse.is_aborted()
            and not self._is_release_requested()
        )

    def _is_release_requested(self) -> bool:
        pdu: Any = self._assoc.dul.peek_next_pdu()
        return isinstance(pdu, A_RELEASE) and pdu.result is None

    def next_message_id(self) -> int:
        """A Message ID for the next request, from 1 to 65535 (PS3.7 E.1)."""
        self._last_message_id = self._last_message_id % 0xFFFF + 1
        return self._last_message_id

    def send(self, request: Primitive, context_id: int) -> None:
        """Send one DIMSE request."""
        self._assoc.dimse.send_msg(request, context_id)

    def receive(self, timeout: float | None = None) -> Primitive:
        """The next DIMSE response. Raises AssociationFailed when none comes in dcmResponseTimeout or ``timeout``.

        ``timeout`` in seconds.
        """
        bound = _shorter(seconds(self._local.response_timeout), timeout)
        self._assoc.dimse_timeout = None if bound is None else max(0.0, bound)
        _, response = self._assoc.dimse.get_msg(block=True)
        if response is None:
            reason = "no response in time" if self.is_open else "the peer ended the association"
            raise AssociationFailed(f"{self._remote.ae_title}: {reason}")
        return response

    def store(self, obj: PreparedObject, message_id: int, originator: MoveOriginator) -> int | None:
        """C-STORE ``obj``; the status, or None when the response did not come in time."""
        return store_on(self._assoc, obj, message_id, originator)

    def release(self) -> None:
        """Release in an orderly way, also when the peer asked first; dcmARRPTimeout bounds the wait."""
        if self._is_release_requested():
            self._assoc.acse.is_release_requested()  # takes it
            self._assoc.acse.send_release(is_response=True)
            self._assoc.is_released = True
            self._assoc.is_established = False
            self._assoc.kill()
            self._socket.close()
        elif self.is_open:
            self._assoc.acse_timeout = seconds(self._local.arrp_timeout)
            self._assoc.release()
            self._socket.close()
        else:
            self.abort()

    def abort(self) -> None:
        """Abort, if it is still open, and let go of the socket."""
        self._assoc.abort()
        self._assoc.kill()
        self._socket.close()  # pynetdicom does not when the peer was faster

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if exc_type is None:
            self.release()
        else:
            self.abort()


def _shorter(one: float | None, other: float | None) -> float | None:
    """Of two timeouts in seconds; None is for ever."""
    return other if one is None else one if other is None else min(one, other)


def _usable_connection(remote: RemoteAE) -> Connection:
    for connection in remote.connections:
        if connection.port is not None and connection.installed and not connection.is_tls:
            return connection
    raise AssociationFailed(f"{remote.ae_title} has no plain DICOM connection with a port in the directory")


def _failure(assoc: Association, is_connected: bool) -> str:
    if assoc.is_rejected:
        answer: Any = assoc.acceptor.primitive
        return f"association rejected: {answer.result_str}, {answer.source_str}, {answer.reason_str}"
    if not is_connected:
        return "cannot connect"
    if assoc.is_aborted and not assoc._sent_abort:
        return "association aborted"
    return "no answer to the association request in time"
