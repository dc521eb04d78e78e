"""Our side of an association that we open. For one thread at a time."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Self, TypeVar

from dcm4py_leading.dataset.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dcm4py_leading.dataset.scan import Buffer
from dcm4py_leading.dicom.negotiation import ABSTRACT_SYNTAX_NOT_SUPPORTED
from dcm4py_leading.dicom.open_associations import AssociationNumber, invoked, is_established, performed
from dcm4py_leading.dicom.scu.incoming import joined
from dcm4py_leading.dicom.scu.outbound import enter, register
from dcm4py_leading.dicom.upper.association import Association
from dcm4py_leading.dicom.upper.command import Command
from dcm4py_leading.dicom.upper.dimse_message import DimseMessage, MoveOriginator, PresentationContext
from dcm4py_leading.dicom.upper.failures import AssociationFailed, AssociationRefused, AssociationRejected, NotCallable
from dcm4py_leading.dicom.upper.link import Link, LinkEnded, LinkTimeout, PeerAborted
from dcm4py_leading.dicom.upper.pace import OF_ANSWERS, patience
from dcm4py_leading.dicom.upper.pdu import (
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    Role,
    UserInformation,
    numbered,
)
from dcm4py_leading.dicom.upper.state import NotAllowed
from dcm4py_leading.dicom.upper.window import granted, proposal
from dcm4py_leading.model import bounds
from dcm4py_leading.model.device import ApplicationEntity, Connection, RemoteAE
from dcm4py_leading.model.values import AETitle
from dcm4py_leading.service.monitor.associations import OpenAssociation
from dcm4py_leading.service.retrieve.encode import PreparedObject

__all__ = ["AssociationFailed", "Proposal", "RequestedAssociation"]

_PERMANENT = 1  # PS3.8 9.3.4
_AT_ONCE = 0.001
"""Seconds; none at all would be for ever."""
_RELATIONAL = b"\x01"
T = TypeVar("T")
Proposal = tuple[str, Sequence[str]]
"""A presentation context to propose: abstract syntax and transfer syntaxes."""


class RequestedAssociation:
    """An open association with ``remote``; a context manager that releases it, or aborts it after an exception."""

    def __init__(
        self,
        local_ae: ApplicationEntity,
        remote: RemoteAE,
        proposals: Sequence[Proposal],
        *,
        for_storage: bool = False,
        windowed: bool = False,
        timeout: timedelta | None = None,
        calling: AETitle | None = None,
        as_scp: Collection[str] = (),
        relational: Collection[str] = (),
    ) -> None:
        """Open the association, as ``calling`` if given. Raises AssociationFailed.

        For the SOP classes ``as_scp`` we propose to be SCP (PS3.7 D.3.3.4); for those in ``relational`` we propose
        relational queries or retrieval (PS3.4 C.5.1.1, C.5.2.1, C.5.3.1).

        With ``windowed``, several C-STOREs may be outstanding if dcmMaxOpsInvoked of our connection, dcmMaxOpsPerformed
        of the peer's connection and the peer allow it (PS3.7 D.3.3.3).

        dcmSendTimeout limits the sending of each request, or dcmStoreTimeout with ``for_storage``. ``timeout`` limits
        the whole opening, in addition to dcmTCPConnectTimeout and dcmAAACTimeout.
        """
        self._remote = remote
        local = next((c for c in local_ae.connections if not c.is_tls), None)
        target = _usable_connection(remote)
        if local is None:
            raise NotCallable(f"AE {local_ae.ae_title} has no connection that can initiate")
        if not local_ae.association_initiator:
            raise NotCallable(f"AE {local_ae.ae_title} must not initiate: dicomAssociationInitiator is FALSE")
        self._local = local
        self._last_message_id = 0
        self._host = f"{target.hostname}:{target.port}"
        where = f"{remote.ae_title} at {self._host}"
        ends_at = None if timeout is None else time.monotonic() + timeout.total_seconds()
        try:
            link = _connected(local, target, ends_at)
        except OSError as err:
            reason = "cannot connect" if isinstance(err, TimeoutError) else err.strerror or str(err)
            raise AssociationFailed(f"{where}: {reason}") from err
        except UnicodeError as err:  # an empty or long label: RFC 3490 4.1
            raise AssociationFailed(f"{where}: expected a host name") from err
        register(link)
        self._calling = calling or local_ae.calling_ae_title_for(remote.ae_title)
        proposed = proposal(local, target) if windowed else None
        request = AssociateRequest(
            called_ae_title=remote.ae_title,
            calling_ae_title=self._calling,
            contexts=numbered(proposals),
            user=UserInformation(
                maximum_length=local.receive_pdu_length,
                implementation_class_uid=IMPLEMENTATION_CLASS_UID,
                implementation_version_name=IMPLEMENTATION_VERSION_NAME,
                asynchronous_operations=proposed,
                roles={sop_class: Role(scu=False, scp=True) for sop_class in as_scp},
                extended=dict.fromkeys(relational, _RELATIONAL),
            ),
        )
        accepted = _negotiated(link, request, _shorter(patience(local.aaac_timeout), _left(ends_at)), where)
        abstract_syntaxes = {context.context_id: context.abstract_syntax for context in request.contexts}
        roles = accepted.user.roles
        contexts = [
            PresentationContext(
                result.context_id,
                (abstract_syntax := abstract_syntaxes[result.context_id]),
                result.transfer_syntax,
                as_scu=True,
                as_scp=abstract_syntax in roles and roles[abstract_syntax].scp,
            )
            for result in accepted.contexts
            if result.result == 0 and result.context_id in abstract_syntaxes
        ]
        accepted_classes = {context.abstract_syntax for context in contexts}
        self._refused = {
            abstract_syntaxes[result.context_id]
            for result in accepted.contexts
            if result.result == ABSTRACT_SYNTAX_NOT_SUPPORTED and result.context_id in abstract_syntaxes
        } - accepted_classes
        link.set_send_timeout(patience(local.store_timeout if for_storage else local.send_timeout))
        theirs, ours = accepted.user.maximum_length, local.send_pdu_length
        most = min(theirs or ours, ours or theirs)
        window = granted(proposed, accepted.user.asynchronous_operations)
        self._association = Association(link, contexts, most, window)
        self.window = window.invoked
        """Requests that may be outstanding at once."""
        if not self._association.takes_data_sets:
            self.abort()
            least = bounds.SENT_PDU_LEAST_BYTES
            raise AssociationFailed(f"{where}: a maximum length of {most} is too short for data sets, least {least}")
        self._relational = {uid for uid, granted in accepted.user.extended.items() if granted[:1] == _RELATIONAL}
        self._numbered: AssociationNumber | None = None  # the monitor may read it before the next line has run
        self._numbered = enter(self)

    @property
    def peer(self) -> AETitle:
        """AE title of the peer."""
        return self._remote.ae_title

    @property
    def contexts(self) -> Sequence[PresentationContext]:
        """Presentation contexts that the peer accepted."""
        return tuple(self._association.contexts.values())

    def is_relational(self, sop_class_uid: str) -> bool:
        """True if the peer accepted relational queries or retrieval for this SOP class."""
        return sop_class_uid in self._relational

    @property
    def is_open(self) -> bool:
        """True if the peer is connected and has not asked to release."""
        return self._association.is_open

    @property
    def has_input(self) -> bool:
        """True if `poll` would return or raise without waiting."""
        return self._association.has_input

    def fileno(self) -> int:
        """Descriptor of the socket; -1 when it is closed."""
        return self._association.link.fileno()

    def next_message_id(self) -> int:
        """A Message ID for the next request, from 1 to 65535 (PS3.7 E.1)."""
        self._last_message_id = self._last_message_id % 0xFFFF + 1
        return self._last_message_id

    def send(self, context: PresentationContext, command: Command, data: bytes | None = None) -> None:
        """Send one DIMSE request. Raises AssociationFailed."""
        self._association.send([(context.context_id, command, data)])

    def say_before_abort(self, context: PresentationContext, command: Command | None) -> None:
        """Set a request, such as a C-CANCEL-RQ, to send before an abort; None: none."""
        self._association.say_before_abort(context.context_id, command)

    def receive(self, timeout: float | None = None) -> tuple[DimseMessage, bytes | None]:
        """The next DIMSE response and its data set.

        ``timeout`` in seconds. Raises AssociationFailed if none comes within dcmResponseTimeout or ``timeout``.
        """
        bound = _shorter(patience(self._local.response_timeout), timeout)
        ends_at = time.monotonic() + bound
        try:
            message = self._association.receive(bound)
        except LinkTimeout as err:
            raise AssociationFailed(f"{self._remote.ae_title}: no response in time") from err
        except AssociationFailed as err:
            raise AssociationFailed(f"{self._remote.ae_title}: the peer ended the association") from err
        data = self._collected(joined, self._association.data(bound, ends_at=ends_at, pace=OF_ANSWERS))
        return message, data or None

    @property
    def connection(self) -> Connection:
        """Our connection, whose timeouts apply."""
        return self._local

    def poll(
        self, wait: float, collect: Callable[[Iterable[memoryview]], Buffer] = joined
    ) -> tuple[DimseMessage, Buffer | None] | None:
        """The next DIMSE message and its data set, read by ``collect``; None if none begins within ``wait`` seconds.

        Raises AssociationFailed, and the errors of ``collect``.
        """
        try:
            message = self._association.receive(wait)
        except LinkTimeout:
            return None
        except AssociationFailed as err:
            raise AssociationFailed(f"{self._remote.ae_title}: the peer ended the association") from err
        bound = patience(self._local.response_timeout)
        data = self._collected(collect, self._association.data(bound, pace=OF_ANSWERS))
        return message, data or None

    def _collected(self, collect: Callable[[Iterable[memoryview]], T], parts: Iterable[memoryview]) -> T:
        try:
            return collect(parts)
        except (LinkTimeout, AssociationFailed) as err:
            raise AssociationFailed(f"{self._remote.ae_title}: a response did not come to its end: {err}") from err

    def transfer_syntaxes(self, sop_class_uid: str) -> tuple[str, ...]:
        """Transfer syntaxes in which the peer accepts instances of this SOP class."""
        return self._association.transfer_syntaxes(sop_class_uid)

    def refuses(self, sop_class_uid: str) -> bool:
        """True if the peer refused the SOP class in every transfer syntax."""
        return sop_class_uid in self._refused

    @property
    def lost_by(self) -> str:
        """Reason why the association has ended (see `Association.lost_by`)."""
        return self._association.lost_by

    def begin_store(self, obj: PreparedObject, message_id: int, originator: MoveOriginator | None) -> None:
        """Send a C-STORE request (see `Association.begin_store`)."""
        self._association.begin_store(obj, message_id, originator)

    def store_response(self, *, waits: bool = True) -> tuple[int, int] | None:
        """The next response to a C-STORE (see `Association.store_response`); dcmResponseTimeout bounds the wait.

        With ``waits`` False, returns only a response that has already come.
        """
        return self._association.store_response(patience(self._local.response_timeout) if waits else _AT_ONCE)

    def release(self) -> None:
        """Release the association, also when the peer asked first; waits at most dcmARRPTimeout."""
        if self.is_open or self._association.is_releasing:
            self._association.release(patience(self._local.arrp_timeout))
        else:
            self.abort()

    def release_within(self, timeout: float) -> bool:
        """Release within so many seconds and dcmARRPTimeout, else abort; True if released."""
        bound = _shorter(patience(self._local.arrp_timeout), timeout)
        if (self.is_open or self._association.is_releasing) and self._association.release(bound):
            return True
        self.abort()
        return False

    def snapshot(self) -> OpenAssociation | None:
        """State for an administrator; None when the association is not established (see `MonitoredAssociation`)."""
        if self._numbered is None or not is_established(self._association):
            return None
        return OpenAssociation(
            serial_number=self._numbered.serial_number,
            connected_at=self._numbered.connected_at,
            is_initiated=True,
            local_ae_title=self._calling,
            remote_ae_title=self._remote.ae_title,
            remote_host=self._host,
            pid=os.getpid(),
            performed=performed(self._association),
            invoked=invoked(self._association),
        )

    def abort_on_command(self) -> None:
        """Abort the association on an administrator's command (see `MonitoredAssociation`)."""
        self.interrupt()

    def interrupt(self) -> None:
        """Abort from any thread; the thread that uses the association must still call `abort`."""
        self._association.abort()

    def abort(self) -> None:
        """Abort if still open, and close the socket."""
        self._association.abort()
        self._association.link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if exc_type is None:
            self.release()
        else:
            self.abort()


