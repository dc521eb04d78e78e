"""DIMSE-C requests as plain values, and the responses to them (PS3.7 9.3)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dcm4py_leading.dicom import status
from dcm4py_leading.dicom.upper import command as dimse
from dcm4py_leading.dicom.upper.command import Command
from dcm4py_leading.dicom.upper.dimse_message import DimseMessage
from dcm4py_leading.service.retrieve.tally import SubOperationTally

COMMANDS: Mapping[int, str] = {
    dimse.C_ECHO_RQ: "C-ECHO",
    dimse.C_STORE_RQ: "C-STORE",
    dimse.C_FIND_RQ: "C-FIND",
    dimse.C_MOVE_RQ: "C-MOVE",
    dimse.C_GET_RQ: "C-GET",
}
_ERROR_COMMENT_LENGTH = 64
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # PS3.5 6.2: none in an LO
_N_SERVICES: Mapping[int, str] = {
    0x0100: "N-EVENT-REPORT",
    0x0110: "N-GET",
    0x0120: "N-SET",
    0x0130: "N-ACTION",
    0x0140: "N-CREATE",
    0x0150: "N-DELETE",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One DIMSE-C request, with the presentation context that it came in."""

    command: str
    message_id: int
    context_id: int
    sop_class_uid: str
    sop_instance_uid: str
    """Affected SOP Instance UID of a C-STORE-RQ."""
    move_destination: str
    """Move Destination (0000,0600) of a C-MOVE-RQ."""
    move_originator: tuple[str, int | None]
    """Move Originator Application Entity Title and Message ID of a C-STORE-RQ; empty and None if it has none."""
    abstract_syntax: str
    transfer_syntax: str
    data: Iterator[memoryview]
    """The data set as it comes; each piece is good until the next one."""
    has_data_set: bool = True


@dataclass(frozen=True, slots=True)
class NotServed:
    """A message that is not a request for a service of ours."""

    why: str
    response: Command | None
    """The response to send; None if the standard has no response."""


def request_from(message: DimseMessage, data: Iterator[memoryview]) -> Request | NotServed:
    """Read a request from a message. Does not check if the request may be served."""
    field = message.number(dimse.COMMAND_FIELD) or 0
    if field & dimse.RESPONSE:
        return NotServed("a response that nobody waits for", None)
    message_id = message.number(dimse.MESSAGE_ID)
    name = COMMANDS.get(field)
    if message_id is None:
        return NotServed("a command set without Message ID", None)
    if name is None:
        what = f"{_N_SERVICES.get(field, f'command {field:#06x}')}, which is not served"
        return NotServed(what, _unrecognized(message, field, message_id, what))
    return Request(
        command=name,
        message_id=message_id,
        context_id=message.context.context_id,
        sop_class_uid=message.text(dimse.AFFECTED_SOP_CLASS_UID),
        sop_instance_uid=message.text(dimse.AFFECTED_SOP_INSTANCE_UID),
        move_destination=message.text(dimse.MOVE_DESTINATION),
        move_originator=(
            message.text(dimse.MOVE_ORIGINATOR_AE_TITLE),
            message.number(dimse.MOVE_ORIGINATOR_MESSAGE_ID),
        ),
        abstract_syntax=message.context.abstract_syntax,
        transfer_syntax=message.context.transfer_syntax,
        has_data_set=dimse.has_data_set(message.command),
        data=data,
    )


def _unrecognized(message: DimseMessage, field: int, message_id: int, comment: str) -> Command:
    """The response to an operation that is not served (PS3.7 C.5)."""
    response: dict[int, int | str] = {
        dimse.COMMAND_FIELD: field | dimse.RESPONSE,
        dimse.MESSAGE_ID_BEING_RESPONDED_TO: message_id,
        dimse.STATUS: status.UNRECOGNIZED_OPERATION,
        dimse.ERROR_COMMENT: comment[:_ERROR_COMMENT_LENGTH],
    }
    sop_class = message.text(dimse.AFFECTED_SOP_CLASS_UID) or message.text(dimse.REQUESTED_SOP_CLASS_UID)
    if sop_class:
        response[dimse.AFFECTED_SOP_CLASS_UID] = sop_class
    return response


_FIELDS = {name: field for field, name in COMMANDS.items()}


