"""Our side of an association that a peer opened: admission, one lease of the runtime, dispatch of requests."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from random import getrandbits
from typing import Protocol, TypeVar, cast

from dcm4py_leading import log
from dcm4py_leading.coercion.select import Peer
from dcm4py_leading.dicom import status
from dcm4py_leading.dicom.message import NotServed, Request, progress_of, request_from, response_to
from dcm4py_leading.dicom.negotiation import (
    Rejection,
    admit,
)
from dcm4py_leading.dicom.open_associations import AssociationNumber, invoked, is_established, performed
from dcm4py_leading.dicom.scp.acceptance import Acceptances
from dcm4py_leading.dicom.scp.requests import named, require_service
from dcm4py_leading.dicom.scp.under_way import Deferred, RequestsUnderWay, UnderWay
from dcm4py_leading.dicom.upper.association import Association
from dcm4py_leading.dicom.upper.dimse_message import DimseMessage, PresentationContext
from dcm4py_leading.dicom.upper.failures import AssociationFailed, PeerReleases
from dcm4py_leading.dicom.upper.foreign import ForeignPeers
from dcm4py_leading.dicom.upper.link import ForeignProtocol, Link, LinkEnded, LinkTimeout
from dcm4py_leading.dicom.upper.pace import patience, seconds
from dcm4py_leading.dicom.upper.pdu import (
    APPLICATION_CONTEXT,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    ReleaseResponse,
)
from dcm4py_leading.dicom.upper.pdu_codec import remember
from dcm4py_leading.dicom.upper.state import Event, NotAllowed
from dcm4py_leading.errors import ConfigUnavailable, DependencyError, StatusError
from dcm4py_leading.model.device import ApplicationEntity, Connection
from dcm4py_leading.service.monitor.associations import OpenAssociation
from dcm4py_leading.service.retrieve.encode import PreparedObject
from dcm4py_leading.service.retrieve.tally import SubOperationTally
from dcm4py_leading.service.runtime import Runtime, RuntimeHolder

LOG = logging.getLogger(__name__)

Handler = Callable[["AcceptedAssociation", Request], "Outcome | Deferred"]
"""Serves a request; what it defers is ended after further requests were taken."""
Outcome = tuple[int, Mapping[str, object]]
"""Final status, and what the canonical log line tells besides."""

_BETWEEN_LOOKS = 0.002
"""Seconds."""


class Companion(Protocol):
    """An object that a service keeps between the requests of one association; it is closed with the association."""

    def interrupt(self) -> None:
        """Stop the current work because the association is aborted; may be called from any thread."""
        ...

    def close(self) -> None:
        """The association has ended."""
        ...


C = TypeVar("C", bound=Companion)
R = TypeVar("R")


class AcceptedAssociation:
    """One association that a peer opened. Uses one runtime from beginning to end."""

    def __init__(
        self,
        sock: socket.socket,
        remote_address: str,
        listen_address: tuple[str, int],
        holder: RuntimeHolder,
        handlers: Mapping[str, Handler],
        takes_a_place: Callable[[AcceptedAssociation], int | Rejection],
        is_admitted: Callable[[AcceptedAssociation], AssociationNumber],
        acceptances: Acceptances,
        foreign: ForeignPeers,
    ) -> None:
        self._socket = sock
        self._listen_address = listen_address
        self._holder = holder
        self._handlers = handlers
        self._takes_a_place = takes_a_place
        self._is_admitted = is_admitted
        self._gives_way = False
        self._numbered: AssociationNumber | None = None
        self._acceptances = acceptances
        self._foreign = foreign
        self._extended: Mapping[str, bytes] = {}
        self._link: Link | None = None
        self._association: Association
        self._aborted_by = ""
        self._next_look = 0.0
        self.remote_address = remote_address
        """IP address of the peer."""
        self.runtime: Runtime
        self.connection: Connection
        self.local_ae: ApplicationEntity
        self.calling_ae_title = ""
        """AE title of the peer."""
        self.name = log.word(remote_address)
        """The peer in the log: its AE title, before that is known its address."""
        self.is_busy = False
        """True if a request is being served."""
        self.study: str | None = None
        """The study of the last request, or the first few of many, as the log refers to them."""
        self._under_way = RequestsUnderWay()
        self._companions: dict[Callable[[AcceptedAssociation], Companion], Companion] = {}

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
        """Serve the connection to its end; ``on_end`` is called when the association no longer counts as open."""
        with log.association_id(f"{getrandbits(32):08x}"), self._holder.lease() as runtime:
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
            if self._aborted_by:
                link.abort()
            has_answer = False
            try:
                has_answer = not self._associate(link, on_end) or self._serve(link, on_end)
            except LinkTimeout as err:
                LOG.info("association with %s aborted: %s", self.name, err)
                link.abort()
            except ForeignProtocol as err:
                self._foreign.tell(self.remote_address, err.protocol)
            except (LinkEnded, AssociationFailed, NotAllowed) as err:
                level = logging.DEBUG if self._gives_way else logging.INFO  # logged where the association was ended
                LOG.log(level, "association with %s ended: %s", self.name, err)
            finally:
                on_end()
                if has_answer:
                    link.linger(seconds(connection.aa_timeout) or 1.0)
                link.close()
                for companion in self._companions.values():
                    companion.close()

    def _associate(self, link: Link, on_end: Callable[[], None]) -> bool:
        """Admit the peer, or reject it with the reason; True if the association is established."""
        link.set_send_timeout(patience(self.connection.aarq_timeout))
        request = link.receive(patience(self.connection.aarq_timeout))
        assert isinstance(request, AssociateRequest)  # PS3.8 table 9-10: no other PDU is possible in this state
        self.calling_ae_title = request.calling_ae_title
        self.name, called = log.word(request.calling_ae_title), log.word(request.called_ae_title)
        try:
            verdict = self._admit(request)
        except Exception as err:  # noqa: BLE001 - a bug here must reject the peer, not admit it
            LOG.error("association from %s: %s", self.name, log.trace(err))
            verdict = Rejection(AssociateReject(2, 2, 1), "internal error")
        if isinstance(verdict, Rejection):
            LOG.warning(
                "association from %s at %s to %s rejected: %s",
                *(self.name, self.remote_address, called, verdict.why),
            )
            on_end()  # its place is free for others before it knows
            link.send(Event.REJECT, verdict.answer)
            return False
        self._numbered = self._is_admitted(self)
        link.send(Event.ACCEPT, verdict)
        link.set_send_timeout(patience(self.connection.send_timeout))
        LOG.info("association from %s at %s to %s", self.name, self.remote_address, called)
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
        remember(request)
        self.local_ae = verdict
        acceptance = self._acceptances.of(request, self.runtime.device, verdict, self.connection)
        self._extended = acceptance.extended
        assert self._link is not None
        most = _shorter(request.user.maximum_length, self.connection.send_pdu_length)
        self._association = Association(self._link, acceptance.contexts, most, acceptance.window)
        return acceptance.answer

    def _serve(self, link: Link, on_end: Callable[[], None]) -> bool:
        """Serve requests until the peer releases; True if the peer needs time to read a last response."""
        try:
            return self._serve_all(link, on_end)
        finally:
            self._end_all()

    def _serve_all(self, link: Link, on_end: Callable[[], None]) -> bool:
        idle = seconds(self.connection.idle_timeout)
        if idle is None:
            link.notice_loss()
        while True:
            if self._under_way:
                self._await_request(link)
            try:
                message = self._association.receive(idle)
            except PeerReleases:
                self._end_all()
                on_end()  # its place is free for others before it knows
                link.send(Event.ANSWER_RELEASE, ReleaseResponse())
                LOG.info("association with %s released", self.name)
                return True
            except AssociationFailed as err:
                LOG.info("association with %s ended: %s", self.name, err)
                return False
            self._serve_request(message)

    def abort(self) -> None:
        """Abort the association because the service stops; may be called from any thread."""
        self._aborted_by = "stop"
        self.give_up()

    def abort_on_command(self) -> None:
        """Abort the association on an administrator's command (see `MonitoredAssociation`)."""
        self._aborted_by = "aborted by an administrator"
        self.give_up()

    def give_up(self) -> None:
        """Abort the association, as its next messages could not be understood."""
        if self._link is not None:
            self._link.abort()
        for companion in tuple(self._companions.values()):
            companion.interrupt()

    def give_way(self) -> None:
        """End a connection that has no association; see `unadmitted.Connection`."""
        self._gives_way = True
        self.abort()

    def snapshot(self) -> OpenAssociation | None:
        """State for an administrator; None when the association is not established (see `MonitoredAssociation`)."""
        if self._numbered is None or not is_established(self._association):
            return None
        return OpenAssociation(
            serial_number=self._numbered.serial_number,
            connected_at=self._numbered.connected_at,
            is_initiated=False,
            local_ae_title=self.local_ae.ae_title,
            remote_ae_title=self.calling_ae_title,
            remote_host=self.remote_address,
            pid=os.getpid(),
            is_busy=self.is_busy,
            performed=performed(self._association),
            invoked=invoked(self._association),
            study=self.study,
        )

    def companion(self, begin: Callable[[AcceptedAssociation], C]) -> C:
        """The companion of this association; ``begin`` creates it for the first request that needs it."""
        known = self._companions.get(begin)
        if known is None:
            known = self._companions[begin] = begin(self)
            if self._aborted_by:  # meanwhile
                known.interrupt()
        return cast(C, known)  # the same function has made it

    def is_relational(self, sop_class_uid: str) -> bool:
        """True if relational queries or retrieval were negotiated for this SOP class."""
        return self._extended.get(sop_class_uid, b"")[:1] == b"\x01"

    # -- requests -----------------------------------------------------------------------------------------------

    def _serve_request(self, message: DimseMessage) -> None:
        data = self._association.data(patience(self.connection.send_timeout))
        request = request_from(message, data)
        if isinstance(request, NotServed):
            self._answer_no_request(message, request)
            return
        started = time.monotonic()
        self._next_look = 0.0
        self.study = None
        self.is_busy = True
        if request.command != "C-STORE":
            self._end_all()

        def serve() -> Outcome | Deferred:
            require_service(message.context, request, takes_data_sets=self._association.takes_data_sets)
            try:
                return self._handlers[request.command](self, request)
            except Exception:  # raises on, whatever it was: a refusal, too, is told in its turn
                self._end_all()
                raise

        served = self._outcome(request, serve)
        if isinstance(served, Deferred):
            self._under_way.append(UnderWay(request, served, started))
        else:
            self._tell(request, started, served)

    def _outcome(self, request: Request, work: Callable[[], R]) -> R | Outcome:
        """Result of ``work`` on a request, or of its failure, which the peer is told."""
        try:
            return work()
        except (StatusError, ConfigUnavailable) as err:
            return self._refuse(request, err)
        except AssociationFailed as err:
            return status.UNABLE_TO_PROCESS, {**named(request), "ended": self.ended_by(request, str(err))}
        except LinkTimeout as err:  # within a data set, dcmSendTimeout limits a pause of the peer
            self.give_up()
            return status.UNABLE_TO_PROCESS, {**named(request), "ended": f"aborted: {err}"}
        except Exception as err:  # noqa: BLE001 - the one catch-all of a request: a bug ends this request only
            LOG.error("%s: %s", request.command, log.trace(err))
            return self._refuse(request, err)

    def _tell(self, request: Request, started: float, ended: Outcome) -> None:
        outcome, details = ended
        self._association.forget_cancelled()
        self.is_busy = bool(self._under_way)
        self.study = str(details["study"]) if "study" in details else None
        self.runtime.counts.count_request(request.command, self.local_ae.ae_title, outcome)
        LOG.info(
            "%s from=%s to=%s status=0x%04X%s ms=%d",
            request.command,
            self.name,
            log.word(self.local_ae.ae_title),
            outcome,
            "".join(f" {name}={log.word(str(value))}" for name, value in details.items()),
            (time.monotonic() - started) * 1000,
        )

    def _await_request(self, link: Link) -> None:
        """Wait for the next request; meanwhile end those under way, each after the one before it."""
        while self._under_way:
            rest = self._under_way[0].rest
            if self._under_way.is_full(self.requests_at_once) or rest.has_ended():
                self._end_first()
            elif self._association.has_input:
                return
            else:
                rest.wait(link.fileno())

    def _end_first(self) -> None:
        first = self._under_way.popleft()
        self._tell(first.request, first.started, self._outcome(first.request, first.rest.end))

    def _end_all(self) -> None:
        """End the requests under way. Their outcome is told in the log also where nobody waits for it any more."""
        while self._under_way:
            self._end_first()

    def _answer_no_request(self, message: DimseMessage, refused: NotServed) -> None:
        """Answer a message that is not served, if the standard has a response for it; else abort."""
        if refused.response is None:
            LOG.warning("%s sent %s: aborting", self.name, refused.why)
            self.give_up()
            return
        LOG.warning("%s sent %s", self.name, refused.why)
        for _ in self._association.data(patience(self.connection.send_timeout)):
            pass
        self._association.send([(message.context.context_id, refused.response, None)])

    def _refuse(self, request: Request, err: Exception) -> Outcome:
        code = status.UNABLE_TO_PROCESS
        if request.command == "C-ECHO" or isinstance(err, ConfigUnavailable):
            code = status.PROCESSING_FAILURE
        comment = "internal error"
        details = named(request, err.study_instance_uid if isinstance(err, StatusError) else "")
        if isinstance(err, StatusError | ConfigUnavailable):
            comment = err.told if isinstance(err, StatusError) else str(err)
            level = logging.ERROR if isinstance(err, DependencyError | ConfigUnavailable) else logging.WARNING
            which = "".join(f", {name} {value}" for name, value in details.items())
            LOG.log(level, "%s from %s%s: %s", request.command, self.name, which, err)
        if isinstance(err, StatusError):
            code = err.status
        try:
            for _ in request.data:  # the peer reads the response only after it has sent the whole data set
                pass
            self.respond(request, code, error_comment=comment)
        except (AssociationFailed, LinkTimeout) as gone:
            self.give_up()
            return code, {**details, "ended": self.ended_by(request, str(gone))}
        return code, details

    def ended_by(self, request: Request, otherwise: str = "connection lost") -> str:
        """Reason why a request ended early, as text for the log."""
        if self._aborted_by:
            return self._aborted_by
        if self._association.is_cancelled(request.message_id):
            return "cancelled"
        if self._association.is_releasing:
            return "released by the peer"
        return self._association.lost_by or otherwise

    def is_over(self, request: Request) -> bool:
        """True if the peer no longer waits for this request: it sent a C-CANCEL or has gone.

        Checks the network every few milliseconds, not for each of thousands of small objects.
        """
        now = time.monotonic()
        if now < self._next_look:
            return False
        self._next_look = now + _BETWEEN_LOOKS
        return self._association.is_over(request.message_id)

    def is_cancelled(self, request: Request) -> bool:
        """True if `is_over` because of a C-CANCEL (PS3.7 9.3.2.3)."""
        return self._association.is_cancelled(request.message_id)

    @property
    def contexts(self) -> Sequence[PresentationContext]:
        """Presentation contexts that were accepted."""
        return tuple(self._association.contexts.values())

    @property
    def is_open(self) -> bool:
        """True if the peer is connected and has not asked to release."""
        return self._association.is_open

    @property
    def lost_by(self) -> str:
        """Reason why the association has ended (see `Association.lost_by`)."""
        return self._association.lost_by

    @property
    def is_releasing(self) -> bool:
        """True if the peer has asked to release: we may still send responses, the peer sends nothing more."""
        return self._association.is_releasing

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
        """Send one response; see `Association.send`. Waits while the peer reads slower than we answer.

        Raises AssociationFailed.
        """
        response = response_to(request, code, tally=tally, remaining=remaining, error_comment=error_comment)
        self._association.send([(request.context_id, response, data)])

    def tell_progress(self, request: Request, tally: SubOperationTally) -> None:
        """Queue a pending response to a retrieve; it is sent with the next message (see `Association.send_later`)."""
        self._association.send_later(request.context_id, *progress_of(request, tally))

    def respond_pending(self, request: Request, identifiers: Sequence[bytes], code: int = status.PENDING) -> None:
        """Send a pending response for each encoded identifier with one system call. Raises AssociationFailed."""
        self._association.send_each(request.context_id, response_to(request, code), identifiers)

    # -- C-STORE sub-operations of a C-GET ----------------------------------------------------------------------

    def accepted_transfer_syntaxes(self, sop_class_uid: str) -> tuple[str, ...]:
        """Transfer syntaxes in which the peer takes instances of this SOP class on this association."""
        return self._association.transfer_syntaxes(sop_class_uid)

    def begin_store(self, obj: PreparedObject, message_id: int) -> None:
        """Send a C-STORE request (see `Association.begin_store`)."""
        self._association.begin_store(obj, message_id, None)

    @property
    def requests_at_once(self) -> int:
        """Number of requests that the peer may have outstanding at once."""
        return self._association.window.performed

    @property
    def window(self) -> int:
        """Number of C-STOREs that may be outstanding at once."""
        return self._association.window.invoked

    def store_response(self) -> tuple[int, int] | None:
        """The next response to a C-STORE (see `Association.store_response`); dcmResponseTimeout bounds the wait."""
        return self._association.store_response(patience(self.connection.response_timeout))


def _shorter(theirs: int, ours: int) -> int:
    """The shorter of two maximum lengths of a P-DATA-TF; 0 means no limit."""
    return min(theirs or ours, ours or theirs)
