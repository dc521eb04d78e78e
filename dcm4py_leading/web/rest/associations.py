"""``/dcm4chee-arc/monitor``: associations under way, abort of one, and the server time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dcm4py_leading.service.monitor.associations import MessageCounts, OpenAssociation
from dcm4py_leading.web.gate.command_log import log_command
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.http.answers import error
from dcm4py_leading.web.rest.openapi.schemas import OBJECT
from dcm4py_leading.web.rest.operations import BOOLEAN, TEXT, JsonSchema, Operation

_MAX_DIGITS = 20


class Associations(Protocol):
    """Associations as pages and routes may use them. Called from a worker thread."""

    def associations(self) -> Sequence[OpenAssociation]:
        """Those of all processes, the oldest first."""
        ...

    def abort_association(self, serial_number: int) -> bool:
        """True if there was such an association; it is aborted (A-ABORT), whatever is under way on it."""
        ...


_OPS: JsonSchema = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "properties": {"RQ": {"type": "integer"}, "RSP": {"type": "integer"}},
        "required": ["RQ", "RSP"],
    },
}
_ASSOCIATION: JsonSchema = {
    "type": "object",
    "properties": {
        "serialNo": {"type": "integer"},
        "connectTime": {"type": "string", "format": "date-time"},
        "initiated": BOOLEAN,
        "localAETitle": TEXT,
        "remoteAETitle": TEXT,
        "performedOps": _OPS,
        "invokedOps": _OPS,
        "remoteHost": TEXT,
        "pid": {"type": "integer"},
        "busy": BOOLEAN,
        "study": {"type": ["string", "null"]},
    },
}


def monitor_operations(service: Associations, *, now: Callable[[], datetime]) -> list[Operation]:
    """The operations. ``now`` has the time zone of this machine."""

    def list_associations(_: Request) -> Response:
        return JSONResponse([_json(association) for association in service.associations()])

    def abort(request: Request) -> Response:
        text: str = request.path_params["serialNo"]
        is_number = text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS
        if not is_number or not service.abort_association(int(text)):
            return error(HTTPStatus.NOT_FOUND, f"there is no association with serial number {text:.{_MAX_DIGITS}}")
        log_command(request, f"association {text} is aborted")
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def server_time(_: Request) -> Response:
        return JSONResponse({"serverTimeWithTimezone": now().isoformat(timespec="milliseconds")})

    base = "/dcm4chee-arc/monitor"
    return [
        Operation(
            method="GET",
            path=f"{base}/associations",
            name="listAssociations",
            summary="The associations under way, those that we have opened included.",
            role=Role.VIEWER,
            or_role=Role.SERVICE,
            handler=list_associations,
            answers={200: {"type": "array", "items": _ASSOCIATION}},
            tag="monitor",
        ),
        Operation(
            method="DELETE",
            path=f"{base}/associations/{{serialNo}}",
            name="abortAssociation",
            summary="Abort one.",
            role=Role.ADMINISTRATOR,
            handler=abort,
            answers={204: None, 404: OBJECT},
            tag="monitor",
        ),
        Operation(
            method="GET",
            path=f"{base}/serverTime",
            name="serverTime",
            summary="The time on this machine.",
            role=Role.VIEWER,
            or_role=Role.SERVICE,
            handler=server_time,
            answers={200: {"type": "object", "properties": {"serverTimeWithTimezone": TEXT}}},
            tag="monitor",
        ),
    ]


def _json(association: OpenAssociation) -> dict[str, object]:
    """An association with dcm4chee's keys, followed by our own."""
    return {
        "serialNo": association.serial_number,
        "connectTime": association.connected_at.isoformat(timespec="milliseconds"),
        "initiated": association.is_initiated,
        "localAETitle": association.local_ae_title,
        "remoteAETitle": association.remote_ae_title,
        "performedOps": _ops(association.performed),
        "invokedOps": _ops(association.invoked),
        "remoteHost": association.remote_host,
        "pid": association.pid,
        "busy": association.is_busy,
        "study": association.study,
    }


def _ops(counts: Mapping[str, MessageCounts]) -> dict[str, dict[str, int]]:
    return {service: {"RQ": of.requests, "RSP": of.responses} for service, of in counts.items()}
