"""Frames and bulk data of an instance (PS3.18 10.4.1.1.5, 10.4.1.1.6)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dcm4py_leading.model.bounds import WEB_FRAMES
from dcm4py_leading.service.dicomweb.frames import IMAGE_TYPES, OCTETS, WantedValues
from dcm4py_leading.service.dicomweb.metadata import PIXELS
from dcm4py_leading.service.dicomweb.objects import AS_STORED, DEFAULT
from dcm4py_leading.web.dicomweb.conditional import Validators
from dcm4py_leading.web.dicomweb.media_types import MULTIPART, MediaRange, accepted_ranges
from dcm4py_leading.web.dicomweb.objects import INSTANCE, SERIES, STUDY, Retrieving, answer, named_by, refusing
from dcm4py_leading.web.dicomweb.search import PATH
from dcm4py_leading.web.gate.access import needs
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.http.addresses import PublicUrl
from dcm4py_leading.web.http.answers import error
from dcm4py_leading.web.http.rooms import Handler, Room

_FRAME = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_VALUE = re.compile(r"[0-9A-Fa-f]{8}(/[1-9][0-9]{0,8}/[0-9A-Fa-f]{8}){0,16}", re.ASCII)


def value_routes(service: Retrieving, room: Room, public_url: PublicUrl | None, validators: Validators) -> list[Route]:
    """The routes; ``public_url`` as in `search.search_routes`."""

    def frames(request: Request) -> Response:
        texts = request.path_params["list"].split(",")
        if len(texts) > WEB_FRAMES or not all(map(_FRAME.fullmatch, texts)):
            return error(HTTPStatus.BAD_REQUEST, f"expected numbers of at most {WEB_FRAMES} frames, from 1 on")
        return _answer(request, numbers=tuple(map(int, texts)), path=())

    def bulk_data(request: Request) -> Response:
        text = request.path_params["path"]
        if not _VALUE.fullmatch(text):
            return error(HTTPStatus.BAD_REQUEST, "expected a tag of 8 hexadecimal digits, or a path of these")
        parts = text.split("/")
        path = tuple(int(part, 10 if number % 2 else 16) for number, part in enumerate(parts))
        return _answer(request, numbers=(), path=path)

    def _answer(request: Request, *, numbers: tuple[int, ...], path: tuple[int, ...]) -> Response:
        accepted = accepted_frames(accepted_ranges(request))
        if not accepted:
            return error(HTTPStatus.NOT_ACCEPTABLE, f'Accept: expected {MULTIPART}; type="{OCTETS}"')
        if path and path[0] not in PIXELS:
            accepted = ((AS_STORED, OCTETS),)
        boundary = secrets.token_hex(16)
        named = named_by(request, public_url)
        found = service.values(
            WantedValues(named=named, accepted=accepted, boundary=boundary, frames=numbers, path=path)
        )
        media_type = f'{MULTIPART}; type="{found.head.media_type}"; boundary={boundary}'
        return answer(request, found, validators, media_type=media_type, what="frames" if numbers else "values")

    def route(path: str, handler: Handler) -> Route:
        endpoint = needs(Role.VIEWER, room.serves(refusing(handler)))
        return Route(f"{PATH}{STUDY}{SERIES}{INSTANCE}{path}", endpoint, methods=["GET"], name=path)

    return [route("/frames/{list}", frames), route("/bulkdata/{path:path}", bulk_data)]


def accepted_frames(ranges: Sequence[MediaRange]) -> tuple[tuple[str, str], ...]:
    """Transfer syntaxes in which the client takes frames, each with the media type, empty for that of the syntax."""
    return tuple(dict.fromkeys(found for one in ranges for found in _accepted(one)))


def _accepted(one: MediaRange) -> Iterator[tuple[str, str]]:
    syntax = one.parameters.get("transfer-syntax")
    if one.name == "*/*":
        yield syntax or AS_STORED, ""
        return
    if one.covers(OCTETS):
        yield syntax or DEFAULT, OCTETS
    for known, media_type in IMAGE_TYPES.items():
        if one.covers(media_type) and syntax in (None, AS_STORED, known):
            yield known, media_type
