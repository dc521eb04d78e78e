"""Client and URL of a request that a trusted proxy passes on (RFC 7239, and X-Forwarded-*)."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from dcm4py_leading.log import Repeated
from dcm4py_leading.web.http.addresses import Network, PublicUrl, is_among
from dcm4py_leading.web.http.answers import refusal

LOG = logging.getLogger(__name__)

_PARAMETER = re.compile(r"""\s*([!#$%&'*+.^_`|~\w-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*))\s*(?:;|$)""")
"""One parameter of an element: token=token or token="quoted" (RFC 7239 4)."""
_NODE = re.compile(r"[\w.:-]+", re.ASCII)
_ELEMENT = re.compile(r"""(?:[^",]|"(?:[^"\\]|\\.)*+"?)++""")
"""With a quoted text that does not end, which `_PARAMETER` refuses, so that each character is looked at once."""
_X = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host")


@dataclass(frozen=True, slots=True)
class _Hop:
    """One proxy's word on whoever asked it; empty where it says nothing."""

    client: str
    scheme: str = ""
    host: str = ""


class Forwarded:
    """ASGI middleware that sets client, scheme and Host as the outermost trusted proxy tells them.

    From anybody else the headers mean nothing. Where both kinds come, the client may have sent one of them, which the
    proxy passed on: that is refused with 400. A request for the host of the public URL has its scheme.
    """

    def __init__(self, app: ASGIApp, *, proxies: Sequence[Network] = (), public_url: PublicUrl | None = None) -> None:
        self._app = app
        self._proxies = proxies
        self._public_url = public_url
        self._refused = Repeated(LOG)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or let the application answer."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            if scope["client"] is not None and is_among(scope["client"][0], self._proxies):
                try:
                    self._believe(scope, headers)
                except ValueError as err:
                    self._refused.warning("HTTP: a request that proxy %s passed on: %s", scope["client"][0], err)
                    await refusal(Request(scope), HTTPStatus.BAD_REQUEST, str(err))(scope, receive, send)
                    return
            url = self._public_url
            if url is not None and Headers(scope=scope).get("host", "").casefold() == url.authority:
                scope["scheme"] = url.scheme
        await self._app(scope, receive, send)

    def _believe(self, scope: Scope, headers: Headers) -> None:
        is_standard = "forwarded" in headers
        if is_standard and any(name in headers for name in _X):
            raise ValueError("it has Forwarded and X-Forwarded-*: the proxy must remove what it does not set")
        hops = list(_standard(headers.getlist("forwarded")) if is_standard else _usual(headers))
        if not hops:
            return
        hop = hops[-1]
        for earlier in reversed(hops[:-1]):
            if not is_among(hop.client, self._proxies):
                break
            hop = earlier
        if hop.client:
            scope["client"] = (hop.client, 0)
        if hop.scheme:
            if hop.scheme not in ("http", "https"):
                raise ValueError("the scheme is neither http nor https")
            scope["scheme"] = hop.scheme
        if hop.host:
            others = [(name, value) for name, value in scope["headers"] if name != b"host"]
            scope["headers"] = [(b"host", hop.host.encode("latin-1")), *others]


def _standard(values: Sequence[str]) -> Iterator[_Hop]:
    """The elements of Forwarded, the outermost proxy's first. Raises ValueError."""
    for element in _ELEMENT.findall(",".join(values)):
        told: Mapping[str, str] = dict(_parameters(element))
        yield _Hop(_address(told.get("for", "")), told.get("proto", "").casefold(), told.get("host", ""))


def _parameters(element: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(element.rstrip()):
        match = _PARAMETER.match(element, at)
        if match is None:
            raise ValueError("Forwarded cannot be read")
        name, quoted, plain = match.groups()
        yield name.casefold(), plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        at = match.end()


def _usual(headers: Headers) -> Iterator[_Hop]:
    """Hops that X-Forwarded-* tell. Scheme and host go with the hop of the same place; one alone goes with all."""
    clients, schemes, hosts = (_list(headers, name) for name in _X)
    for place, client in enumerate(clients or [""] * max(len(schemes), len(hosts))):
        yield _Hop(_address(client), _at(schemes, place).casefold(), _at(hosts, place))


def _at(values: Sequence[str], place: int) -> str:
    if len(values) <= 1:
        return values[0] if values else ""
    return values[place] if place < len(values) else values[-1]


def _list(headers: Headers, name: str) -> list[str]:
    return [text for value in headers.getlist(name) for one in value.split(",") if (text := one.strip())]


def _address(node: str) -> str:
    """The address of a node, without its port; of one that is hidden (``unknown``, ``_name``) that name."""
    if node.count(":") > 1 and not node.startswith("["):
        node = f"[{node}]"
    try:
        host = urlsplit(f"//{node}").hostname or ""
    except ValueError:
        host = ""
    if node and not _NODE.fullmatch(host):
        raise ValueError("the address of the client cannot be read")
    return host
