"""Our side of an association that a peer opened: admission, one lease of the runtime, dispatch of requests."""

from __future__ import annotations

import logging
import secrets
import socket
import time
from collections.abc import Callable, Mapping, Sequence

from dcm4py_leading import log
from dcm4py_leading.coercion.select import Peer
from dcm4py_leading.dataset.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dcm4py_leading.dicom import status
from dcm4py_leading.dicom.association import (
    Association,
    AssociationFailed,
    Context,
    Message,
    PeerReleases,
    seconds,
)
from dcm4py_leading.dicom.link import Link, LinkEnded, LinkTimeout
from dcm4py_leading.dicom.message import Request, request_from, response_to
from dcm4py_leading.dicom.negotiation import KnownCapabilities, Rejection, admit, negotiate, relational_queries
from dcm4py_leading.dicom.pdu import (
    APPLICATION_CONTEXT,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    ReleaseResponse,
    UserInformation,
)
from dcm4py_leading.dicom.state import Event, NotAllowed
from dcm4py_leading.dicom.upstream_store import UpstreamStore
from dcm4py_leading.errors import ConfigUnavailable, DependencyError, RequestError, StatusError
from dcm4py_leading.model.device import ApplicationEntity, Connection
from dcm4py_leading.service.encode import PreparedObject
from dcm4py_leading.service.runtime import Runtime, RuntimeHolder
from dcm4py_leading.service.tally import SubOperationTally

LOG = logging.getLogger(__name__)

Handler = Callable[["AcceptedAssociation", Request], "Outcome"]
Outcome = tuple[int, Mapping[str, object]]
"""Final status, and what the canonical log line tells besides."""

_BETWEEN_LOOKS = 0.002
"""Seconds."""
_USERNAME_AND_PASSCODE = 2
"""User identity types up to this one get an empty server response (PS3.7 D.3.3.7.2)."""


