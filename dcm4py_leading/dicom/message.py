"""DIMSE messages as plain values, made from and turned into pynetdicom's primitives."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from pynetdicom.dimse_primitives import C_ECHO, C_FIND, C_GET, C_MOVE, C_STORE
from pynetdicom.presentation import PresentationContext

from dcm4py_leading.service.encode import PreparedObject
from dcm4py_leading.service.tally import SubOperationTally

Primitive = Any  # pynetdicom is not typed

COMMANDS: dict[type[Any], str] = {
    C_ECHO: "C-ECHO",
    C_STORE: "C-STORE",
    C_FIND: "C-FIND",
    C_MOVE: "C-MOVE",
    C_GET: "C-GET",
}
_ERROR_COMMENT_LENGTH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One DIMSE-C request as received (PS3.7 9.3), with the presentation context that it came in."""

    primitive: Primitive
    command: str
    message_id: int
    context_id: int
    sop_class_uid: str
    abstract_syntax: str
    transfer_syntax: str
    data: BytesIO

    @property
    def sop_instance_uid(self) -> str:
        """Affected SOP Instance UID of a C-STORE-RQ."""
        return str(self.primitive.AffectedSOPInstanceUID or "")

    @property
    def move_destination(self) -> str:
        """Move Destination (0000,0600) of a C-MOVE-RQ."""
        return str(self.primitive.MoveDestination or "").strip()


def request_from(primitive: Primitive, context: PresentationContext) -> Request:
    """The request that ``primitive`` carries. Raises KeyError for a command that is not DIMSE-C."""
    command = COMMANDS[type(primitive)]
    data = None if command == "C-ECHO" else primitive.DataSet if command == "C-STORE" else primitive.Identifier
    data = data or BytesIO()
    data.seek(0)  # pynetdicom leaves it at the end
    return Request(
        primitive=primitive,
        command=command,
        message_id=primitive.MessageID,
        context_id=context.context_id or 0,
        sop_class_uid=str(primitive.AffectedSOPClassUID or ""),
        abstract_syntax=str(context.abstract_syntax),
        transfer_syntax=str(context.transfer_syntax[0]),
        data=data,
    )


def response_to(
    request: Request,
    status: int,
    *,
    data: bytes | None = None,
    tally: SubOperationTally | None = None,
    remaining: bool = False,
    error_comment: str | None = None,
) -> Primitive:
    """The response primitive; ``remaining`` adds Number of Remaining Sub-operations (PS3.7 9.3.3.2, 9.3.4.2)."""
    response = type(request.primitive)()
    response.MessageIDBeingRespondedTo = request.message_id
    response.AffectedSOPClassUID = request.primitive.AffectedSOPClassUID
    if request.command == "C-STORE":
        response.AffectedSOPInstanceUID = request.primitive.AffectedSOPInstanceUID
    response.Status = status
    if data is not None:
        response.Identifier = BytesIO(data)
    if tally is not None:
        response.NumberOfCompletedSuboperations = tally.completed
        response.NumberOfFailedSuboperations = tally.failed
        response.NumberOfWarningSuboperations = tally.warning
        if remaining:
            response.NumberOfRemainingSuboperations = tally.remaining
    if error_comment:
        response.ErrorComment = error_comment.encode("ascii", "replace").decode()[:_ERROR_COMMENT_LENGTH]
    return response


@dataclass(frozen=True, slots=True)
class MoveOriginator:
    """Who asked for a C-STORE sub-operation: the C-MOVE SCU's AE title and its Message ID (PS3.7 9.1.1.1)."""

    ae_title: str
    message_id: int


def store_request(obj: PreparedObject, message_id: int, originator: MoveOriginator | None) -> Primitive:
    """A C-STORE-RQ of medium priority for ``obj``."""
    request = C_STORE()
    request.MessageID = message_id
    request.AffectedSOPClassUID = obj.sop_class_uid
    request.AffectedSOPInstanceUID = obj.sop_instance_uid
    request.Priority = 0
    if originator is not None:
        request.MoveOriginatorApplicationEntityTitle = originator.ae_title
        request.MoveOriginatorMessageID = originator.message_id
    request.DataSet = BytesIO(b"".join(obj.data))
    return request


def find_request(sop_class_uid: str, identifier: bytes, message_id: int) -> Primitive:
    """A C-FIND-RQ of medium priority."""
    request = C_FIND()
    request.MessageID = message_id
    request.AffectedSOPClassUID = sop_class_uid
    request.Priority = 0
    request.Identifier = BytesIO(identifier)
    return request


def accepted_context_id(
    contexts: Iterable[PresentationContext], abstract_syntax: str, transfer_syntax: str
) -> int | None:
    """ID of the accepted presentation context, in which we may be SCU, of this abstract and transfer syntax."""
    for context in contexts:
        if (
            context.as_scu
            and str(context.abstract_syntax) == abstract_syntax
            and str(context.transfer_syntax[0]) == transfer_syntax
        ):
            return context.context_id
    return None
