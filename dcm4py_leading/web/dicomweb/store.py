"""STOW-RS (PS3.18 10.5): ``POST /dcm4chee-arc/aets/{aet}/rs/studies[/{study}]``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus
from typing import Any, Protocol

from anyio.from_thread import run
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dcm4py_leading.errors import StorageUnavailable
from dcm4py_leading.service.dicomweb.stored import StoredInstance, StoreOutcome, WantedStore
from dcm4py_leading.web.dicomweb.accept import DICOM_JSON, accepts_any
from dcm4py_leading.web.dicomweb.asked import uids_of_path, web_request
from dcm4py_leading.web.dicomweb.media_types import MULTIPART, MediaRange, content_type
from dcm4py_leading.web.dicomweb.objects import DICOM, JSON, STUDY, refusing
from dcm4py_leading.web.dicomweb.search import PATH
from dcm4py_leading.web.gate.access import needs
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.http.addresses import PublicUrl
from dcm4py_leading.web.http.answers import error
from dcm4py_leading.web.http.rooms import Room

_CLOSE = {"Connection": "close"}
"""Where the body is not read."""
_TYPES = (DICOM, DICOM_JSON)
_LATER = {"Retry-After": "60"}


class Storing(Protocol):
    """The service as the routes may use it. Called from a worker thread."""

    def store(self, wanted: WantedStore, body: Iterable[bytes]) -> StoreOutcome:
        """Store the objects of a body.

        Raises UnknownAE, what ``body`` raises, and StatusError where nothing can be stored now.
        """
        ...


def store_routes(service: Storing, room: Room, public_url: PublicUrl | None) -> list[Route]:
    """The routes; ``public_url`` as in `search.search_routes`."""

    def store(request: Request) -> Response:
        if "cookie" in request.headers and "authorization" not in request.headers:  # scripts of viewers have the cookie
            message = "a session of the pages does not store: send Authorization"
            return error(HTTPStatus.FORBIDDEN, message, headers=_CLOSE)
        if not accepts_any(request, (DICOM_JSON, JSON)):
            return error(HTTPStatus.NOT_ACCEPTABLE, f"Accept: expected {DICOM_JSON} or {JSON}", headers=_CLOSE)
        media = content_type(request)
        held = _type_of(media)
        if media is None or held not in _TYPES or "content-encoding" in request.headers:
            expected = f"Content-Type: expected {MULTIPART} of {DICOM} or {DICOM_JSON}, or one of these, not compressed"
            return error(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, expected, headers=_CLOSE)
        boundary = media.parameters.get("boundary", "")
        if media.is_multipart and not boundary:
            return error(HTTPStatus.BAD_REQUEST, "Content-Type: there is no boundary", headers=_CLOSE)
        uids = uids_of_path(request)
        wanted = WantedStore(
            request=web_request(request, public_url),
            study_instance_uid=uids[0] if uids else None,
            media_type=held,
            boundary=boundary if media.is_multipart else "",
        )
        return _answer(service.store(wanted, _body(request)), wanted)

    endpoint = needs(Role.ADMINISTRATOR, room.serves(refusing(store)))
    return [
        Route(f"{PATH}/studies", endpoint, methods=["POST"], name="store"),
        Route(f"{PATH}{STUDY}", endpoint, methods=["POST"], name="store in a study"),
    ]


def _type_of(media: MediaRange | None) -> str:
    """Media type of the body, or that of its parts; some clients leave that out."""
    if media is None:
        return ""
    return DICOM if media.is_multipart and media.name == "*/*" else media.name


def _body(request: Request) -> Iterator[bytes]:
    """The body while it arrives, for a thread of a room. Raises ClientDisconnect, HTTPException."""
    stream = request.stream()

    async def following() -> bytes | None:
        return await anext(stream, None)

    while (chunk := run(following)) is not None:
        if chunk:
            yield chunk


def _answer(outcome: StoreOutcome, wanted: WantedStore) -> Response:
    stored = [one for one in outcome.instances if one.is_stored]
    failed = [one for one in outcome.instances if not one.is_stored]
    if outcome.fault:
        status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE if outcome.is_too_much else HTTPStatus.BAD_REQUEST
        before = f"{outcome.fault}; of what stands before, {len(stored)} objects are stored, {len(failed)} are not"
        return error(status, before, headers=_CLOSE)
    if not outcome.instances:
        return error(HTTPStatus.BAD_REQUEST, "the body has no objects")
    status = HTTPStatus.OK
    if failed:
        has_no_room = all(one.status == StorageUnavailable.status for one in failed)
        nothing = HTTPStatus.SERVICE_UNAVAILABLE if has_no_room else HTTPStatus.CONFLICT
        status = HTTPStatus.ACCEPTED if stored else nothing
    return Response(
        json.dumps(_told(stored, failed, wanted.request.base_url)),
        status,
        headers=_LATER if status == HTTPStatus.SERVICE_UNAVAILABLE else None,
        media_type=DICOM_JSON,
    )


def _told(stored: Sequence[StoredInstance], failed: Sequence[StoredInstance], base: str) -> dict[str, Any]:
    """The Store Instances Response (PS3.18 table I.2-1)."""
    named = [one for one in failed if one.sop_instance_uid]
    nameless = [one for one in failed if not one.sop_instance_uid]
    told: dict[str, Any] = {}
    studies = {one.study_instance_uid for one in stored}
    if len(studies) == 1:
        told["00081190"] = _element("UR", f"{base}/studies/{studies.pop()}")
    if named:
        told["00081198"] = _sequence({**_reference(one), "00081197": _element("US", one.status)} for one in named)
    if stored:
        told["00081199"] = _sequence(_stored_item(one, base) for one in stored)
    if nameless:
        told["0008119A"] = _sequence({"00081197": _element("US", one.status)} for one in nameless)
    return told


def _stored_item(one: StoredInstance, base: str) -> dict[str, Any]:
    path = f"{base}/studies/{one.study_instance_uid}/series/{one.series_instance_uid}/instances/{one.sop_instance_uid}"
    item = {**_reference(one), "00081190": _element("UR", path)}
    if one.status:
        item["00081196"] = _element("US", one.status)
    return item


def _reference(one: StoredInstance) -> dict[str, Any]:
    return {"00081150": _element("UI", one.sop_class_uid), "00081155": _element("UI", one.sop_instance_uid)}


def _sequence(items: Iterable[dict[str, Any]]) -> dict[str, Any]:
    return {"vr": "SQ", "Value": list(items)}


def _element(vr: str, value: str | int) -> dict[str, Any]:
    return {"vr": vr, "Value": [value]}
