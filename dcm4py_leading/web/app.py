"""The HTTP rim: control and health, under the paths that dcm4chee-arc uses, and what it has no paths for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dcm4py_leading import log
from dcm4py_leading.errors import ConfigError, ConfigInvalid, Problem
from dcm4py_leading.model.bounds import HTTP_THREADS, HTTP_WAITING_REQUESTS
from dcm4py_leading.model.values import UID
from dcm4py_leading.web.explain import Explainer, explain_route
from dcm4py_leading.web.leading_cache import LeadingAnswers, leading_cache_routes
from dcm4py_leading.web.metrics import Metered, metrics_route
from dcm4py_leading.web.origin import OwnOrigin
from dcm4py_leading.web.rooms import Room


class Control(Explainer, LeadingAnswers, Metered, Protocol):
    """What the HTTP rim may do with the service. Called from a worker thread."""

    def reload(self) -> None:
        """Read the configuration again and put it in force. Raises ConfigError: then the old one stays."""
        ...

    def is_ready(self) -> bool:
        """Whether the configuration is loaded and every listener is bound."""
        ...

    def state(self) -> Mapping[str, object]:
        """What runs since when, and how the last reload went; JSON values only. ``degraded`` lists in words what is
        not as it should be; a service that is degraded serves all the same."""
        ...


def create_app(control: Control, *, hosts: Collection[str] = ()) -> Starlette:
    """The ASGI application. ``hosts`` are names by which it may be asked; see `origin.OwnOrigin`."""
    quick = Room("the control port", threads=HTTP_THREADS, waiting=HTTP_WAITING_REQUESTS)
    health = Room("/health/ready", threads=HTTP_THREADS, waiting=HTTP_WAITING_REQUESTS)
    asking = Room("/explain", threads=HTTP_THREADS, waiting=HTTP_WAITING_REQUESTS)
    changing = Room("ctrl/reload", threads=1, waiting=HTTP_WAITING_REQUESTS)

    def reload(_: Request) -> Response:
        try:
            control.reload()
        except ConfigError as err:
            problems = err.problems if isinstance(err, ConfigInvalid) else ()
            body = {"errorMessage": str(err), "problems": [problem_json(problem) for problem in problems]}
            return JSONResponse(body, status_code=409)
        return Response(status_code=204)

    def status(_: Request) -> Response:
        return JSONResponse({"status": "STARTED" if control.is_ready() else "STOPPED"})

    async def live(_: Request) -> Response:  # without a thread: it answers as long as the process does
        return JSONResponse({"status": "UP"})

    def ready(_: Request) -> Response:
        is_ready = control.is_ready()
        state = control.state()
        working = "DEGRADED" if state.get("degraded") else "UP"
        body = {"status": working if is_ready else "DOWN", **state}
        return JSONResponse(body, status_code=200 if is_ready else 503)

    def log_reference(request: Request) -> Response:
        try:
            uid = UID(request.path_params["uid"])
        except ValueError as err:
            return JSONResponse({"errorMessage": f"UID: {err}"}, status_code=400)
        return JSONResponse({"reference": log.ref(uid)})

    return Starlette(
        routes=[
            Route("/dcm4chee-arc/ctrl/reload", changing.serves(reload), methods=["POST"]),
            Route("/dcm4chee-arc/ctrl/status", health.serves(status)),
            Route("/health/live", live),
            Route("/health/ready", health.serves(ready)),
            Route("/log-reference/{uid:path}", quick.serves(log_reference)),
            metrics_route(control, quick),
            *leading_cache_routes(control, quick),
            explain_route(control, asking),
        ],
        middleware=[Middleware(OwnOrigin, hosts=hosts)],
    )


def problem_json(problem: Problem) -> dict[str, str | None]:
    """A problem as JSON, the same here and in ``check --json``."""
    return {
        "severity": problem.severity.value,
        "dn": problem.dn,
        "attribute": problem.attribute,
        "value": problem.value,
        "reason": problem.reason,
    }
