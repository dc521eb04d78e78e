"""Archive to which stored objects are forwarded; implements `service.proxy.store_archive.StoreArchive`."""

from __future__ import annotations

import logging
import select
import time
from collections.abc import Iterable
from dataclasses import dataclass

from dcm4py_leading.dicom import status
from dcm4py_leading.dicom.scu.requestor import RequestedAssociation
from dcm4py_leading.dicom.scu.storage_association import StorageAssociation
from dcm4py_leading.dicom.upper import command as dimse
from dcm4py_leading.dicom.upper.failures import AssociationFailed
from dcm4py_leading.dicom.upper.link import LinkTimeout
from dcm4py_leading.dicom.upper.pace import patience
from dcm4py_leading.errors import ArchiveUnavailable, StatusError
from dcm4py_leading.model.device import ApplicationEntity, RemoteAE
from dcm4py_leading.service.proxy.store_archive import Answer
from dcm4py_leading.service.retrieve.encode import StoreContext
from dcm4py_leading.service.retrieve.sub_operations import RetrievedObject

LOG = logging.getLogger(__name__)

_AT_ONCE = 0.001
"""Seconds; none at all would be for ever."""


@dataclass(slots=True)
class _Sent:
    """An object that is under way."""

    number: int
    obj: RetrievedObject
    is_transcoded: bool = False
    is_repeated: bool = False


