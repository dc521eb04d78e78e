"""``/dcm4chee-arc/ctrl``: the service as a whole, under the paths that dcm4chee-arc uses."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dcm4py_leading.errors import ConfigError, ConfigInvalid
from dcm4py_leading.web.gate.command_log import log_command
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.http.answers import error
from dcm4py_leading.web.http.rooms import Handler
from dcm4py_leading.web.rest.openapi.schemas import OBJECT
from dcm4py_leading.web.rest.operations import JsonSchema, Operation


class ListeningControl(Protocol):
    """The service as the routes may control it. Called from a worker thread."""

    def reload(self) -> None:
        """Read the configuration again and put it in force. Raises ConfigError: then the old one stays."""
        ...

    def is_ready(self) -> bool:
        """True if the configuration is loaded and every listener is bound."""
        ...

    def start_listening(self) -> None:
        """Bind the ports of the configuration in force and accept associations; no effect if already listening.

        Raises ConfigError with every port that cannot be had, and then none is bound.
        """
        ...

    def stop_listening(self) -> None:
        """Accept no associations until `start_listening`; those under way may end for a while, then are aborted.

        A reload meanwhile does not start it.
        """
        ...


def reload_operation(controlled: ListeningControl) -> Operation:
    """Read the configuration anew."""

    def reload(_: Request) -> Response:
        try:
            controlled.reload()
        except ConfigError as err:
            return _refused(HTTPStatus.CONFLICT, err)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    return _operation(
        "POST",
        "reload",
        "Read the configuration again and put it in force; 409 with every problem when it cannot be.",
        Role.SERVICE,
        reload,
        {204: None, 409: OBJECT},
    )


def switch_operations(controlled: ListeningControl) -> list[Operation]:
    """Start and stop. A stop waits for associations, so they need a room of their own."""

    def start(request: Request) -> Response:
        log_command(request, "DICOM is to be started")
        try:
            controlled.start_listening()
        except ConfigError as err:
            return _refused(HTTPStatus.INTERNAL_SERVER_ERROR, err)  # as dcm4chee answers
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def stop(request: Request) -> Response:
        log_command(request, "DICOM is to be stopped")
        controlled.stop_listening()
        return Response(status_code=HTTPStatus.NO_CONTENT)

    return [
        _operation(
            "POST",
            "start",
            "Accept associations; 500 with the ports that cannot be had.",
            Role.ADMINISTRATOR,
            start,
            {204: None, 500: OBJECT},
        ),
        _operation(
            "POST",
            "stop",
            "Accept none until start; those under way may end for a while, then are aborted. HTTP goes on.",
            Role.ADMINISTRATOR,
            stop,
            {204: None},
        ),
    ]


def status_operation(controlled: ListeningControl) -> Operation:
    """Operation that tells whether associations are accepted."""

    def status(_: Request) -> Response:
        return JSONResponse({"status": "STARTED" if controlled.is_ready() else "STOPPED"})

    return _operation(
        "GET",
        "status",
        "Whether associations are accepted.",
        Role.VIEWER,
        status,
        {200: {"type": "object", "properties": {"status": {"enum": ["STARTED", "STOPPED"]}}, "required": ["status"]}},
        or_role=Role.SERVICE,
    )


def _operation(
    method: str,
    what: str,
    summary: str,
    role: Role,
    handler: Handler,
    answers: Mapping[int, JsonSchema | None],
    or_role: Role | None = None,
) -> Operation:
    return Operation(
        method=method,
        path=f"/dcm4chee-arc/ctrl/{what}",
        name=what,
        summary=summary,
        role=role,
        or_role=or_role,
        handler=handler,
        answers=answers,
        tag="control",
    )


def _refused(status: HTTPStatus, err: ConfigError) -> Response:
    return error(status, str(err), err.problems if isinstance(err, ConfigInvalid) else ())
