"""Who may ask over HTTP from a browser: only pages of the service itself, under a name that is known to be its own.

There is no authentication, so a page on any site must not reach the service through an administrator's browser: not by
a request to another origin (the headers Origin and Sec-Fetch-Site tell), nor by a name of its own that is made to lead
here (DNS rebinding; the header Host tells).
"""

from __future__ import annotations

import ipaddress
import logging
import socket
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from dcm4py_leading.log import Repeated
from dcm4py_leading.web.http.answers import refusal

LOG = logging.getLogger(__name__)


class OwnOrigin:
    """ASGI middleware that answers 421 to a Host that is not ours, and 403 to a page of another site."""

    def __init__(self, app: ASGIApp, *, hosts: Collection[str] = ()) -> None:
        """``hosts`` are names by which the service is asked, besides localhost, this machine's name and addresses."""
        self._app = app
        own = socket.gethostname()
        self._hosts = {name.casefold().rstrip(".") for name in (*hosts, "localhost", own, own.partition(".")[0])}
        self._refused = Repeated(LOG)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the application answer."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            host, origin = headers.get("host"), headers.get("origin")
            if host is not None and not self._is_ours(host):
                self._refused.warning(
                    "HTTP: a request for host %.80r was refused: if the service has that name, say --http-host", host
                )
                await refusal(Request(scope), 421, "not a name of this service; see --http-host")(scope, receive, send)
                return
            if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") or (
                origin is not None and urlsplit(origin).netloc != host
            ):
                self._refused.warning("HTTP: a request of a web page of another site was refused: %.80r", origin or "")
                await refusal(Request(scope), 403, "no web page of another site may ask")(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name.rstrip(".") in self._hosts:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True  # who has no name cannot have it lead here