class UpstreamStore:
    """One other archive, for the objects of one association with us; they are sent on one association.

    An association that the archive ended after it had answered objects is opened again, and what has no answer is sent
    once more. For one thread, except `interrupt`.
    """

    def __init__(self, local_ae: ApplicationEntity, remote: RemoteAE, contexts: Iterable[StoreContext]) -> None:
        """``contexts`` are those that will probably be needed."""
        self._remote = remote
        self._association = StorageAssociation(local_ae, remote, contexts, windowed=True)
        self._is_interrupted = False
        self._number = 0
        self._due: dict[int, _Sent] = {}
        """By Message ID."""
        self._ended: dict[int, Answer | StatusError] = {}
        """By number, until they are told."""
        self._due_until = 0.0
        """End of the wait for the next response, by the monotonic clock."""
        self._has_answered: RequestedAssociation | None = None
        """The association on which an object was answered."""
        self._is_silent = False
        """True if the last object had neither an association nor an answer in time."""

    def begin(self, obj: RetrievedObject) -> int:
        """Send an object (see `StoreArchive`); `end` raises all errors."""
        self._number += 1
        self._send(_Sent(self._number, obj))
        return self._number

    def end(self, number: int) -> Answer:
        """Wait for the answer to an object (see `StoreArchive`). Raises as that."""
        while number not in self._ended:
            self._take_response()
        outcome = self._ended.pop(number)
        if isinstance(outcome, StatusError):
            raise outcome
        return outcome

    def has_ended(self, number: int) -> bool:
        """True if `end` would not wait."""
        while number not in self._ended and self._opened.has_input:
            self._take_response()
        return number in self._ended or self._left <= _AT_ONCE

    def wait(self, descriptor: int) -> None:
        """Wait for the archive or the descriptor (see `StoreArchive`)."""
        poll = select.poll()
        poll.register(self._opened.fileno(), select.POLLIN)
        poll.register(descriptor, select.POLLIN)
        poll.poll(self._left * 1000)

    @property
    def _opened(self) -> RequestedAssociation:
        """The association, while objects are under way."""
        current = self._association.current
        assert current is not None
        return current

    @property
    def _left(self) -> float:
        """Seconds for which the next response is waited for."""
        return max(self._due_until - time.monotonic(), _AT_ONCE)

    def _send(self, sent: _Sent) -> None:
        obj = sent.obj
        try:
            assoc = self._with_room_for(obj)
            accepted = assoc.transfer_syntaxes(obj.sop_class_uid)
            if not accepted:
                raise ArchiveUnavailable(
                    f"{self._remote.ae_title} takes no objects of this SOP class", status=status.SOP_CLASS_NOT_SUPPORTED
                )
            prepared = obj.prepare(accepted)
            sent.is_transcoded = prepared.is_transcoded
            message_id = assoc.next_message_id()
            try:
                assoc.begin_store(prepared, message_id, None)
            except AssociationFailed as err:
                self._lost(err, sent)
                return
        except AssociationFailed as err:
            self._is_silent = True
            self._ended[sent.number] = self._unavailable(err)
        except StatusError as err:
            self._ended[sent.number] = err
        else:
            if not self._due:
                self._restart_timeout(assoc)
            self._due[message_id] = sent

    def _with_room_for(self, obj: RetrievedObject) -> RequestedAssociation:
        """The association, when it takes another object. Raises AssociationFailed."""
        while self._due:
            current = self._opened
            is_proposed = self._association.has_proposed(obj.sop_class_uid, obj.transfer_syntax_uid)
            if is_proposed and len(self._due) < current.window and current.is_open:
                return current
            self._take_response()
        return self._association.opened_for(obj.sop_class_uid, obj.transfer_syntax_uid)

    def _take_response(self) -> None:
        """Wait for the next response; without one, the association is lost."""
        try:
            self._read_response(self._opened, self._left)
        except AssociationFailed as err:
            self._lost(err)

    def _read_response(self, assoc: RequestedAssociation, timeout: float) -> None:
        """Read the next response, which may be to any object under way. Raises AssociationFailed."""
        response, _ = assoc.receive(timeout)
        answered, code = response.number(dimse.MESSAGE_ID_BEING_RESPONDED_TO), response.number(dimse.STATUS)
        is_response = response.number(dimse.COMMAND_FIELD) == dimse.C_STORE_RQ | dimse.RESPONSE
        if not is_response or answered not in self._due or code is None:
            raise AssociationFailed(f"{self._remote.ae_title}: a message came that is no response to our C-STORE")
        sent = self._due.pop(answered)
        self._ended[sent.number] = Answer(
            status=code, error_comment=response.text(dimse.ERROR_COMMENT), is_transcoded=sent.is_transcoded
        )
        self._has_answered = assoc
        self._restart_timeout(assoc)

    def _restart_timeout(self, assoc: RequestedAssociation) -> None:
        self._due_until = time.monotonic() + patience(assoc.connection.response_timeout)

    def _lost(self, err: AssociationFailed, *torn: _Sent) -> None:
        """Drop the association. If the archive ended it after other answers, send what has no answer once more.

        ``torn`` is the object in which it was lost, if it was lost in sending.
        """
        assoc = self._opened
        try:
            while self._due and assoc.has_input:  # answers that came before the loss count
                self._read_response(assoc, _AT_ONCE)
        except AssociationFailed:
            pass  # the first failure is told
        self._is_silent = assoc.is_open or isinstance(err.__cause__, LinkTimeout)
        # Objects were answered, so the end of the association may have nothing to do with those that were not.
        is_gone = self._has_answered is assoc and not self._is_silent
        self._association.drop()
        left = [*self._due.values(), *torn]
        self._due.clear()
        for sent in left:
            if not is_gone or sent.is_repeated or self._is_silent or self._is_interrupted:
                self._ended[sent.number] = self._unavailable(err)
                continue
            LOG.info("%s: sent once more", self._naming(err))
            sent.is_repeated = True
            self._send(sent)
            while self._due:  # one after the other: an object at which the archive ends associations harms no other one
                self._take_response()

    def _unavailable(self, err: AssociationFailed) -> ArchiveUnavailable:
        failure = ArchiveUnavailable(self._naming(err))
        failure.__cause__ = err
        return failure

    def _naming(self, err: AssociationFailed) -> str:
        message = str(err)
        return message if message.startswith(self._remote.ae_title) else f"{self._remote.ae_title}: {message}"

    def interrupt(self) -> None:
        """Stop the current stores and close the association; for any thread."""
        self._is_interrupted = True
        current = self._association.current
        if current is not None:
            current.interrupt()

    def close(self) -> None:
        """Release the association, if there is one."""
        self._association.close()
