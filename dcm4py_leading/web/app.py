"""The HTTP rim: its routes, and what stands before each of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Protocol

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from dcm4py_leading.config.writing.editor import Editor
from dcm4py_leading.model.bounds import (
    HTTP_THREADS,
    HTTP_WAITING_REQUESTS,
    STORES_AT_ONCE,
    WEB_STREAMS,
    WEB_WAITING_REQUESTS,
)
from dcm4py_leading.web.dicomweb.conditional import Validators
from dcm4py_leading.web.dicomweb.frames import value_routes
from dcm4py_leading.web.dicomweb.objects import Retrieving, object_routes
from dcm4py_leading.web.dicomweb.pictures import Picturing, picture_routes
from dcm4py_leading.web.dicomweb.search import Searching, search_routes
from dcm4py_leading.web.dicomweb.store import Storing, store_routes
from dcm4py_leading.web.dicomweb.uri import uri_route
from dcm4py_leading.web.gate.access import unguarded
from dcm4py_leading.web.gate.authentication import AuthenticationMiddleware
from dcm4py_leading.web.gate.headers import SecurityHeaders
from dcm4py_leading.web.gate.identity import Doorkeeper, NoDoor
from dcm4py_leading.web.gate.origin import OwnOrigin
from dcm4py_leading.web.http.addresses import Network, PublicUrl
from dcm4py_leading.web.http.answers import PAGES, refuse_by
from dcm4py_leading.web.http.arrival import Arrival
from dcm4py_leading.web.http.failures import Failures, answer_refused
from dcm4py_leading.web.http.forwarded import Forwarded
from dcm4py_leading.web.http.rooms import Room
from dcm4py_leading.web.login.doorkeeper import LoginDoorkeeper
from dcm4py_leading.web.login.endpoints import login_routes
from dcm4py_leading.web.own.health import HealthSource, health_routes
from dcm4py_leading.web.own.leading_cache import LeadingAnswers, leading_cache_routes
from dcm4py_leading.web.own.log_reference import log_reference_route
from dcm4py_leading.web.own.metrics import MetricsSource, metrics_route
from dcm4py_leading.web.own.running import Running, running_routes
from dcm4py_leading.web.pages.answering import Rooms
from dcm4py_leading.web.pages.assets import asset_route
from dcm4py_leading.web.pages.jobs.sending import SendService
from dcm4py_leading.web.pages.refused import refused_page
from dcm4py_leading.web.pages.routes import page_routes
from dcm4py_leading.web.pages.studies.edit_routes import EditPagesService
from dcm4py_leading.web.pages.studies.routes import StudiesService
from dcm4py_leading.web.pages.trying.page import TrialService
from dcm4py_leading.web.rest.archive.delete import DeletionService, delete_operations
from dcm4py_leading.web.rest.archive.edit import EditService, edit_operations
from dcm4py_leading.web.rest.archive.export import ExportService, export_operations
from dcm4py_leading.web.rest.associations import Associations, monitor_operations
from dcm4py_leading.web.rest.configuration.routes import configuration_routes
from dcm4py_leading.web.rest.control import ListeningControl, reload_operation, status_operation, switch_operations
from dcm4py_leading.web.rest.echo import EchoService, echo_operation
from dcm4py_leading.web.rest.operations import Operation, routes_of
from dcm4py_leading.web.rest.own.drift import DriftService, drift_operations
from dcm4py_leading.web.rest.own.explain import Explainer, explain_alias, explain_operation
from dcm4py_leading.web.rest.own.jobs import job_operations
from dcm4py_leading.web.rest.own.leading import LeadingService, leading_operations
from dcm4py_leading.web.rest.own.sending import send_operations
from dcm4py_leading.web.viewer.build import ViewerBuild
from dcm4py_leading.web.viewer.links import offer
from dcm4py_leading.web.viewer.routes import viewer_routes


class Control(
    ListeningControl,
    Associations,
    EchoService,
    EditService,
    StudiesService,
    DeletionService,
    ExportService,
    Searching,
    Retrieving,
    Picturing,
    Storing,
    EditPagesService,
    SendService,
    DriftService,
    Running,
    HealthSource,
    Explainer,
    LeadingAnswers,
    LeadingService,
    MetricsSource,
    TrialService,
    Protocol,
):
    """The service as the HTTP rim may use it. Called from a worker thread."""


@dataclass(frozen=True, slots=True)
class Configured:
    """The configuration that is read and changed over HTTP."""

    editor: Editor
    device_name: str
    """Of the device that the service is."""


def create_app(
    control: Control,
    *,
    hosts: Collection[str] = (),
    doorkeeper: Doorkeeper | None = None,
    configured: Configured | None = None,
    proxies: Sequence[Network] = (),
    public_url: PublicUrl | None = None,
    cors_origins: Collection[str] = (),
    viewer: ViewerBuild | None = None,
) -> Starlette:
    """The ASGI application; without ``configured`` it has no services of the configuration, and no pages.

    ``viewer`` is served at ``/viewer``. The other arguments are those of `guarded_app`.
    """
    explaining = _room("explain")
    validators = Validators()
    own = [
        *_own_routes(control, explaining),
        *search_routes(control, _streams("searches by DICOMweb"), public_url),
        *object_routes(control, _streams("objects by DICOMweb"), public_url, validators),
        *value_routes(control, _streams("frames by DICOMweb"), public_url, validators),
        *picture_routes(control, _streams("pictures by DICOMweb"), public_url, validators),
        uri_route(control, _streams("objects by WADO-URI"), public_url, validators),
        *store_routes(control, _room("stores by DICOMweb", threads=STORES_AT_ONCE), public_url),
    ]
    services = [*_services(control), (explaining, [explain_operation(control)])]
    app = guarded_app(
        [
            *own,
            *login_routes(doorkeeper if isinstance(doorkeeper, LoginDoorkeeper) else None),
            *(route for room, found in services for route in routes_of(found, reading=room, changing=room)),
            asset_route(),
            Route("/", _first_page),
            *([] if configured is None else _configuration_routes(configured, services, own)),
            *([] if configured is None else _page_routes(control, configured)),
            *([] if viewer is None else viewer_routes(viewer, control, _room("the viewer"))),
        ],
        hosts=hosts,
        doorkeeper=doorkeeper,
        proxies=proxies,
        public_url=public_url,
        cors_origins=cors_origins,
    )
    refuse_by(app, refused_page)
    if viewer is not None:
        offer(app)
    return app


def guarded_app(
    routes: Sequence[BaseRoute],
    *,
    hosts: Collection[str] = (),
    doorkeeper: Doorkeeper | None = None,
    proxies: Sequence[Network] = (),
    public_url: PublicUrl | None = None,
    cors_origins: Collection[str] = (),
) -> Starlette:
    """The application with these routes, behind all that stands before each of them.

    ``hosts`` are names by which it may be asked; see `origin.OwnOrigin`. Without a ``doorkeeper`` everybody may
    everything, which is for loopback alone. ``proxies`` are believed; see `forwarded.Forwarded`. Pages at
    ``cors_origins`` may read DICOMweb; see `cors`.

    Raises ValueError where a route answers everybody and is not meant to.
    """
    if open_to_all := unguarded(routes):
        raise ValueError(f"no role is needed for {', '.join(open_to_all)}: see web/gate/access.py")
    return Starlette(
        routes=routes,
        exception_handlers={HTTPException: answer_refused},
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(Failures),
            Middleware(Forwarded, proxies=proxies, public_url=public_url),
            Middleware(Arrival),
            Middleware(OwnOrigin, hosts=hosts, public_url=public_url, cors_origins=cors_origins),
            Middleware(
                AuthenticationMiddleware,
                doorkeeper=doorkeeper or NoDoor(),
                takes_tokens=isinstance(doorkeeper, LoginDoorkeeper) and doorkeeper.takes_tokens,
            ),
        ],
    )


def _services(control: Control) -> list[tuple[Room, list[Operation]]]:
    """The services about the service itself, by where they wait: those of one kind keep no other waiting."""
    return [
        (_room("ctrl/reload", threads=1), [reload_operation(control)]),
        (_room("ctrl/start and stop", threads=1), switch_operations(control)),
        (_room("ctrl"), [status_operation(control)]),
        (_room("monitor"), monitor_operations(control, now=lambda: datetime.now().astimezone())),
        (_room("dimse"), [echo_operation(control)]),
        (_room("leading archives"), leading_operations(control)),
        (_room("edits of the archive", threads=1), edit_operations(control)),
        (_room("deletions", threads=1), delete_operations(control)),
        (_room("exports"), export_operations(control)),
        (_room("jobs"), job_operations(control)),
        (_room("sending"), send_operations(control)),
        (_room("drift"), drift_operations(control)),
    ]


async def _first_page(_: Request) -> Response:
    return RedirectResponse(PAGES, HTTPStatus.SEE_OTHER)


def _configuration_routes(
    configured: Configured, services: Sequence[tuple[Room, Sequence[Operation]]], own: Sequence[BaseRoute]
) -> Sequence[BaseRoute]:
    return configuration_routes(
        configured.editor,
        configured.device_name,
        reading=_room("the configuration"),
        changing=_room("changes of the configuration", threads=1),
        others=[operation for _, found in services for operation in found],
        other_routes=own,
    )


def _page_routes(control: Control, configured: Configured) -> Sequence[BaseRoute]:
    return page_routes(
        configured.editor,
        control,
        own_device=configured.device_name,
        rooms=Rooms(looking=_room("the pages"), changing=_room("changes by the pages", threads=1)),
        asking=_room("the pages of studies"),
        switching=_room("start and stop by the pages", threads=1),
    )


def _own_routes(control: Control, explaining: Room) -> list[BaseRoute]:
    quick = _room("the control port")
    return [
        *health_routes(control, _room("/health/ready")),
        log_reference_route(quick),
        metrics_route(control, quick),
        *leading_cache_routes(control, quick),
        explain_alias(control, explaining),
        *running_routes(control, looking=_room("configuration"), reading=_room("configuration/pending")),
    ]


def _streams(what: str) -> Room:
    return Room(what, threads=HTTP_THREADS, waiting=WEB_WAITING_REQUESTS, streams=WEB_STREAMS)


def _room(what: str, threads: int = HTTP_THREADS) -> Room:
    return Room(what, threads=threads, waiting=HTTP_WAITING_REQUESTS)
