"""Origins from which a browser may ask: only pages of the service itself, under a name that is known to be its own.

A browser sends what an administrator has, a session or a place on this machine, whoever makes it ask. So a page on any
site must not reach the service through it: not by a request to another origin (the headers Origin and Sec-Fetch-Site
tell), nor by a name of its own that is made to lead here (DNS rebinding; the header Host tells). A link to a page of
ours may stand anywhere: following it changes nothing, and shows nothing to the site that it stands on.
"""

from __future__ import annotations

import ipaddress
import logging
import re
import socket
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from dcm4py_leading.log import Repeated
from dcm4py_leading.web.gate import cors
from dcm4py_leading.web.http.addresses import PublicUrl
from dcm4py_leading.web.http.answers import is_page, refusal

LOG = logging.getLogger(__name__)

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""RFC 9110 9.2.1."""
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[\w.-]+)(?::[0-9]{0,5})?", re.ASCII | re.IGNORECASE)
"""A name or an address, and perhaps a port (RFC 9110 7.2): nothing that others may take for a path or a user."""


class OwnOrigin:
    """ASGI middleware that answers 421 to a Host that is not ours, and 403 to a page of another site."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Collection[str] = (),
        public_url: PublicUrl | None = None,
        cors_origins: Collection[str] = (),
    ) -> None:
        """``hosts`` are names by which the service is asked, besides localhost, this machine's name and addresses.

        Pages at ``cors_origins`` may read DICOMweb.
        """
        self._app = app
        self._cors_origins = frozenset(cors_origins)
        self._public_url = public_url
        own = socket.gethostname()
        names = {*hosts, "localhost", own, own.partition(".")[0]}
        if public_url is not None:
            names.add(public_url.host)
        self._hosts = {name.casefold().rstrip(".") for name in names}
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
            if origin is not None and cors.is_admitted(scope, headers, self._cors_origins):
                app: ASGIApp = cors.preflight(origin) if scope["method"] == "OPTIONS" else self._app
                await app(scope, receive, cors.readable(send, origin))
                return
            if not (self._is_own_page(scope["scheme"], headers, host) or _is_link(scope, headers)):
                self._refused.warning("HTTP: a request of a web page of another site was refused: %.80r", origin or "")
                await refusal(Request(scope), 403, "no web page of another site may ask")(scope, receive, send)
                return
            if scope["method"] not in _SAFE and "cookie" in headers and not _is_told_from_where(headers):
                message = "a request with a cookie must say from which page it is: Origin or Sec-Fetch-Site"
                await refusal(Request(scope), 403, message)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _is_own_page(self, scheme: str, headers: Headers, host: str | None) -> bool:
        """True for a page of ours, and for programs, which say nothing of pages."""
        origin, place = headers.get("origin"), headers.get("sec-fetch-site", "none")
        if place not in ("none", "same-origin"):
            return False
        if origin == "null":  # what a browser says of a form under the policy no-referrer; of other sites' too
            return place == "same-origin"
        if origin is None:
            return True
        # A page over HTTP may be of whoever is on the way to us; one over HTTPS may ask by a proxy that ends TLS.
        if host is not None and origin.casefold() in {f"{scheme}://{host}".casefold(), f"https://{host}".casefold()}:
            return True
        return self._public_url is not None and origin == str(self._public_url)

    def _is_ours(self, host: str) -> bool:
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = found[1].strip("[]").casefold()
        if name.rstrip(".") in self._hosts:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True  # who has no name cannot have it lead here


def _is_told_from_where(headers: Headers) -> bool:
    return "origin" in headers or "sec-fetch-site" in headers


def _is_link(scope: Scope, headers: Headers) -> bool:
    """True if somebody follows a link from another site to a page of ours, in a window of its own (Fetch Metadata)."""
    return (
        scope["method"] == "GET"
        and is_page(scope["path"])
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
        and "origin" not in headers
    )
