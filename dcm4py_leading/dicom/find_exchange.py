"""One C-FIND on an association of ours: the request, its pending responses, its end (PS3.7 9.1.2)."""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Callable, Generator, Iterator

from pydicom import Dataset

from dcm4py_leading.coercion.unreadable import UNREADABLE
from dcm4py_leading.dicom import command as dimse
from dcm4py_leading.dicom import status
from dcm4py_leading.dicom.association import AssociationFailed, Context, Message, seconds
from dcm4py_leading.dicom.identifier import decode
from dcm4py_leading.dicom.message import cancel_request, find_request
from dcm4py_leading.dicom.requestor import RequestedAssociation
from dcm4py_leading.service.encode import encoded

_LOOK = 0.25
"""Seconds between looks whether anybody still waits for responses that do not come."""
_GOODBYE = 5.0
"""Seconds that the peer gets to answer a C-CANCEL."""


class FindRefused(AssociationFailed):
    """The C-FIND ended with a status other than 0x0000; the association itself can be used further."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def find_responses(
    assoc: RequestedAssociation, sop_class_uid: str, identifier: Dataset, remaining: Callable[[], float | None]
) -> Iterator[Dataset]:
    """The pending responses of one C-FIND, the only presentation context of whose association is for it.

    ``remaining`` says how many seconds each response may take. Raises AssociationFailed, FindRefused.
    """
    if not assoc.contexts:
        raise AssociationFailed("the C-FIND was not accepted")
    context = assoc.contexts[0]
    for data in encoded_responses(assoc, context, sop_class_uid, identifier, remaining):
        try:
            yield decode(data, context.transfer_syntax)
        except (*UNREADABLE, zlib.error) as err:
            raise AssociationFailed(f"a C-FIND response cannot be parsed ({type(err).__name__})") from err


def encoded_responses(
    assoc: RequestedAssociation,
    context: Context,
    sop_class_uid: str,
    identifier: Dataset,
    remaining: Callable[[], float | None],
    is_over: Callable[[], bool] | None = None,
) -> Generator[bytes]:
    """The pending responses of one C-FIND in ``context``, as they came.

    When it is closed before the last one, or ``is_over``, which is asked while nothing comes, says that nobody waits
    for them, the C-FIND is cancelled (PS3.7 9.3.2.3), and what still comes is dropped. Raises as `find_responses`.
    """
    try:
        keys = encoded(identifier, context.transfer_syntax)
    except UNREADABLE as err:
        raise AssociationFailed(f"the query identifier cannot be encoded ({type(err).__name__})") from err
    message_id = assoc.next_message_id()
    assoc.send(context, find_request(sop_class_uid, message_id), keys)
    while True:
        received = assoc.receive(remaining()) if is_over is None else _received(assoc, remaining(), is_over)
        if received is None:
            _cancel(assoc, context, message_id)
            return
        response, data = received
        if (
            response.number(dimse.COMMAND_FIELD) != dimse.C_FIND_RQ | dimse.RESPONSE
            or response.number(dimse.MESSAGE_ID_BEING_RESPONDED_TO) != message_id
        ):
            raise AssociationFailed("a message came that is no response to our C-FIND")
        code = response.number(dimse.STATUS)
        if code == status.SUCCESS:
            return
        if code is None:
            raise AssociationFailed("a C-FIND response came without a status")
        if code not in (status.PENDING, status.PENDING_WITH_UNSUPPORTED_KEYS):
            comment = response.text(dimse.ERROR_COMMENT)
            raise FindRefused(f"C-FIND ended with status 0x{code:04X}{f': {comment}' if comment else ''}", code)
        if data is None:
            raise AssociationFailed("a pending C-FIND response came without an identifier")
        try:
            yield data
        except GeneratorExit:
            _cancel(assoc, context, message_id)
            raise


def _received(
    assoc: RequestedAssociation, timeout: float | None, is_over: Callable[[], bool]
) -> tuple[Message, bytes | None] | None:
    """The next response; None when nobody waits for it. Raises AssociationFailed."""
    bounds = [bound for bound in (timeout, seconds(assoc.connection.response_timeout)) if bound is not None]
    ends_at = time.monotonic() + min(bounds) if bounds else math.inf
    while (left := ends_at - time.monotonic()) > 0:
        received = assoc.poll(min(left, _LOOK))
        if received is not None:
            response, data = received
            return response, None if data is None else bytes(data)
        if is_over():
            return None
    raise AssociationFailed(f"{assoc.peer}: no response in time")


def _cancel(assoc: RequestedAssociation, context: Context, message_id: int) -> None:
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
