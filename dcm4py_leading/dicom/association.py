"""Our side of an association that a peer opened: admission, one lease of the runtime, dispatch of requests.

Every touch of a name that pynetdicom keeps private is in this module and in `requestor`.
"""

from __future__ import annotations

import logging
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity as PynetdicomAE
from pynetdicom.association import Association

from dcm4py_leading import log
from dcm4py_leading.coercion.select import Peer
from dcm4py_leading.dicom import status
from dcm4py_leading.dicom.message import (
    COMMANDS,
    MoveOriginator,
    Primitive,
    Request,
    accepted_context_id,
    request_from,
    response_to,
    store_request,
)
from dcm4py_leading.dicom.negotiation import Rejection, admit, relational_queries, supported_contexts
from dcm4py_leading.errors import ConfigUnavailable, DependencyError, RequestError, StatusError
from dcm4py_leading.model.device import ApplicationEntity, Connection
from dcm4py_leading.service.encode import PreparedObject
from dcm4py_leading.service.runtime import Runtime, RuntimeHolder
from dcm4py_leading.service.tally import SubOperationTally

LOG = logging.getLogger(__name__)

Handler = Callable[["AcceptedAssociation", Request], "Outcome"]
Outcome = tuple[int, Mapping[str, object]]
"""Final status, and what the canonical log line tells besides."""

_SEND_QUEUE_LIMIT = 200


def seconds(duration: timedelta | None) -> float | None:
    """As pynetdicom and sockets want a timeout; None waits for ever."""
    return None if duration is None else duration.total_seconds()


def socket_of(assoc: Association) -> socket.socket:
    """The connected socket of an association."""
    wrapper: Any = assoc.dul.socket
    sock: socket.socket = wrapper.socket
    return sock


