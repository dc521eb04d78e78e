"""``/dcm4chee-arc/monitor``: associations under way, the end of one, and what time it is here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dcm4py_leading.log import word
from dcm4py_leading.service.monitor.associations import MessageCounts, OpenAssociation
from dcm4py_leading.web.gate.access import needs
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.http.answers import error
from dcm4py_leading.web.http.rooms import Room

LOG = logging.getLogger(__name__)

_MOST_DIGITS = 20


class Associations(Protocol):
    """What pages and routes may do with associations. Called from a worker thread."""

    def associations(self) -> Sequence[OpenAssociation]:
        """Those of all processes, the oldest first."""
        ...

    def abort_association(self, serial_number: int) -> bool:
        """True if there was such an association; it is aborted (A-ABORT), whatever is under way on it."""
        ...


def monitor_routes(service: Associations, room: Room, *, now: Callable[[], datetime]) -> list[Route]:
    """The routes. ``now`` has the time zone of this machine."""

    def list_associations(_: Request) -> Response:
        return JSONResponse([_json(association) for association in service.associations()])

    def abort(request: Request) -> Response:
        text: str = request.path_params["serialNo"]
        is_number = text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS
        if not is_number or not service.abort_association(int(text)):
            return error(HTTPStatus.NOT_FOUND, f"there is no association with serial number {text:.{_MOST_DIGITS}}")
        LOG.warning("association %s is aborted: %s wants it", text, word(request.state.identity.name))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def server_time(_: Request) -> Response:
        return JSONResponse({"serverTimeWithTimezone": now().isoformat(timespec="milliseconds")})

    base = "/dcm4chee-arc/monitor"
    return [
        Route(
            f"{base}/associations",
            needs(Role.VIEWER, room.serves(list_associations), or_role=Role.SERVICE),
            methods=["GET"],
        ),
        Route(
            f"{base}/associations/{{serialNo}}",
            needs(Role.ADMINISTRATOR, room.serves(abort)),
            methods=["DELETE"],
        ),
        Route(
            f"{base}/serverTime", needs(Role.VIEWER, room.serves(server_time), or_role=Role.SERVICE), methods=["GET"]
        ),
    ]


def _json(association: OpenAssociation) -> dict[str, object]:
    """An association with dcm4chee's keys, and after them what it does not tell."""
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
