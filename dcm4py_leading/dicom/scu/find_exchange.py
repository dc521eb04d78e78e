"""One C-FIND on an association of ours: the request, its pending responses, its end (PS3.7 9.1.2)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Generator, Iterator
from itertools import count

from pydicom import Dataset

from dcm4py_leading.dataset.normal import first_text
from dcm4py_leading.dataset.scan import Buffer
from dcm4py_leading.dataset.text.unreadable import UNREADABLE
from dcm4py_leading.dicom import status
from dcm4py_leading.dicom.message import cancel_request, find_request
from dcm4py_leading.dicom.scu.answers import read_answer
from dcm4py_leading.dicom.scu.requestor import RequestedAssociation
from dcm4py_leading.dicom.upper import command as dimse
from dcm4py_leading.dicom.upper.dimse_message import DimseMessage, PresentationContext
from dcm4py_leading.dicom.upper.failures import AssociationFailed
from dcm4py_leading.dicom.upper.pace import patience
from dcm4py_leading.errors import InvalidObject
from dcm4py_leading.leading.query import UnreadableAnswer
from dcm4py_leading.leading.settings import FLUSH, Flush
from dcm4py_leading.model import bounds
from dcm4py_leading.service.retrieve.encode import encoded

LOG = logging.getLogger(__name__)

_STUDY_INSTANCE_UID = 0x0020000D
_LOOK = 0.25
"""Seconds without a response after which it is a lull, and between looks whether anybody still waits."""
_OLD, _MANY = 1.0, 100
"""Seconds that a match waits at most for further ones, unless so many come."""
_GOODBYE = 5.0
"""Seconds that the peer gets to answer a C-CANCEL."""


class FindRefused(AssociationFailed):
    """The C-FIND ended with a status other than 0x0000; the association can still be used."""

    def __init__(self, message: str, status: int, comment: str) -> None:
        """``comment`` is the peer's Error Comment: for the caller, never for the log."""
        super().__init__(message)
        self.status = status
        self.comment = comment


def find_responses(
    assoc: RequestedAssociation, sop_class_uid: str, identifier: Dataset, remaining: Callable[[], float | None]
) -> Iterator[Dataset]:
    """Send a C-FIND on an association with only one presentation context; yield its pending responses.

    Each response has only the elements that were asked for. ``remaining`` gives the seconds that the next response may
    take. Raises FindRefused, and AssociationFailed, also for an unreadable response.
    """
    for answer in answers_of(assoc, sop_class_uid, identifier, remaining, frozenset(map(int, identifier.keys()))):
        if isinstance(answer, UnreadableAnswer):
            raise AssociationFailed("a C-FIND response cannot be parsed")
        yield answer


def answers_of(
    assoc: RequestedAssociation,
    sop_class_uid: str,
    identifier: Dataset,
    remaining: Callable[[], float | None],
    wanted: Collection[int],
) -> Iterator[Dataset]:
    """Like `find_responses`, with the ``wanted`` elements; yields UnreadableAnswer for an unreadable response."""
    if not assoc.contexts:
        raise AssociationFailed("the C-FIND was not accepted")
    context = assoc.contexts[0]
    for data in encoded_responses(assoc, context, sop_class_uid, identifier, remaining):
        try:
            yield read_answer(data, context.transfer_syntax, wanted, is_whole=True)
        except InvalidObject as err:
            LOG.info("%s answers with what cannot be read: %s", assoc.peer, err)
            yield _unreadable(data, context.transfer_syntax)


def _unreadable(data: bytes, transfer_syntax: str) -> UnreadableAnswer:
    answer = UnreadableAnswer()
    try:
        study = first_text(read_answer(data, transfer_syntax, [_STUDY_INSTANCE_UID]), _STUDY_INSTANCE_UID)
    except InvalidObject:
        return answer
    if study is not None:
        answer.StudyInstanceUID = study
    return answer


def within(seconds: float) -> Callable[[], float]:
    """Function for ``remaining`` in `find_responses`: the seconds from now on for all responses together."""
    ends_at = time.monotonic() + seconds
    return lambda: ends_at - time.monotonic()


def encoded_responses(
    assoc: RequestedAssociation,
    context: PresentationContext,
    sop_class_uid: str,
    identifier: Dataset,
    remaining: Callable[[], float | None],
) -> Generator[bytes]:
    """Send a C-FIND in ``context``; yield its pending responses as bytes.

    If the generator is closed before the last response, it cancels the C-FIND (PS3.7 9.3.2.3) and drops the rest.
    ``remaining`` and errors are those of `find_responses`.
    """
    message_id = _ask(assoc, context, sop_class_uid, identifier)
    for number in count(1):
        left = remaining()
        if left is not None and left <= 0:
            _cancel(assoc, context, message_id)
            raise AssociationFailed(f"{assoc.peer}: not all responses came in time")
        data = _pending(*assoc.receive(left), message_id)
        if data is None:
            return
        _check_number(number, assoc, context, message_id)
        try:
            yield bytes(data)
        except GeneratorExit:
            _cancel(assoc, context, message_id)
            raise


