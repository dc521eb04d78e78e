"""Style sheets and scripts, of others and our own. ``manifest.json`` tells where those of others are from."""

from __future__ import annotations

import hashlib
import mimetypes
from functools import cache
from importlib import resources

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PATH = "/ui/assets/"
_FOR_EVER = "public, max-age=31536000, immutable"
_SERVED = (".css", ".js")


@cache
def address(name: str) -> str:
    """Address of an asset; each version has its own, so browsers may cache it for ever."""
    digest = hashlib.sha256(_content(name)).hexdigest()
    return f"{PATH}{name}?v={digest[:12]}"


def asset_route() -> Route:
    """The public route of the assets, which are small and kept in memory."""

    async def asset(request: Request) -> Response:
        name = request.path_params["name"]
        if not name.endswith(_SERVED) or not resources.files(__name__).joinpath(name).is_file():
            return Response(status_code=404)
        is_named = request.query_params.get("v") == address(name).rpartition("=")[2]
        headers = {"Cache-Control": _FOR_EVER} if is_named else {}
        return Response(_content(name), media_type=mimetypes.guess_type(name)[0], headers=headers)

    return Route(PATH + "{name}", asset, methods=["GET"])


@cache
def _content(name: str) -> bytes:
    return resources.files(__name__).joinpath(name).read_bytes()
