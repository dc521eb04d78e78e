"""``/dcm4chee-arc/ctrl``: the service as a whole, under the paths that dcm4chee-arc uses."""

from __future__ import annotations

from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dcm4py_leading.errors import ConfigError, ConfigInvalid
from dcm4py_leading.web.gate.access import needs
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.http.answers import error
from dcm4py_leading.web.http.rooms import Room


class Controlled(Protocol):
    """What the routes may do with the service. Called from a worker thread."""

    def reload(self) -> None:
        """Read the configuration again and put it in force. Raises ConfigError: then the old one stays."""
        ...

    def is_ready(self) -> bool:
        """Whether the configuration is loaded and every listener is bound."""
        ...


def control_routes(controlled: Controlled, *, changing: Room, looking: Room) -> list[Route]:
    """The routes. What changes the service waits in one room, what looks at it in another."""

    def reload(_: Request) -> Response:
        try:
            controlled.reload()
        except ConfigError as err:
            return error(409, str(err), err.problems if isinstance(err, ConfigInvalid) else ())
        return Response(status_code=204)

    def status(_: Request) -> Response:
        return JSONResponse({"status": "STARTED" if controlled.is_ready() else "STOPPED"})

    return [
        Route("/dcm4chee-arc/ctrl/reload", needs(Role.SERVICE, changing.serves(reload)), methods=["POST"]),
        Route(
            "/dcm4chee-arc/ctrl/status",
            needs(Role.VIEWER, looking.serves(status), or_role=Role.SERVICE),
            methods=["GET"],
        ),
    ]