def response_to(
    request: Request,
    status: int,
    *,
    tally: SubOperationTally | None = None,
    remaining: bool = False,
    error_comment: str | None = None,
) -> Command:
    """The command of the response; ``remaining`` adds Number of Remaining Sub-operations (PS3.7 9.3.3.2, 9.3.4.2)."""
    response: dict[int, int | str] = {
        dimse.AFFECTED_SOP_CLASS_UID: request.sop_class_uid,
        dimse.COMMAND_FIELD: _FIELDS[request.command] | dimse.RESPONSE,
        dimse.MESSAGE_ID_BEING_RESPONDED_TO: request.message_id,
        dimse.STATUS: status,
    }
    if request.command == "C-STORE":
        response[dimse.AFFECTED_SOP_INSTANCE_UID] = request.sop_instance_uid
    if tally is not None:
        # PS3.7 E: these are 16 bit numbers
        counts = {dimse.COMPLETED: tally.completed, dimse.FAILED: tally.failed, dimse.WARNING: tally.warning}
        if remaining:
            counts[dimse.REMAINING] = tally.remaining
        response.update({element: min(count, 0xFFFF) for element, count in counts.items()})
    if error_comment:
        response[dimse.ERROR_COMMENT] = _CONTROL.sub("?", error_comment[:_ERROR_COMMENT_LENGTH])
    return response


def progress_of(request: Request, tally: SubOperationTally) -> tuple[int, bytes]:
    """Command Field and encoded command of a pending response to a retrieve, as `response_to` with ``remaining``."""
    field = _FIELDS[request.command] | dimse.RESPONSE
    counts = tally.remaining, tally.completed, tally.failed, tally.warning
    if sum(counts) > 0xFFFF:  # PS3.7 E: these are 16 bit numbers
        remaining, completed, failed, warning = counts
        counts = min(remaining, 0xFFFF), min(completed, 0xFFFF), min(failed, 0xFFFF), min(warning, 0xFFFF)
    return field, dimse.encode_progress(request.sop_class_uid, field, request.message_id, status.PENDING, counts)


def find_request(sop_class_uid: str, message_id: int) -> Command:
    """The command of a C-FIND-RQ of medium priority."""
    return {
        dimse.AFFECTED_SOP_CLASS_UID: sop_class_uid,
        dimse.COMMAND_FIELD: dimse.C_FIND_RQ,
        dimse.MESSAGE_ID: message_id,
        dimse.PRIORITY: 0,
    }


def echo_request(sop_class_uid: str, message_id: int) -> Command:
    """The command of a C-ECHO-RQ."""
    return {
        dimse.AFFECTED_SOP_CLASS_UID: sop_class_uid,
        dimse.COMMAND_FIELD: dimse.C_ECHO_RQ,
        dimse.MESSAGE_ID: message_id,
    }


def move_request(sop_class_uid: str, message_id: int, destination: str) -> Command:
    """The command of a C-MOVE-RQ of medium priority."""
    return {
        dimse.AFFECTED_SOP_CLASS_UID: sop_class_uid,
        dimse.COMMAND_FIELD: dimse.C_MOVE_RQ,
        dimse.MESSAGE_ID: message_id,
        dimse.PRIORITY: 0,
        dimse.MOVE_DESTINATION: destination,
    }


def get_request(sop_class_uid: str, message_id: int) -> Command:
    """The command of a C-GET-RQ of medium priority."""
    return {
        dimse.AFFECTED_SOP_CLASS_UID: sop_class_uid,
        dimse.COMMAND_FIELD: dimse.C_GET_RQ,
        dimse.MESSAGE_ID: message_id,
        dimse.PRIORITY: 0,
    }


def store_response(request: DimseMessage, status: int) -> Command:
    """The command of the response to a C-STORE-RQ on an association that we opened."""
    return {
        dimse.AFFECTED_SOP_CLASS_UID: request.text(dimse.AFFECTED_SOP_CLASS_UID),
        dimse.COMMAND_FIELD: dimse.C_STORE_RQ | dimse.RESPONSE,
        dimse.MESSAGE_ID_BEING_RESPONDED_TO: request.number(dimse.MESSAGE_ID) or 0,
        dimse.STATUS: status,
        dimse.AFFECTED_SOP_INSTANCE_UID: request.text(dimse.AFFECTED_SOP_INSTANCE_UID),
    }


def cancel_request(message_id: int) -> Command:
    """The command of a C-CANCEL-RQ for the request of that Message ID (PS3.7 9.3.2.3)."""
    return {dimse.COMMAND_FIELD: dimse.C_CANCEL_RQ, dimse.MESSAGE_ID_BEING_RESPONDED_TO: message_id}
