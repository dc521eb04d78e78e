"""One HTTP connection, and what it may take: how many there are, and how long a request may be on its way."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import ssl
import struct
import time
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp, Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

from dcm4py_leading.log import Repeated
from dcm4py_leading.model.bounds import HTTP_ANSWER_SECONDS, HTTP_HEADER_BYTES, HTTP_REQUEST_SECONDS
from dcm4py_leading.model.descriptors import shares
from dcm4py_leading.web.http.certificate import Certificate

LOG = logging.getLogger(__name__)

_BACKLOG = 16
"""So many connections the event loop accepts at once, before it looks at how many there are."""

_GOODBYE_SECONDS = 2.0
"""So long the other side gets to end TLS in form, when all is said."""


_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: closing sends RST, and nothing that still waits."""

_HERE = "dcm4py_leading.connection"
"""Extension of the ASGI scope: the connection of a request."""


class Settings(uvicorn.Config):
    """Settings with which uvicorn serves ``app`` here. TLS is ours: uvicorn's begins before a connection is counted."""

    def __init__(self, app: ASGIApp, *, certificate: Certificate | None = None) -> None:
        super().__init__(
            app,
            http=Connection,
            ws="none",
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            proxy_headers=False,  # it would believe everybody on this machine; `forwarded.Forwarded` does not
            timeout_graceful_shutdown=5,
            backlog=_BACKLOG,
            h11_max_incomplete_event_size=HTTP_HEADER_BYTES,
        )
        self.certificate = certificate
        self.most_connections = shares().http
        self.given_up = Repeated(LOG)
        self.too_slow = Repeated(LOG)
        self.quiet = _Quiet(Repeated(LOG))


class _Quiet(logging.LoggerAdapter[logging.Logger]):
    """uvicorn's log, of which warnings, about what clients send, are told once in a while."""

    def __init__(self, repeated: Repeated) -> None:
        super().__init__(logging.getLogger("uvicorn.error"), {})
        self.level = self.logger.level
        self._repeated = repeated

    def warning(self, msg: object, *args: object, **_: object) -> None:
        """Count, or tell; uvicorn's words hold nothing of the request."""
        self._repeated.warning(f"HTTP: {msg}", *args)


