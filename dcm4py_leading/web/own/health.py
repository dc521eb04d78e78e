"""``/health``: whether the process lives, and whether it serves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dcm4py_leading.web.gate.identity import Identity, Role
from dcm4py_leading.web.http.rooms import Room


class HealthSource(Protocol):
    """The service, as the routes use it. Called from a worker thread."""

    def is_ready(self) -> bool:
        """True if the configuration is loaded and every listener is bound."""
        ...

    def state(self) -> Mapping[str, object]:
        """The service in JSON values: what runs since when, and how the last reload went. ``degraded`` lists in
        words what is not as it should be; a service that is degraded serves all the same."""
        ...


def health_routes(healthy: HealthSource, room: Room) -> list[Route]:
    """The routes. They answer everybody; details only viewers and services."""

    async def live(_: Request) -> Response:  # without a thread: it answers as long as the process does
        return JSONResponse({"status": "UP"})

    def ready(request: Request) -> Response:
        identity: Identity = request.state.identity
        is_ready = healthy.is_ready()
        state = healthy.state()
        working = "DEGRADED" if state.get("degraded") else "UP"
        body: dict[str, object] = {"status": working if is_ready else "DOWN"}
        if identity.may(Role.VIEWER) or identity.may(Role.SERVICE):
            body |= state
        return JSONResponse(body, status_code=200 if is_ready else 503)

    return [Route("/health/live", live), Route("/health/ready", room.serves(ready))]