def no_delay(sock: socket.socket, timeout: timedelta | None) -> None:
    """Send at once (a delayed message costs 40 ms), and bound the wait for a peer that stops reading or writing."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.settimeout(seconds(timeout))


class AcceptedAssociation(Association):
    """One association of a peer with us. Keeps the runtime of its beginning to its end."""

    def __init__(
        self,
        ae: PynetdicomAE,
        address: tuple[str, int],
        holder: RuntimeHolder,
        handlers: Mapping[str, Handler],
        open_associations: Callable[[], int],
    ) -> None:
        super().__init__(ae, "acceptor")
        self._address = address
        self._holder = holder
        self._handlers_by_command = handlers
        self._open_associations = open_associations
        self._extended: dict[str, bytes] = {}
        self.runtime: Runtime
        self.connection: Connection
        self.local_ae: ApplicationEntity
        self.is_busy = False
        """Whether a request is being served."""
        self.bind(evt.EVT_REQUESTED, self._admit)
        self.bind(evt.EVT_SOP_EXTENDED, self._negotiate_extended)

    @property
    def calling_ae_title(self) -> str:
        """AE title of the peer."""
        return str(self.requestor.ae_title).strip()

    @property
    def remote_address(self) -> str:
        """IP address of the peer."""
        return str(self.requestor.address)

    @property
    def remote_peer(self) -> Peer:
        """The peer as coercion rules see it."""
        return self.runtime.peer_of(self.calling_ae_title, self.remote_address)

    @property
    def local_peer(self) -> Peer:
        """Our own side as coercion rules see it."""
        return Peer(host=self.connection.hostname, ae_title=self.local_ae.ae_title)

    # -- life ---------------------------------------------------------------------------------------------------

    def run_reactor(self) -> None:
        """From the TCP connection to its end."""
        with log.association_id(secrets.token_hex(4)), self._holder.lease() as runtime:
            connection = runtime.connection_at(self._address)
            if connection is None:  # closed by a reload while this peer was connecting
                socket_of(self).close()
                return
            self.runtime, self.connection = runtime, connection
            sock = socket_of(self)
            no_delay(sock, connection.aarq_timeout)
            self.acse_timeout = seconds(connection.aarq_timeout)
            self.network_timeout = seconds(connection.idle_timeout)
            self.dimse_timeout = seconds(connection.response_timeout)
            self.acceptor.maximum_length = connection.receive_pdu_length
            try:
                super().run_reactor()
            finally:
                self.kill()
                sock.close()  # pynetdicom does not when the peer was faster
            if self.is_released or self.is_aborted:
                LOG.info("association with %s %s", self.calling_ae_title, "released" if self.is_released else "aborted")

    def _admit(self, event: Any) -> None:
        """EVT_REQUESTED. pynetdicom accepts when this raises, so it must not."""
        request: Any = self.requestor.primitive
        called, calling = request.called_ae_title.strip(), request.calling_ae_title.strip()
        self.requestor.ae_title = calling
        try:
            verdict = admit(self.runtime.device, self.connection, called, calling, self._open_associations())
            if isinstance(verdict, ApplicationEntity):
                self.local_ae = verdict
                scp_roles = {uid for uid, item in self.requestor.role_selection.items() if item.scp_role}
                self.acceptor.ae_title = called
                self.acceptor.supported_contexts = supported_contexts(
                    verdict, request.presentation_context_definition_list, scp_roles
                )
        except Exception as err:  # noqa: BLE001 - see above; a bug here must refuse the peer, not let it in
            LOG.error("association from %s: %s", calling, log.trace(err))
            verdict = Rejection(2, 2, 1, "internal error")
        if isinstance(verdict, Rejection):
            LOG.warning(
                "association from %s at %s to %s rejected: %s", calling, event.assoc.remote_address, called, verdict.why
            )
            self.acse.send_reject(verdict.result, verdict.source, verdict.reason)
            self.kill()  # without it the peer sees an abort instead of the rejection
        else:
            socket_of(self).settimeout(seconds(self.connection.send_timeout))
            LOG.info("association from %s at %s to %s", calling, self.remote_address, called)

    def _negotiate_extended(self, event: Any) -> dict[str, bytes]:
        self._extended = relational_queries(self.local_ae, event.app_info)
        return self._extended

    def is_relational(self, sop_class_uid: str) -> bool:
        """Whether relational queries or retrieval was negotiated for this SOP class."""
        return self._extended.get(sop_class_uid, b"")[:1] == b"\x01"

    # -- requests -----------------------------------------------------------------------------------------------

    def _serve_request(self, msg: Primitive, context_id: int) -> None:
        context = self._accepted_cx.get(context_id)
        if context is None or type(msg) not in COMMANDS or not msg.is_valid_request:
            LOG.warning("%s sent a message that was not negotiated: aborting", self.calling_ae_title)
            self.abort()
            return
        request = request_from(msg, context)
        started = time.monotonic()
        self.is_busy = True
        self.dimse.cancel_req = {}
        try:
            if request.sop_class_uid != request.abstract_syntax or not context.as_scp:
                raise RequestError(
                    "SOP class is not that of the presentation context", status=status.SOP_CLASS_NOT_SUPPORTED
                )
            outcome, details = self._handlers_by_command[request.command](self, request)
        except (StatusError, ConfigUnavailable) as err:
            outcome, details = self._refuse(request, err)
        except Exception as err:  # noqa: BLE001 - the one catch-all of a request: a bug ends this request only
            LOG.error("%s: %s", request.command, log.trace(err))
            outcome, details = self._refuse(request, err)
        self.dimse.cancel_req = {}
        self.is_busy = False
        # Only incoming PDUs restart it, and a long retrieve has none: the peer was not idle.
        self.dul._idle_timer.restart()
        LOG.info(
            "%s from=%s to=%s status=0x%04X%s ms=%d",
            request.command,
            self.calling_ae_title,
            self.local_ae.ae_title,
            outcome,
            "".join(f" {name}={value}" for name, value in details.items()),
            (time.monotonic() - started) * 1000,
        )

    def _refuse(self, request: Request, err: Exception) -> Outcome:
        code = status.UNABLE_TO_PROCESS
        if request.command == "C-ECHO" or isinstance(err, ConfigUnavailable):
            code = status.PROCESSING_FAILURE
        comment = "internal error"
        if isinstance(err, StatusError | ConfigUnavailable):
            comment = str(err)
            level = logging.ERROR if isinstance(err, DependencyError | ConfigUnavailable) else logging.WARNING
            LOG.log(level, "%s from %s: %s", request.command, self.calling_ae_title, err)
        if isinstance(err, StatusError):
            code = err.status
        self.respond(request, code, error_comment=comment)
        return code, {}

    def is_cancelled(self, request: Request) -> bool:
        """Whether a C-CANCEL for this request has come (PS3.7 9.3.2.3)."""
        return request.message_id in self.dimse.cancel_req

    @property
    def is_open(self) -> bool:
        """Whether the peer is still there."""
        return bool(self.dul.is_alive() and not self.acse.is_aborted())

    def respond(
        self,
        request: Request,
        code: int,
        *,
        data: bytes | None = None,
        tally: SubOperationTally | None = None,
        remaining: bool = False,
        error_comment: str | None = None,
    ) -> None:
        """Send one response. Waits while the peer reads slower than we answer."""
        while self.dul.to_provider_queue.qsize() > _SEND_QUEUE_LIMIT and self.is_open:
            time.sleep(0.001)
        if self.is_open:
            response = response_to(
                request, code, data=data, tally=tally, remaining=remaining, error_comment=error_comment
            )
            self.dimse.send_msg(response, request.context_id)

    # -- C-STORE sub-operations of a C-GET ----------------------------------------------------------------------

    def accepted_transfer_syntaxes(self, sop_class_uid: str) -> tuple[str, ...]:
        """Transfer syntaxes in which the peer takes instances of this SOP class on this association."""
        return tuple(
            str(context.transfer_syntax[0])
            for context in self.accepted_contexts
            if context.as_scu and str(context.abstract_syntax) == sop_class_uid
        )

    def store(self, obj: PreparedObject, message_id: int, originator: MoveOriginator | None = None) -> int | None:
        """Send ``obj`` by C-STORE and wait for the status; None when the response did not come in time."""
        return store_on(self, obj, message_id, originator)


def store_on(assoc: Association, obj: PreparedObject, message_id: int, originator: MoveOriginator | None) -> int | None:
    """C-STORE ``obj`` on an association of either side; None when no response came in dcmResponseTimeout."""
    context_id = accepted_context_id(assoc.accepted_contexts, obj.sop_class_uid, obj.transfer_syntax_uid)
    if context_id is None:
        raise ValueError("no accepted presentation context")
    assoc.dimse.send_msg(store_request(obj, message_id, originator), context_id)
    response: Primitive = assoc.dimse.get_msg(block=True)[1]
    if response is None or response.MessageIDBeingRespondedTo != message_id:
        return None
    return int(response.Status)
