"""QIDO-RS (PS3.18 10.6): ``GET /dcm4chee-arc/aets/{aet}/rs/studies`` and the like."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import NamedTuple, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dcm4py_leading.errors import IdentifierMismatch, NoRelationalQueries, StatusError, TooManyMatches
from dcm4py_leading.model.values import Level
from dcm4py_leading.service.dicomweb.search import Search, SearchHead
from dcm4py_leading.service.monitor.echo import AENotForUser, UnknownAE
from dcm4py_leading.web.dicomweb.accept import DICOM_JSON, accepts_any, accepts_gzip
from dcm4py_leading.web.dicomweb.asked import MalformedUid, uids_of_path, web_request
from dcm4py_leading.web.dicomweb.parameters import WrongParameter, read_parameters
from dcm4py_leading.web.dicomweb.warnings import outage_warnings, warning_header
from dcm4py_leading.web.gate.access import needs
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.http.addresses import PublicUrl
from dcm4py_leading.web.http.answers import error
from dcm4py_leading.web.http.rooms import Handler, Room
from dcm4py_leading.web.http.streamed import Chunks, Streamed

PATH = "/dcm4chee-arc/aets/{aet}/rs"
_JSON = "application/json"


class FoundRows(Chunks, Protocol):
    """The answer to a search."""

    @property
    def head(self) -> SearchHead:
        """Head of the answer."""
        ...

    def end_with_head(self) -> None:
        """Close it where the head is all that is wanted."""
        ...


class Searching(Protocol):
    """The service as the routes may use it. Called from a worker thread."""

    def search(self, wanted: Search) -> FoundRows:
        """Search for patients, studies, series or instances.

        Raises UnknownAE, IdentifierMismatch, TooManyMatches, NoRelationalQueries, and StatusError where there is no
        answer now.
        """
        ...


class _Resource(NamedTuple):
    path: str
    level: Level


_RESOURCES = (
    _Resource("/patients", Level.PATIENT),
    _Resource("/studies", Level.STUDY),
    _Resource("/series", Level.SERIES),
    _Resource("/instances", Level.IMAGE),
    _Resource("/studies/{study}/series", Level.SERIES),
    _Resource("/studies/{study}/instances", Level.IMAGE),
    _Resource("/studies/{study}/series/{series}/instances", Level.IMAGE),
)


def search_routes(service: Searching, room: Room, public_url: PublicUrl | None) -> list[Route]:
    """The routes; answers name the service by ``public_url``, else as the client does."""
    return [
        Route(
            f"{PATH}{resource.path}{suffix}",
            needs(Role.VIEWER, room.serves(_handler(service, resource, public_url, is_count=bool(suffix)))),
            methods=["GET"],
            name=f"search {resource.path}{suffix}",
        )
        for resource in _RESOURCES
        for suffix in ("", "/count")
    ]


def _handler(service: Searching, resource: _Resource, public_url: PublicUrl | None, *, is_count: bool) -> Handler:
    def search(request: Request) -> Response:
        if not accepts_any(request, (DICOM_JSON, _JSON)):
            return error(HTTPStatus.NOT_ACCEPTABLE, f"Accept: expected {DICOM_JSON} or {_JSON}")
        try:
            wanted, is_fuzzy = _wanted(request, resource, public_url)
            found = service.search(replace(wanted, is_count=is_count))
        except AENotForUser as err:
            return error(HTTPStatus.FORBIDDEN, str(err))
        except UnknownAE as err:
            return error(HTTPStatus.NOT_FOUND, str(err))
        except (WrongParameter, MalformedUid, IdentifierMismatch) as err:
            return error(HTTPStatus.BAD_REQUEST, str(err))
        except TooManyMatches as err:
            return error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"{err}: the search has to be narrower")
        except NoRelationalQueries as err:
            return error(HTTPStatus.NOT_IMPLEMENTED, str(err))
        except StatusError as err:
            return error(HTTPStatus.SERVICE_UNAVAILABLE, str(err))
        return _answer(request, found, is_fuzzy=is_fuzzy, is_count=is_count)

    return search


def _wanted(request: Request, resource: _Resource, public_url: PublicUrl | None) -> tuple[Search, bool]:
    """The search, and whether fuzzy matching is asked for. Raises WrongParameter, MalformedUid."""
    read = read_parameters(request.url.query, resource.level)
    wanted = Search(
        request=web_request(request, public_url),
        level=resource.level,
        named=uids_of_path(request),
        keys=tuple(read.keys),
        included=tuple(dict.fromkeys(read.included)),
        includes_all=read.includes_all,
        includes_defaults=read.includes_defaults,
        order=tuple(read.order),
        offset=read.offset,
        limit=read.limit,
    )
    return wanted, read.is_fuzzy


def _answer(request: Request, found: FoundRows, *, is_fuzzy: bool, is_count: bool) -> Response:
    head = found.head
    warnings = []
    if is_fuzzy:
        warnings.append("The fuzzymatching parameter is not supported. Only literal matching has been performed.")
    if not head.is_supported:
        warnings.append("An archive that was asked does not support all attributes of the search.")
    if head.left:
        warnings.append(f"There are {head.left} additional results that can be requested")
    warnings += outage_warnings(stored=head.unanswered, last_known=head.last_known)
    headers = warning_header(request, warnings)
    if is_count or head.is_empty:
        found.close()
        if is_count:
            return JSONResponse({"count": head.count}, headers=headers)
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=headers)
    headers["Vary"] = "Accept-Encoding"
    if request.method == "HEAD":
        found.end_with_head()
        return Response(headers=headers, media_type=DICOM_JSON)
    return Streamed(found, media_type=DICOM_JSON, headers=headers, is_compressed=accepts_gzip(request))
