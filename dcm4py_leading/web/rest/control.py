"""``/dcm4chee-arc/ctrl``: the service as a whole, under the paths that dcm4chee-arc uses."""

from __future__ import annotations

import logging
from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dcm4py_leading.errors import ConfigError, ConfigInvalid
from dcm4py_leading.log import word
from dcm4py_leading.web.gate.access import needs
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.http.answers import error
from dcm4py_leading.web.http.rooms import Room

LOG = logging.getLogger(__name__)


class Controlled(Protocol):
    """What the routes may do with the service. Called from a worker thread."""

    def reload(self) -> None:
        """Read the configuration again and put it in force. Raises ConfigError: then the old one stays."""
        ...

    def is_ready(self) -> bool:
        """Whether the configuration is loaded and every listener is bound."""
        ...

    def start_listening(self) -> None:
        """Bind the ports of the configuration in force and accept associations; nothing when that is so already.

        Raises ConfigError with every port that cannot be had, and then none is bound.
        """
        ...

    def stop_listening(self) -> None:
        """Accept no associations until `start_listening`; those under way may end for a while, then are aborted.

        A reload meanwhile does not start it.
        """
        ...


def control_routes(controlled: Controlled, *, changing: Room, switching: Room, looking: Room) -> list[Route]:
    """The routes. What changes the configuration waits in one room, what looks at the service in another.

    Start and stop have their own, too: a stop waits for associations.
    """

    def start(request: Request) -> Response:
        LOG.warning("DICOM is to be started: %s wants it", word(request.state.identity.name))
        try:
            controlled.start_listening()
        except ConfigError as err:  # 500 is dcm4chee's status for it
            return error(500, str(err), err.problems if isinstance(err, ConfigInvalid) else ())
        return Response(status_code=204)

    def stop(request: Request) -> Response:
        LOG.warning("DICOM is to be stopped: %s wants it", word(request.state.identity.name))
        controlled.stop_listening()
        return Response(status_code=204)

    def reload(_: Request) -> Response:
        try:
            controlled.reload()
        except ConfigError as err:
            return error(409, str(err), err.problems if isinstance(err, ConfigInvalid) else ())
        return Response(status_code=204)

    def status(_: Request) -> Response:
        return JSONResponse({"status": "STARTED" if controlled.is_ready() else "STOPPED"})

    return [
        Route("/dcm4chee-arc/ctrl/start", needs(Role.ADMINISTRATOR, switching.serves(start)), methods=["POST"]),
        Route("/dcm4chee-arc/ctrl/stop", needs(Role.ADMINISTRATOR, switching.serves(stop)), methods=["POST"]),
        Route("/dcm4chee-arc/ctrl/reload", needs(Role.SERVICE, changing.serves(reload)), methods=["POST"]),
        Route(
            "/dcm4chee-arc/ctrl/status",
            needs(Role.VIEWER, looking.serves(status), or_role=Role.SERVICE),
            methods=["GET"],
        ),
    ]
