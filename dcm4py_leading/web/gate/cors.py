"""Pages of other sites that may read DICOMweb: viewers at an origin that the administrator names (CORS).

They read only, and with credentials that they send themselves: no cookie of ours counts for them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import Message, Scope, Send

_DICOMWEB = re.compile(r"/dcm4chee-arc/aets/[^/]+/(rs/.*|wado)")
_METHODS = frozenset({"GET", "HEAD"})
_PREFLIGHT: Mapping[str, str] = {
    "Access-Control-Allow-Methods": "GET, HEAD",
    "Access-Control-Allow-Headers": "Accept, Authorization, Content-Type, If-Modified-Since, If-None-Match, Range",
    "Access-Control-Max-Age": "600",
}
_EXPOSED = "Content-Encoding, Content-Location, ETag, Warning"


def is_admitted(scope: Scope, headers: Headers, origins: Collection[str]) -> bool:
    """True for a request to DICOMweb, or its preflight, from a page of one of these origins."""
    method = headers.get("access-control-request-method") if scope["method"] == "OPTIONS" else scope["method"]
    return headers.get("origin") in origins and method in _METHODS and bool(_DICOMWEB.fullmatch(scope["path"]))


def preflight(origin: str) -> Response:
    """Answer to the question of a browser whether the page may ask."""
    return Response(status_code=204, headers={**_PREFLIGHT, "Access-Control-Allow-Origin": origin, "Vary": "Origin"})


def readable(send: Send, origin: str) -> Send:
    """``send`` of an answer that the page may read."""

    async def send_readable(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Expose-Headers"] = _EXPOSED
            headers.add_vary_header("Origin")
        await send(message)

    return send_readable