class Connection(H11Protocol):
    """One of a bounded number: when there are more, the one that has been without a request for longest is ended.

    If all have requests, it is the oldest of those that are not whole.
    """

    config: Settings
    _arriving: asyncio.TimerHandle | None = None
    """Ends a connection whose request does not arrive."""
    _shaking_hands: asyncio.Task[None] | None = None
    _early: list[bytes] | None = None
    """Bytes that came by TLS before its transport is ours: an answer to them would leave as plain text."""
    _is_lost = False

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.logger = self.config.quiet  # type: ignore[assignment]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, and see whether there are too many."""
        super().connection_made(transport)
        # asyncio does so too, but not for sockets that another process, or `socket.create_server`, has bound: without
        # it, the body of an answer waits for the client's delayed acknowledgement of its head.
        with contextlib.suppress(OSError):
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._since = time.monotonic()
        self._await_request()
        self._give_way()
        certificate = self.config.certificate
        if certificate is not None and not transport.is_closing():
            transport.pause_reading()
            self._early = []
            self._shaking_hands = self.loop.create_task(self._shake_hands(transport, certificate.context))

    def connection_lost(self, exc: Exception | None) -> None:
        """End; nothing is waited for any more."""
        self._is_lost = True
        self._stop_awaiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """A part of a request, of which the first may be that of the next one."""
        if self._early is not None:
            self._early.append(data)
            return
        if self.cycle is not None and self.cycle.response_complete:
            self._await_request()
        super().data_received(data)

    def handle_events(self) -> None:
        """A request, or a part of one."""
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            self._since = time.monotonic()
            self._stop_awaiting()
            self.scope["extensions"] = {_HERE: {"connection": self}}

    def socket_for_chunks(self) -> socket.socket | None:
        """The socket once more, for chunks of an answer whose head is sent; None where they cannot go there.

        It never blocks. Not over TLS, nor while something waits to be sent.
        """
        if self.config.certificate is not None or self.transport.is_closing() or self.transport.get_write_buffer_size():
            return None
        return socket.socket(fileno=os.dup(self.transport.get_extra_info("socket").fileno()))

    def send_400_response(self, msg: str) -> None:
        """End a connection on which something else than HTTP comes; without a word where an answer has begun."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()

    async def _shake_hands(self, transport: asyncio.Transport, tls: ssl.SSLContext) -> None:
        """Go on over TLS; whoever does not speak it is left."""
        try:
            secured = await self.loop.start_tls(
                transport,
                self,
                tls,
                server_side=True,
                ssl_handshake_timeout=HTTP_REQUEST_SECONDS,
                ssl_shutdown_timeout=_GOODBYE_SECONDS,
            )
        except OSError as err:  # ssl.SSLError and time-outs are of this kind
            LOG.debug("HTTP: no TLS with %s: %s", self.client, err)
            secured = None
        early, self._early = self._early or [], None
        if secured is None or self._is_lost:
            self._stop_awaiting()
            self.connections.discard(self)
            transport.abort()
            return
        super().connection_made(secured)
        for data in early:
            self.data_received(data)

    def _give_way(self) -> None:
        most = self.config.most_connections
        if len(self.connections) <= most:
            return
        # Not this one: it asks right now, and they had their time.
        others = [other for other in self.connections if other is not self and isinstance(other, Connection)]
        idle = [other for other in others if other._may_be_ended()]
        victim = min(idle, key=lambda other: (other._is_asking(), other._since), default=self)
        victim.transport.abort()
        self.config.given_up.warning("HTTP: a connection was ended, as there are more than %d", most)

    def _may_be_ended(self) -> bool:
        is_late = time.monotonic() - self._since > HTTP_ANSWER_SECONDS
        # Bodies that never end would keep all others out.
        return is_late or not self._is_asking() or self.conn.their_state is h11.SEND_BODY

    def _is_asking(self) -> bool:
        """True from the headers of a request to the end of its answer."""
        return self.cycle is not None and not self.cycle.response_complete

    def _await_request(self) -> None:
        if self._arriving is None:
            self._arriving = self.loop.call_later(HTTP_REQUEST_SECONDS, self._give_up)

    def _stop_awaiting(self) -> None:
        if self._arriving is not None:
            self._arriving.cancel()
            self._arriving = None

    def _give_up(self) -> None:
        """End a connection whose request is late: with 408 if a part of it is there, else without a word."""
        self._arriving = None
        if self.transport.is_closing():
            return
        if self.conn.our_state is h11.IDLE and self.conn.trailing_data[0]:
            self.config.too_slow.warning("HTTP: a request was not whole after %g s", HTTP_REQUEST_SECONDS)
            self._write(h11.Response(status_code=408, headers=[("Connection", "close"), ("Content-Length", "0")]))
            self._write(h11.EndOfMessage())
        self.transport.close()

    def _write(self, event: Any) -> None:
        with contextlib.suppress(h11.LocalProtocolError):
            self.transport.write(self.conn.send(event) or b"")


def cut_off(scope: Scope) -> None:
    """End the connection of an answer that is not whole.

    Where the end of the connection would be that of the answer, as for HTTP/1.0, it is reset.
    """
    here = scope.get("extensions", {}).get(_HERE)
    if here is not None and scope["http_version"] != "1.1":
        transport = here["connection"].transport
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        transport.abort()


def socket_for_chunks(scope: Scope) -> socket.socket | None:
    """The client's socket for chunks of its answer, to be closed (see `Connection.socket_for_chunks`)."""
    here = scope.get("extensions", {}).get(_HERE)
    if here is None or scope["http_version"] != "1.1" or scope["method"] == "HEAD":
        return None
    connection: Connection = here["connection"]
    return connection.socket_for_chunks()
