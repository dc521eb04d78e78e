"""Routes of the viewer: ``/viewer/``, its files, and its configuration."""

from __future__ import annotations

import mimetypes
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Protocol

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from dcm4py_leading.errors import StatusError
from dcm4py_leading.service.studies.aes import StudiesAE
from dcm4py_leading.web.gate.access import needs
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.http.answers import VIEWER, error
from dcm4py_leading.web.http.rooms import Room
from dcm4py_leading.web.viewer.app_config import app_config
from dcm4py_leading.web.viewer.build import APP_CONFIG, ViewerBuild, is_hashed, moved

_POLICY = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}' 'wasm-unsafe-eval'; worker-src 'self' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; media-src 'self' blob:; "
    "connect-src 'self' data: blob:; object-src 'self' blob:; frame-src 'self' blob:; manifest-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
"""OHIF runs WebAssembly, workers out of blobs, and styles of its own making; it reaches no other host."""
_FOR_EVER = "private, max-age=31536000, immutable"
_ASKED_AGAIN = "private, no-cache"
_TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
    ".woff2": "font/woff2",
    ".css": "text/css",
    ".json": "application/json",
    ".map": "application/json",
}
"""The machine may have others in its tables, or none; browsers take nothing else for scripts and WebAssembly."""


class ViewedAEs(Protocol):
    """The service as the viewer's configuration needs it. Called from a worker thread."""

    def studies_aes(self) -> Sequence[StudiesAE]:
        """AEs of ours whose studies can be viewed. Raises StatusError."""
        ...


def viewer_routes(build: ViewerBuild, service: ViewedAEs, room: Room) -> list[Route]:
    """The routes."""

    def configuration(request: Request) -> Response:
        may_ask = request.state.identity.may_ask
        try:
            script = app_config([ae.ae_title for ae in service.studies_aes() if may_ask(ae.accepted_user_roles)])
        except StatusError as err:
            return error(HTTPStatus.SERVICE_UNAVAILABLE, str(err))
        return Response(script, media_type=_TYPES[".js"])

    def show(request: Request) -> Response:
        name: str = request.path_params["path"]
        found = build.file(name)
        if found is not None and found.name != "index.html":
            return _sent(build, found, request)
        # What is no file is a place of the application, whose addresses may hold an AE title with a full stop.
        if "." in name.rpartition("/")[2] and "text/html" not in request.headers.get("accept", ""):
            raise HTTPException(HTTPStatus.NOT_FOUND)
        nonce = request.state.nonce
        return HTMLResponse(build.page(nonce), headers={"Content-Security-Policy": _POLICY.format(nonce=nonce)})

    async def enter(request: Request) -> Response:
        # Links made for OHIF at the root of a host: /viewer is its basic mode there.
        mode = f"viewer?{request.url.query}" if "StudyInstanceUIDs" in request.query_params else ""
        return RedirectResponse(VIEWER + mode, HTTPStatus.SEE_OTHER)

    return [
        Route(VIEWER.rstrip("/"), needs(Role.VIEWER, enter), methods=["GET"]),
        Route(f"{VIEWER}{APP_CONFIG}", needs(Role.VIEWER, room.serves(configuration)), methods=["GET"]),
        Route(f"{VIEWER}{{path:path}}", needs(Role.VIEWER, room.serves(show)), methods=["GET"]),
    ]


def _sent(build: ViewerBuild, file: Path, request: Request) -> Response:
    """A file of the build, or 304 to a browser that has it."""
    media_type = _TYPES.get(file.suffix) or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    headers = {
        "Cache-Control": _FOR_EVER if is_hashed(file) else _ASKED_AGAIN,
        # Workers have the policy of their own script.
        "Content-Security-Policy": _POLICY.format(nonce=request.state.nonce),
    }
    response: Response = FileResponse(file, headers=headers, media_type=media_type, stat_result=file.stat())
    if request.headers.get("if-none-match") == (etag := response.headers["etag"]):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={**headers, "ETag": etag})
    if build.is_moved(file):
        return Response(moved(file.read_bytes()), headers={**headers, "ETag": etag}, media_type=media_type)
    return response
