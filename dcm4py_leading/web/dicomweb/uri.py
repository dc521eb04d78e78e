"""WADO-URI (PS3.18 9): ``GET /dcm4chee-arc/aets/{aet}/wado``, one object for viewers from before WADO-RS."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from http import HTTPStatus
from typing import Protocol

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dcm4py_leading.model.bounds import VIEWPORT_PIXELS
from dcm4py_leading.service.dicomweb.objects import AS_STORED, DEFAULT, Named, WantedObjects
from dcm4py_leading.service.dicomweb.rendered import DOCUMENT_TYPES, PICTURES, WantedPictures
from dcm4py_leading.service.picture.job import JPEG, Rendering, Viewport
from dcm4py_leading.web.dicomweb.asked import required_uid, web_request
from dcm4py_leading.web.dicomweb.conditional import Validators
from dcm4py_leading.web.dicomweb.objects import DICOM, Retrieving, answer, refusing
from dcm4py_leading.web.dicomweb.picture_parameters import (
    WrongPicture,
    made_window,
    number_of,
    part_of,
    quality_of,
)
from dcm4py_leading.web.dicomweb.pictures import Picturing
from dcm4py_leading.web.gate.access import needs
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.http.addresses import PublicUrl
from dcm4py_leading.web.http.answers import error
from dcm4py_leading.web.http.rooms import Room

_PATH = "/dcm4chee-arc/aets/{aet}/wado"
_OF_PICTURES = frozenset(("frameNumber", "rows", "columns", "region", "windowCenter", "windowWidth", "imageQuality"))
_PARAMETERS = _OF_PICTURES | {
    *("requestType", "studyUID", "seriesUID", "objectUID", "contentType", "charset", "transferSyntax")
}
_UNICODE = frozenset(("utf-8", "iso_ir 192", "*"))
_RENDERED = (*PICTURES, *DOCUMENT_TYPES)
_BY_DEFAULT = (JPEG, *DOCUMENT_TYPES, DICOM)
"""A single frame is a picture, a document is what it is, all else is DICOM (PS3.18 9.1.2.2)."""
_MOST_FRAMES = 999_999_999


class UriService(Retrieving, Picturing, Protocol):
    """The service as the route may use it."""


def uri_route(service: UriService, room: Room, public_url: PublicUrl | None, validators: Validators) -> Route:
    """The route; ``public_url`` as in `search.search_routes`."""

    def wado(request: Request) -> Response:
        query = request.query_params
        try:
            types = _types(query)
            pictures = tuple((one, False) for one in types if one in _RENDERED)
            wanted = WantedPictures(
                named=_named(request, public_url),
                accepted=pictures,
                rendering=_rendering(query),
                boundary=secrets.token_hex(16),
                frames=_frames(query, types),
                is_middle=True,
            )
            syntax = _syntax(query, types)
        except WrongPicture as err:
            return error(HTTPStatus.BAD_REQUEST, str(err))
        if not types:
            return error(HTTPStatus.NOT_ACCEPTABLE, f"contentType: expected {', '.join((DICOM, *_RENDERED))}")
        if types[0] != DICOM:
            found = service.rendered(wanted)
            if DICOM not in types or not found.head.left_out or not found.head.is_empty:
                return answer(request, found, validators, media_type=found.head.media_type, what="objects")
            found.close()
        objects = WantedObjects(named=wanted.named, transfer_syntaxes=(syntax,), boundary="", is_middle=True)
        return answer(request, service.objects(objects), validators, media_type=DICOM)

    return Route(_PATH, needs(Role.VIEWER, room.serves(refusing(wado))), methods=["GET"], name="wado")


def _named(request: Request, public_url: PublicUrl | None) -> Named:
    """The object that is meant. Raises WrongPicture, MalformedUid."""
    query = request.query_params
    if query.get("requestType") != "WADO":
        raise WrongPicture("requestType: expected WADO")
    for name in query:
        if name not in _PARAMETERS:
            raise WrongPicture(f"{name} is not offered: expected {', '.join(sorted(_PARAMETERS))}")
    if query.get("charset", "*").casefold() not in _UNICODE:
        raise WrongPicture("charset: expected UTF-8")
    if query.get("objectUID") and not query.get("seriesUID"):
        raise WrongPicture("seriesUID: expected that of the object")
    uids = [query[name] for name in ("studyUID", "seriesUID", "objectUID") if query.get(name)]
    if not query.get("studyUID"):
        raise WrongPicture("studyUID: expected the UID of a study")
    for name, uid in zip(("study", "series", "object"), uids, strict=False):
        required_uid(name, uid)
    return Named(request=web_request(request, public_url), uids=tuple(uids))


def _types(query: QueryParams) -> tuple[str, ...]:
    """Media types that the client takes and that are offered, in its order."""
    said = [one.partition(";")[0].strip().casefold() for one in query.get("contentType", "").split(",")]
    return tuple(dict.fromkeys(found for one in said for found in _covered(one)))


def _covered(media_type: str) -> Iterator[str]:
    if media_type in ("", "*/*"):
        yield from _BY_DEFAULT
    for offered in (DICOM, *_RENDERED):
        if media_type in (offered, f"{offered.partition('/')[0]}/*"):
            yield offered


def _syntax(query: QueryParams, types: tuple[str, ...]) -> str:
    asked = query.get("transferSyntax", "")
    if not asked:
        return DEFAULT
    if types[:1] != (DICOM,):
        raise WrongPicture(f"transferSyntax: expected contentType={DICOM} with it")
    if asked != AS_STORED:
        required_uid("transfer syntax", asked)
    return asked


def _rendering(query: QueryParams) -> Rendering:
    rows, columns = (
        number_of(name, query[name], VIEWPORT_PIXELS) if query.get(name) else None for name in ("rows", "columns")
    )
    center, width = query.get("windowCenter"), query.get("windowWidth")
    if bool(center) != bool(width):
        raise WrongPicture("windowCenter and windowWidth: expected both")
    return Rendering(
        viewport=Viewport(width=columns or VIEWPORT_PIXELS, height=rows or VIEWPORT_PIXELS)
        if rows or columns
        else None,
        part=part_of("region", query["region"]) if query.get("region") else None,
        window=made_window("windowCenter and windowWidth", center, width) if center and width else None,
        quality=quality_of("imageQuality", query["imageQuality"]) if query.get("imageQuality") else Rendering().quality,
    )


def _frames(query: QueryParams, types: tuple[str, ...]) -> tuple[int, ...]:
    """The frame that is asked for; the first one where a picture is, none for an object."""
    if types[:1] == (DICOM,):
        for name in _OF_PICTURES & query.keys():
            raise WrongPicture(f"{name}: expected a contentType that is no {DICOM} with it")
        return ()
    if query.get("frameNumber"):
        return (number_of("frameNumber", query["frameNumber"], _MOST_FRAMES),)
    return (1,) if DICOM not in types else ()