class AcceptedAssociation:
    """One association of a peer with us. Keeps the runtime of its beginning to its end."""

    def __init__(
        self,
        sock: socket.socket,
        remote_address: str,
        listen_address: tuple[str, int],
        holder: RuntimeHolder,
        handlers: Mapping[str, Handler],
        takes_a_place: Callable[[AcceptedAssociation], int | Rejection],
        is_admitted: Callable[[AcceptedAssociation], None],
        capabilities: KnownCapabilities,
    ) -> None:
        self._socket = sock
        self._listen_address = listen_address
        self._holder = holder
        self._handlers = handlers
        self._takes_a_place = takes_a_place
        self._is_admitted = is_admitted
        self._gives_way = False
        self._capabilities = capabilities
        self._extended: Mapping[str, bytes] = {}
        self._link: Link | None = None
        self._association: Association
        self._is_aborted = False
        self._next_look = 0.0
        self.remote_address = remote_address
        """IP address of the peer."""
        self.runtime: Runtime
        self.connection: Connection
        self.local_ae: ApplicationEntity
        self.calling_ae_title = ""
        """AE title of the peer."""
        self.is_busy = False
        """Whether a request is being served."""
        self.onward: UpstreamStore | None = None
        """Where its objects are sent on to, once one was."""

    @property
    def remote_peer(self) -> Peer:
        """The peer as coercion rules see it."""
        return self.runtime.peer_of(self.calling_ae_title, self.remote_address)

    @property
    def local_peer(self) -> Peer:
        """Our own side as coercion rules see it."""
        return Peer(host=self.connection.hostname, ae_title=self.local_ae.ae_title)

    # -- life ---------------------------------------------------------------------------------------------------

    def run(self, on_end: Callable[[], None]) -> None:
        """From the TCP connection to its end; ``on_end`` is called when it no longer counts as open."""
        with log.association_id(secrets.token_hex(4)), self._holder.lease() as runtime:
            connection = runtime.connection_at(self._listen_address)
            if connection is None:  # closed by a reload while this peer was connecting
                self._socket.close()
                on_end()
                return
            self.runtime, self.connection = runtime, connection
            try:
                link = Link(self._socket, is_requestor=False, maximum_length=connection.receive_pdu_length)
            except OSError:  # the peer is gone again
                self._socket.close()
                on_end()
                return
            self._link = link
            if self._is_aborted:
                link.abort()
            has_answer = False
            try:
                has_answer = not self._associate(link, on_end) or self._serve(link)
            except LinkTimeout as err:
                LOG.info("association with %s aborted: %s", self.calling_ae_title or self.remote_address, err)
                link.abort()
            except (LinkEnded, AssociationFailed, NotAllowed) as err:
                level = logging.DEBUG if self._gives_way else logging.INFO  # who ended it has told
                LOG.log(level, "association with %s ended: %s", self.calling_ae_title or self.remote_address, err)
            finally:
                on_end()
                if has_answer:
                    link.linger(seconds(connection.aa_timeout) or 1.0)
                link.close()
                if self.onward is not None:
                    self.onward.close()

    def _associate(self, link: Link, on_rejection: Callable[[], None]) -> bool:
        """Admit the peer, or tell it why not; whether the association stands."""
        link.set_send_timeout(seconds(self.connection.aarq_timeout))
        request = link.receive(seconds(self.connection.aarq_timeout))
        assert isinstance(request, AssociateRequest)  # PS3.8 table 9-10: nothing else is told in this state
        self.calling_ae_title = request.calling_ae_title
        called = request.called_ae_title
        try:
            verdict = self._admit(request)
        except Exception as err:  # noqa: BLE001 - a bug here must refuse the peer, not let it in
            LOG.error("association from %s: %s", self.calling_ae_title, log.trace(err))
            verdict = Rejection(AssociateReject(2, 2, 1), "internal error")
        if isinstance(verdict, Rejection):
            LOG.warning(
                "association from %s at %s to %s rejected: %s",
                *(self.calling_ae_title, self.remote_address, called, verdict.why),
            )
            on_rejection()  # its place is free for others before it knows
            link.send(Event.REJECT, verdict.answer)
            return False
        self._is_admitted(self)
        link.send(Event.ACCEPT, verdict)
        link.set_send_timeout(seconds(self.connection.send_timeout))
        LOG.info("association from %s at %s to %s", self.calling_ae_title, self.remote_address, called)
        return True

    def _admit(self, request: AssociateRequest) -> AssociateAccept | Rejection:
        if not request.protocol_version & 1:
            return Rejection(AssociateReject(1, 2, 2), "protocol version not supported")
        if request.application_context != APPLICATION_CONTEXT:
            return Rejection(AssociateReject(1, 1, 2), "application context name not supported")
        place = self._takes_a_place(self)
        if isinstance(place, Rejection):
            return place
        verdict = admit(self.runtime.device, self.connection, request.called_ae_title, request.calling_ae_title, place)
        if isinstance(verdict, Rejection):
            return verdict
        self.local_ae = verdict
        user = request.user
        negotiated = negotiate(self._capabilities.of(self.runtime.device, verdict), user, request.contexts)
        self._extended = relational_queries(verdict, user.extended)
        assert self._link is not None
        most = _shorter(user.maximum_length, self.connection.send_pdu_length)
        self._association = Association(self._link, negotiated.contexts, most)
        identity = user.identity
        answers_identity = identity and identity.wants_response and identity.kind <= _USERNAME_AND_PASSCODE
        return AssociateAccept(
            called_ae_title=request.called_ae_title,
            calling_ae_title=request.calling_ae_title,
            contexts=negotiated.results,
            user=UserInformation(
                maximum_length=self.connection.receive_pdu_length,
                implementation_class_uid=IMPLEMENTATION_CLASS_UID,
                implementation_version_name=IMPLEMENTATION_VERSION_NAME,
                # One operation at a time, which is also what silence would mean (PS3.7 D.3.3.3).
                asynchronous_operations=None if user.asynchronous_operations is None else (1, 1),
                roles=negotiated.roles,
                extended=self._extended,
                identity_response=b"" if answers_identity else None,
            ),
        )

    def _serve(self, link: Link) -> bool:
        """Request after request until the peer releases; whether there is an answer that it has to be left time for."""
        idle = seconds(self.connection.idle_timeout)
        while True:
            try:
                message = self._association.receive(idle)
            except PeerReleases:
                link.send(Event.ANSWER_RELEASE, ReleaseResponse())
                LOG.info("association with %s released", self.calling_ae_title)
                return True
            except AssociationFailed as err:
                LOG.info("association with %s ended: %s", self.calling_ae_title, err)
                return False
            self._serve_request(message)

    def abort(self) -> None:
        """Abort it, from any thread."""
        self._is_aborted = True
        if self._link is not None:
            self._link.abort()
        if self.onward is not None:
            self.onward.interrupt()

    def give_way(self) -> None:
        """End a connection that has no association; see `unadmitted.Connection`."""
        self._gives_way = True
        self.abort()

    def is_relational(self, sop_class_uid: str) -> bool:
        """Whether relational queries or retrieval was negotiated for this SOP class."""
        return self._extended.get(sop_class_uid, b"")[:1] == b"\x01"

    # -- requests -----------------------------------------------------------------------------------------------

    def _serve_request(self, message: Message) -> None:
        data = self._association.data(seconds(self.connection.send_timeout))
        request = request_from(message, data)
        if request is None:
            LOG.warning("%s sent a message that was not negotiated: aborting", self.calling_ae_title)
            self.abort()
            return
        started = time.monotonic()
        self._next_look = 0.0
        self.is_busy = True
        try:
            if request.sop_class_uid != request.abstract_syntax or not message.context.as_scp:
                raise RequestError(
                    "SOP class is not that of the presentation context", status=status.SOP_CLASS_NOT_SUPPORTED
                )
            outcome, details = self._handlers[request.command](self, request)
        except (StatusError, ConfigUnavailable) as err:
            outcome, details = self._refuse(request, err)
        except AssociationFailed as err:
            outcome, details = status.UNABLE_TO_PROCESS, {"peer": f"gone ({err})"}
        except LinkTimeout as err:  # within a data set: dcmSendTimeout bounds how long it may stop there
            self.abort()
            outcome, details = status.UNABLE_TO_PROCESS, {"peer": f"aborted ({err})"}
        except Exception as err:  # noqa: BLE001 - the one catch-all of a request: a bug ends this request only
            LOG.error("%s: %s", request.command, log.trace(err))
            outcome, details = self._refuse(request, err)
        self._association.forget_cancelled()
        self.is_busy = False
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
            comment = err.told if isinstance(err, StatusError) else str(err)
            level = logging.ERROR if isinstance(err, DependencyError | ConfigUnavailable) else logging.WARNING
            LOG.log(level, "%s from %s: %s", request.command, self.calling_ae_title, err)
        if isinstance(err, StatusError):
            code = err.status
        try:
            for _ in request.data:  # the peer listens when it has sent everything
                pass
            self.respond(request, code, error_comment=comment)
        except (AssociationFailed, LinkTimeout) as gone:
            self.abort()
            return code, {"peer": f"gone ({gone})"}
        return code, {}

    def is_over(self, request: Request) -> bool:
        """Whether the peer no longer waits for the end of this request: it has cancelled, or is gone.

        The network is asked every few milliseconds, not for each of thousands of small objects.
        """
        now = time.monotonic()
        if now < self._next_look:
            return False
        self._next_look = now + _BETWEEN_LOOKS
        return self._association.is_over(request.message_id)

    def is_cancelled(self, request: Request) -> bool:
        """Whether `is_over` because of a C-CANCEL (PS3.7 9.3.2.3)."""
        return self._association.is_cancelled(request.message_id)

    @property
    def contexts(self) -> Sequence[Context]:
        """What was accepted."""
        return tuple(self._association.contexts.values())

    @property
    def is_open(self) -> bool:
        """Whether the peer is still there."""
        return self._association.is_open

    def respond(
        self,
        request: Request,
        code: int,
        *,
        data: bytes | None = None,
        tally: SubOperationTally | None = None,
        remaining: bool = False,
        error_comment: str | None = None,
        is_urgent: bool = True,
    ) -> None:
        """Send one response; see `Association.send`. Waits while the peer reads slower than we answer.

        Raises AssociationFailed.
        """
        response = response_to(request, code, tally=tally, remaining=remaining, error_comment=error_comment)
        self._association.send([(request.context_id, response, data)], is_urgent=is_urgent)

    def respond_pending(self, request: Request, identifiers: Sequence[bytes], code: int = status.PENDING) -> None:
        """Send a pending response for each encoded identifier, all at once. Raises AssociationFailed."""
        self._association.send_each(request.context_id, response_to(request, code), identifiers)

    # -- C-STORE sub-operations of a C-GET ----------------------------------------------------------------------

    def accepted_transfer_syntaxes(self, sop_class_uid: str) -> tuple[str, ...]:
        """Transfer syntaxes in which the peer takes instances of this SOP class on this association."""
        return self._association.transfer_syntaxes(sop_class_uid)

    def begin_store(self, obj: PreparedObject, message_id: int) -> None:
        """See `Association.begin_store`."""
        self._association.begin_store(obj, message_id, None)

    def end_store(self, message_id: int) -> int | None:
        """See `Association.end_store`; dcmResponseTimeout bounds the wait."""
        return self._association.end_store(message_id, seconds(self.connection.response_timeout))


def _shorter(theirs: int, ours: int) -> int:
    """Of two lengths of a P-DATA-TF; 0 is any."""
    return min(theirs or ours, ours or theirs)
