"""WADO-RS (PS3.18 10.4): ``GET /dcm4chee-arc/aets/{aet}/rs/studies/{study}`` and what is below it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from functools import wraps
from http import HTTPStatus
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dcm4py_leading.errors import StatusError
from dcm4py_leading.service.dicomweb.frames import WantedValues
from dcm4py_leading.service.dicomweb.objects import DEFAULT, Named, ObjectsHead, WantedObjects
from dcm4py_leading.service.monitor.echo import AENotForUser, UnknownAE
from dcm4py_leading.web.dicomweb.accept import DICOM_JSON, accepts_any, accepts_gzip
from dcm4py_leading.web.dicomweb.asked import MalformedUid, uids_of_path, web_request
from dcm4py_leading.web.dicomweb.conditional import Validators
from dcm4py_leading.web.dicomweb.media_types import MULTIPART, MediaRange, accepted_ranges
from dcm4py_leading.web.dicomweb.search import PATH
from dcm4py_leading.web.dicomweb.warnings import outage_warnings, warning_header
from dcm4py_leading.web.gate.access import needs
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.http.addresses import PublicUrl
from dcm4py_leading.web.http.answers import error
from dcm4py_leading.web.http.rooms import Handler, Room
from dcm4py_leading.web.http.streamed import Chunks, Streamed

DICOM = "application/dicom"
JSON = "application/json"
ZIP = "application/zip"
STUDY, SERIES, INSTANCE = "/studies/{study}", "/series/{series}", "/instances/{instance}"
PATHS = (STUDY, STUDY + SERIES, STUDY + SERIES + INSTANCE)


class FoundObjects(Chunks, Protocol):
    """Objects, or what is told of them."""

    @property
    def head(self) -> ObjectsHead:
        """Head of the answer."""
        ...

    def end_with_head(self) -> None:
        """Close it where the head is all that is wanted."""
        ...


class Retrieving(Protocol):
    """The service as the routes may use it. Called from a worker thread."""

    def objects(self, wanted: WantedObjects) -> FoundObjects:
        """Objects as a multipart body.

        Raises UnknownAE, and StatusError where no answer can be given now.
        """
        ...

    def metadata(self, named: Named) -> FoundObjects:
        """Metadata of objects as a JSON array. Raises as `objects`."""
        ...

    def values(self, wanted: WantedValues) -> FoundObjects:
        """Frames or another value of an instance as a multipart body. Raises as `objects`."""
        ...


def object_routes(service: Retrieving, room: Room, public_url: PublicUrl | None, validators: Validators) -> list[Route]:
    """The routes; ``public_url`` as in `search.search_routes`."""

    def objects(request: Request) -> Response:
        if "dicomdir" in request.query_params:
            return error(HTTPStatus.BAD_REQUEST, "dicomdir is not offered")
        ranges = accepted_ranges(request)
        first = next((one for one in ranges if one.covers(DICOM) or one.name == ZIP), None)
        if first is None:
            return error(HTTPStatus.NOT_ACCEPTABLE, f'Accept: expected {MULTIPART}; type="{DICOM}", or {ZIP}')
        is_zip = first.name == ZIP
        boundary = secrets.token_hex(16)
        wanted = WantedObjects(
            named=named_by(request, public_url),
            transfer_syntaxes=accepted_syntaxes(ranges, ZIP if is_zip else DICOM),
            boundary=boundary,
            is_zip=is_zip,
        )
        media_type = ZIP if is_zip else f'{MULTIPART}; type="{DICOM}"; boundary={boundary}'
        return answer(request, service.objects(wanted), validators, media_type=media_type)

    def metadata(request: Request) -> Response:
        if not accepts_any(request, (DICOM_JSON, JSON)):
            return error(HTTPStatus.NOT_ACCEPTABLE, f"Accept: expected {DICOM_JSON} or {JSON}")
        found = service.metadata(named_by(request, public_url))
        return answer(request, found, validators, media_type=DICOM_JSON, is_compressed=accepts_gzip(request))

    return [
        Route(f"{PATH}{path}{suffix}", needs(Role.VIEWER, room.serves(refusing(handler))), methods=["GET"], name=name)
        for path in PATHS
        for suffix, handler, name in (("", objects, f"objects {path}"), ("/metadata", metadata, f"metadata {path}"))
    ]


def refusing(handler: Handler) -> Handler:
    """The handler, whose errors become answers."""

    @wraps(handler)
    def serve(request: Request) -> Response:
        try:
            return handler(request)
        except MalformedUid as err:
            return error(HTTPStatus.BAD_REQUEST, str(err))
        except AENotForUser as err:
            return error(HTTPStatus.FORBIDDEN, str(err))
        except UnknownAE as err:
            return error(HTTPStatus.NOT_FOUND, str(err))
        except StatusError as err:
            return error(HTTPStatus.SERVICE_UNAVAILABLE, str(err))

    return serve


def named_by(request: Request, public_url: PublicUrl | None) -> Named:
    """The entity that the path names. Raises MalformedUid."""
    return Named(request=web_request(request, public_url), uids=uids_of_path(request))


def accepted_syntaxes(ranges: Sequence[MediaRange], media_type: str = DICOM) -> tuple[str, ...]:
    """Transfer syntaxes in which the client takes objects; none where it takes no objects."""
    found = [one.parameters.get("transfer-syntax", DEFAULT) for one in ranges if one.covers(media_type)]
    return tuple(dict.fromkeys(found))


def answer(
    request: Request,
    found: FoundObjects,
    validators: Validators,
    *,
    media_type: str,
    is_compressed: bool = False,
    what: str = "objects",
) -> Response:
    """The answer; its head alone where that is wanted, or the client has the rest; or why there is none."""
    head = found.head
    if head.is_empty:
        found.close()
        if head.left_out:
            return error(HTTPStatus.NOT_ACCEPTABLE, f"no {what} can be had as the Accept header says: {head.why}")
        return error(HTTPStatus.NOT_FOUND, f"there are no such {what}")
    judged = validators.judge(request, head.validator)
    warnings = list(outage_warnings(stored=head.unanswered, last_known=head.last_known))
    if head.left_out:
        warnings.append(f"{head.left_out} {what} are left out, which cannot be had")
    headers = {"Vary": "Accept, Accept-Encoding", **judged.headers, **warning_header(request, warnings)}
    if judged.status is not None:
        found.end_with_head()
        return Response(status_code=judged.status, headers=headers)
    status = HTTPStatus.PARTIAL_CONTENT if head.left_out else HTTPStatus.OK
    if request.method == "HEAD":
        found.end_with_head()
        return Response(status_code=status, headers=headers, media_type=media_type)
    return Streamed(found, media_type=media_type, headers=headers, status_code=status, is_compressed=is_compressed)
