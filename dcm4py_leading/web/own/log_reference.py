"""``GET /log-reference/{uid}``: what stands for a study in the log."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dcm4py_leading import log
from dcm4py_leading.model.values import UID
from dcm4py_leading.web.gate.access import needs
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.http.answers import error
from dcm4py_leading.web.http.rooms import Room


def log_reference_route(room: Room) -> Route:
    """The route."""

    def log_reference(request: Request) -> Response:
        try:
            uid = UID(request.path_params["uid"])
        except ValueError as err:
            return error(400, f"UID: {err}")
        return JSONResponse({"reference": log.ref(uid)})

    return Route("/log-reference/{uid:path}", needs(Role.VIEWER, room.serves(log_reference)))