def _connected(local: Connection, target: Connection, ends_at: float | None) -> Link:
    timeout = _shorter(patience(local.tcp_connect_timeout), _left(ends_at))
    source = (local.client_bind_address, 0) if local.client_bind_address else None
    sock = socket.create_connection((target.hostname, target.port or 0), timeout, source)
    return Link(sock, is_requestor=True, maximum_length=local.receive_pdu_length)


def _negotiated(link: Link, request: AssociateRequest, timeout: float | None, where: str) -> AssociateAccept:
    try:
        link.set_send_timeout(timeout)
        link.request(request)
        answer = link.receive(timeout)
    except LinkTimeout as err:
        link.abort()
        link.close()
        raise AssociationFailed(f"{where}: no answer to the association request in time") from err
    except PeerAborted as err:
        raise AssociationFailed(f"{where}: association aborted") from err
    except (LinkEnded, NotAllowed) as err:
        link.close()
        raise AssociationFailed(f"{where}: {err}") from err
    if isinstance(answer, AssociateReject):
        failure = AssociationRefused if answer.result == _PERMANENT else AssociationRejected
        raise failure(f"{where}: association rejected {answer}")
    assert isinstance(answer, AssociateAccept)  # PS3.8 table 9-10: no other PDU is possible in this state
    return answer


def _left(ends_at: float | None) -> float | None:
    return None if ends_at is None else max(0.001, ends_at - time.monotonic())


def _shorter(one: float, other: float | None) -> float:
    """The shorter of two timeouts in seconds; None means no limit."""
    return one if other is None else min(one, other)


def _usable_connection(remote: RemoteAE) -> Connection:
    for connection in remote.connections:
        if connection.port is not None and connection.installed and not connection.is_tls:
            return connection
    raise NotCallable(f"{remote.ae_title} has no plain DICOM connection with a port in the directory")
