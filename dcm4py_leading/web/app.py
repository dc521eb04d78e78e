"""The HTTP rim: its routes, and what stands before each of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from dcm4py_leading.model.bounds import HTTP_THREADS, HTTP_WAITING_REQUESTS
from dcm4py_leading.web.gate.access import unguarded
from dcm4py_leading.web.gate.asking import Asking
from dcm4py_leading.web.gate.headers import SecurityHeaders
from dcm4py_leading.web.gate.identity import Doorkeeper, NoDoor
from dcm4py_leading.web.gate.origin import OwnOrigin
from dcm4py_leading.web.http.rooms import Room
from dcm4py_leading.web.login.doorkeeper import LoginDoorkeeper
from dcm4py_leading.web.login.endpoints import login_routes
from dcm4py_leading.web.own.explain import Explainer, explain_route
from dcm4py_leading.web.own.health import Healthy, health_routes
from dcm4py_leading.web.own.leading_cache import LeadingAnswers, leading_cache_routes
from dcm4py_leading.web.own.log_reference import log_reference_route
from dcm4py_leading.web.own.metrics import Metered, metrics_route
from dcm4py_leading.web.rest.control import Controlled, control_routes


class Control(Controlled, Healthy, Explainer, LeadingAnswers, Metered, Protocol):
    """What the HTTP rim may do with the service. Called from a worker thread."""


def create_app(control: Control, *, hosts: Collection[str] = (), doorkeeper: Doorkeeper | None = None) -> Starlette:
    """The ASGI application.

    ``hosts`` are names by which it may be asked; see `origin.OwnOrigin`. Without a ``doorkeeper`` everybody may
    everything, which is for loopback alone.
    """
    return guarded_app(
        [
            *_own_routes(control),
            *login_routes(doorkeeper if isinstance(doorkeeper, LoginDoorkeeper) else None),
            *control_routes(control, changing=_room("ctrl/reload", threads=1), looking=_room("ctrl")),
        ],
        hosts=hosts,
        doorkeeper=doorkeeper,
    )


def guarded_app(
    routes: Sequence[BaseRoute], *, hosts: Collection[str] = (), doorkeeper: Doorkeeper | None = None
) -> Starlette:
    """The application with these routes, behind all that stands before each of them.

    Raises ValueError where a route answers everybody and is not meant to.
    """
    if open_to_all := unguarded(routes):
        raise ValueError(f"no role is needed for {', '.join(open_to_all)}: see web/gate/access.py")
    return Starlette(
        routes=routes,
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(OwnOrigin, hosts=hosts),
            Middleware(Asking, doorkeeper=doorkeeper or NoDoor()),
        ],
    )


def _own_routes(control: Control) -> list[BaseRoute]:
    quick = _room("the control port")
    return [
        *health_routes(control, _room("/health/ready")),
        log_reference_route(quick),
        metrics_route(control, quick),
        *leading_cache_routes(control, quick),
        explain_route(control, _room("/explain")),
    ]


def _room(what: str, threads: int = HTTP_THREADS) -> Room:
    return Room(what, threads=threads, waiting=HTTP_WAITING_REQUESTS)