def responses_with_flushes(
    assoc: RequestedAssociation,
    context: PresentationContext,
    sop_class_uid: str,
    identifier: Dataset,
    is_over: Callable[[], bool],
    on_unsupported: Callable[[], None],
) -> Generator[bytes | Flush]:
    """Like `encoded_responses`, but also yields FLUSH when responses pause, so that those received can be passed on.

    Also cancels when ``is_over``, which is called while no response comes, returns True. ``on_unsupported`` is called
    when a response says that a key is not supported. dcmResponseTimeout limits the wait for each response.
    """
    message_id = _ask(assoc, context, sop_class_uid, identifier)
    most_silent = patience(assoc.connection.response_timeout)
    lulls = _Lulls()
    silent, number = 0.0, 0
    while True:
        began = time.monotonic()
        received = None if lulls.is_due and not assoc.has_input else assoc.poll(min(_LOOK, most_silent - silent))
        waited = time.monotonic() - began
        try:
            if received is not None:
                data = _pending(*received, message_id)
                if data is None:
                    return
                if received[0].number(dimse.STATUS) == status.PENDING_WITH_UNSUPPORTED_KEYS:
                    on_unsupported()
                silent, number = 0.0, number + 1
                _check_number(number, assoc, context, message_id)
                lulls.came(waited)
                yield bytes(data)
                continue
            silent += waited
            if is_over():
                _cancel(assoc, context, message_id)
                return
            if silent >= most_silent:
                raise AssociationFailed(f"{assoc.peer}: no response in time")
            if lulls.begins():
                yield FLUSH
        except GeneratorExit:
            _cancel(assoc, context, message_id)
            raise


def _check_number(number: int, assoc: RequestedAssociation, context: PresentationContext, message_id: int) -> None:
    """Abort and raise AssociationFailed when there are more matches than any archive can have."""
    if number > bounds.FIND_ANSWERS:
        _cancel(assoc, context, message_id)
        raise AssociationFailed(f"{assoc.peer}: more than {bounds.FIND_ANSWERS} matches")


class _Lulls:
    """Decides when to flush: when no match comes, and when matches come slowly and one has waited long enough.

    Only the time spent waiting for matches counts, not the time spent processing them.
    """

    def __init__(self) -> None:
        self._count = 0
        self._waited = 0.0
        self._is_told = False

    def came(self, waited: float) -> None:
        """Count a match that came after so many seconds; many matches have already filled a page."""
        self._waited += waited
        if self._count in (0, _MANY):
            self._count, self._waited = 0, 0.0
        self._count += 1
        self._is_told = False

    def begins(self) -> bool:
        """Note that no match comes now; True if this pause is new."""
        is_new, self._is_told = not self._is_told, True
        self._count = 0
        return is_new

    @property
    def is_due(self) -> bool:
        """True if a match has waited long enough."""
        return self._count > 0 and self._waited > _OLD


def _ask(assoc: RequestedAssociation, context: PresentationContext, sop_class_uid: str, identifier: Dataset) -> int:
    """Send the request and return its Message ID. Raises AssociationFailed."""
    try:
        keys = encoded(identifier, context.transfer_syntax)
    except UNREADABLE as err:
        raise AssociationFailed(f"the query identifier cannot be encoded ({type(err).__name__})") from err
    message_id = assoc.next_message_id()
    assoc.send(context, find_request(sop_class_uid, message_id), keys)
    return message_id


def _pending(response: DimseMessage, data: Buffer | None, message_id: int) -> Buffer | None:
    """The identifier of a pending response; None after the final response. Raises AssociationFailed, FindRefused."""
    if (
        response.number(dimse.COMMAND_FIELD) != dimse.C_FIND_RQ | dimse.RESPONSE
        or response.number(dimse.MESSAGE_ID_BEING_RESPONDED_TO) != message_id
    ):
        raise AssociationFailed("a message came that is no response to our C-FIND")
    code = response.number(dimse.STATUS)
    if code == status.SUCCESS:
        return None
    if code is None:
        raise AssociationFailed("a C-FIND response came without a status")
    if code not in (status.PENDING, status.PENDING_WITH_UNSUPPORTED_KEYS):
        raise FindRefused(f"C-FIND ended with status 0x{code:04X}", code, response.text(dimse.ERROR_COMMENT))
    if data is None:
        raise AssociationFailed("a pending C-FIND response came without an identifier")
    return data


def _cancel(assoc: RequestedAssociation, context: PresentationContext, message_id: int) -> None:
    ends_at = time.monotonic() + _GOODBYE
    try:
        assoc.send(context, cancel_request(message_id))
        while (left := ends_at - time.monotonic()) > 0:
            response, _ = assoc.receive(left)
            if response.number(dimse.STATUS) not in (status.PENDING, status.PENDING_WITH_UNSUPPORTED_KEYS):
                return
        assoc.abort()
    except AssociationFailed:
        assoc.abort()
