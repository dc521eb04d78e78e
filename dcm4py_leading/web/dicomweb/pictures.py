"""Rendered objects and thumbnails (PS3.18 10.4.1.1.3): pictures that a browser shows as they are."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dcm4py_leading.model.bounds import WEB_FRAMES
from dcm4py_leading.service.dicomweb.rendered import DOCUMENT_TYPES, PICTURES, WantedPictures
from dcm4py_leading.service.picture.job import JPEG, Rendering, Viewport
from dcm4py_leading.web.dicomweb.conditional import Validators
from dcm4py_leading.web.dicomweb.media_types import MULTIPART, MediaRange, accepted_ranges
from dcm4py_leading.web.dicomweb.objects import INSTANCE, PATHS, SERIES, STUDY, FoundObjects, answer, named_by, refusing
from dcm4py_leading.web.dicomweb.picture_parameters import WrongPicture, quality_of, viewport_of, window_of
from dcm4py_leading.web.dicomweb.search import PATH
from dcm4py_leading.web.gate.access import needs
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.http.addresses import PublicUrl
from dcm4py_leading.web.http.answers import error
from dcm4py_leading.web.http.rooms import Handler, Room

_PARAMETERS = frozenset({"accept", "viewport", "window", "quality"})
_THUMBNAIL = Viewport(width=64, height=64, enlarges=False)
"""Default of dcm4chee's dcmWadoThumbnailViewport."""
_FRAMES = f"{STUDY}{SERIES}{INSTANCE}/frames/{{list}}"


class Picturing(Protocol):
    """The service as the routes may use it. Called from a worker thread."""

    def rendered(self, wanted: WantedPictures) -> FoundObjects:
        """Objects as pictures, or as documents.

        Raises UnknownAE, and StatusError where no answer can be given now.
        """
        ...


def picture_routes(service: Picturing, room: Room, public_url: PublicUrl | None, validators: Validators) -> list[Route]:
    """The routes; ``public_url`` as in `search.search_routes`."""

    def rendered(request: Request) -> Response:
        return _answer(request, is_thumbnail=False)

    def thumbnail(request: Request) -> Response:
        return _answer(request, is_thumbnail=True)

    def _answer(request: Request, *, is_thumbnail: bool) -> Response:
        try:
            rendering, frames = _rendering(request, is_thumbnail=is_thumbnail), _frames(request)
        except WrongPicture as err:
            return error(HTTPStatus.BAD_REQUEST, str(err))
        accepted = tuple(dict.fromkeys(one for accept in accepted_ranges(request) for one in _accepted(accept)))
        if not accepted:
            return error(HTTPStatus.NOT_ACCEPTABLE, f"Accept: expected {', '.join((*PICTURES, *DOCUMENT_TYPES))}")
        wanted = WantedPictures(
            named=named_by(request, public_url),
            accepted=accepted,
            rendering=rendering,
            boundary=secrets.token_hex(16),
            frames=frames,
            is_thumbnail=is_thumbnail,
        )
        return answered(request, service.rendered(wanted), validators, wanted.boundary)

    def route(path: str, handler: Handler, name: str) -> Route:
        endpoint = needs(Role.VIEWER, room.serves(refusing(handler)))
        return Route(f"{PATH}{path}/{name}", endpoint, methods=["GET"], name=f"{name} {path}")

    return [
        route(path, handler, name)
        for path in (*PATHS, _FRAMES)
        for handler, name in ((rendered, "rendered"), (thumbnail, "thumbnail"))
    ]


def answered(request: Request, found: FoundObjects, validators: Validators, boundary: str) -> Response:
    """The answer, or why there is none."""
    media_type = found.head.media_type
    if found.head.is_multipart:
        media_type = f'{MULTIPART}; type="{media_type}"; boundary={boundary}'
    return answer(request, found, validators, media_type=media_type, what="pictures")


def _rendering(request: Request, *, is_thumbnail: bool) -> Rendering:
    query = request.query_params
    for name in query:
        if name not in _PARAMETERS:
            raise WrongPicture(f"{name} is not offered: expected {', '.join(sorted(_PARAMETERS))}")
    viewport = viewport_of(query["viewport"], enlarges=not is_thumbnail) if query.get("viewport") else None
    return Rendering(
        viewport=viewport or (_THUMBNAIL if is_thumbnail else None),
        window=window_of(query["window"]) if query.get("window") else None,
        quality=quality_of("quality", query["quality"]) if query.get("quality") else Rendering().quality,
    )


def _frames(request: Request) -> tuple[int, ...]:
    text = request.path_params.get("list")
    if text is None:
        return ()
    numbers = text.split(",")
    if len(numbers) > WEB_FRAMES or not all(len(one) < 10 and one.isdecimal() and int(one) for one in numbers):
        raise WrongPicture(f"expected numbers of at most {WEB_FRAMES} frames, from 1 on")
    return tuple(map(int, numbers))


def _accepted(one: MediaRange) -> Iterator[tuple[str, bool]]:
    """Media types of an answer that the client takes, each with True for a part of a multipart body."""
    offered: Sequence[str] = (*PICTURES, *DOCUMENT_TYPES)
    is_any = one.name == "*/*"
    for media_type in offered:
        if one.covers(media_type):
            yield media_type, one.is_multipart
    if is_any and not one.is_multipart:
        yield JPEG, True
