"""Limits of a request: how much it may hold, and how long it may take to arrive."""

from __future__ import annotations

import asyncio
import re
from http import HTTPStatus
from typing import NamedTuple

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dcm4py_leading.model.bounds import (
    HTTP_BODY_BYTES,
    HTTP_HEADER_BYTES,
    HTTP_REQUEST_SECONDS,
    MESSAGE_BYTES_A_SECOND,
    MESSAGE_SECONDS,
    STORED_PAUSE_SECONDS,
    STORED_REQUEST_BYTES,
    TRIED_FILE_BYTES,
    TRIED_FILE_SECONDS,
)
from dcm4py_leading.web.http.answers import refusal

_CLOSE = {"Connection": "close"}


class _Bounds(NamedTuple):
    """Bounds of a body."""

    length: int
    seconds: float
    is_paced: bool = False
    """True if the seconds are those between two pieces, and the average counts besides."""


_TRIED_FILES = "/ui/try"
"""Path of the page that takes files."""
_STORED = re.compile(r"/dcm4chee-arc/aets/[^/]+/rs/studies(/[^/]+)?")
"""Paths of STOW-RS."""


class Arrival:
    """ASGI middleware that refuses headers (431) and bodies (413) beyond their bounds, and bodies that are late (408).

    A body whose end two headers tell is refused (400): a proxy before us may believe the other one (RFC 9112 6.1).
    No body is read ahead: whoever is not let in makes us hold nothing.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or let the application answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _head_length(scope) > HTTP_HEADER_BYTES:
            message = f"request line and headers are longer than {HTTP_HEADER_BYTES} bytes"
            refused = refusal(Request(scope), HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, message, headers=_CLOSE)
            await refused(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if "content-length" in headers and "transfer-encoding" in headers:
            ambiguous = "Content-Length and Transfer-Encoding contradict each other"
            await refusal(Request(scope), HTTPStatus.BAD_REQUEST, ambiguous, headers=_CLOSE)(scope, receive, send)
            return
        bounds = _bounds_of(scope["method"], scope["path"])
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > bounds.length:
            too_long = _too_long(bounds)
            refused = refusal(Request(scope), too_long.status_code, too_long.detail, headers=too_long.headers)
            await refused(scope, receive, send)
            return
        await self._app(scope, _bounded(receive, bounds), send)


def _bounds_of(method: str, path: str) -> _Bounds:
    if method == "POST" and _STORED.fullmatch(path):
        return _Bounds(STORED_REQUEST_BYTES, STORED_PAUSE_SECONDS, is_paced=True)
    if path == _TRIED_FILES:
        return _Bounds(TRIED_FILE_BYTES, TRIED_FILE_SECONDS)
    return _Bounds(HTTP_BODY_BYTES, HTTP_REQUEST_SECONDS)


def _head_length(scope: Scope) -> int:
    """Bytes of the request line and the headers, less a few for separators."""
    headers = sum(len(name) + len(value) for name, value in scope["headers"])
    return headers + len(scope["raw_path"]) + len(scope["query_string"])


def _bounded(receive: Receive, bounds: _Bounds) -> Receive:
    """``receive`` that raises HTTPException 413 or 408 for a body that is too long or too late."""
    now = asyncio.get_running_loop().time
    deadline = now() + bounds.seconds
    waited = 0.0
    length = 0
    is_whole = False

    async def bounded() -> Message:
        nonlocal length, is_whole, waited
        if is_whole:
            return await receive()
        began = now()
        try:
            async with asyncio.timeout_at(began + bounds.seconds if bounds.is_paced else deadline):
                message = await receive()
        except TimeoutError as err:
            late = f"the request did not {'go on' if bounds.is_paced else 'arrive'} within {bounds.seconds:g} s"
            raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, late, headers=_CLOSE) from err
        length += len(message.get("body", b""))
        is_whole = not message.get("more_body", False)
        waited += now() - began
        if bounds.is_paced and waited > MESSAGE_SECONDS and length < waited * MESSAGE_BYTES_A_SECOND:
            slow = f"the request came with less than {MESSAGE_BYTES_A_SECOND} bytes a second"
            raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, slow, headers=_CLOSE)
        if length > bounds.length:
            raise _too_long(bounds)
        return message

    return bounded


def _too_long(bounds: _Bounds) -> HTTPException:
    message = f"the body is longer than {bounds.length} bytes"
    return HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message, headers=_CLOSE)
