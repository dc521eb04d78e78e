"""uvicorn on a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
import time

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from dcm4py_leading.errors import Dcm4pyError
from dcm4py_leading.log import Repeated
from dcm4py_leading.model.bounds import HTTP_ANSWER_SECONDS
from dcm4py_leading.model.descriptors import shares

LOG = logging.getLogger(__name__)

_BACKLOG = 16
"""So many connections the event loop accepts at once, before it looks at how many there are."""


class HttpUnavailable(Dcm4pyError):
    """The HTTP listener cannot be bound."""


def bind_http(host: str, port: int) -> socket.socket:
    """A listening socket. Raises HttpUnavailable."""
    try:
        return socket.create_server((host, port))
    except (OSError, OverflowError) as err:
        reason = os.strerror(err.errno) if isinstance(err, OSError) and err.errno is not None else err
        raise HttpUnavailable(f"cannot listen on {host}:{port} for HTTP: {reason}: choose another with --http") from err


class _Connection(H11Protocol):
    """One of a bounded number: when there are more, the one that has been without a request for longest is ended."""

    _most = 0
    """Worked out when the first one comes."""
    _given_up = Repeated(LOG)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, and see whether there are too many."""
        super().connection_made(transport)
        self._since = time.monotonic()
        most = _Connection._most = _Connection._most or shares().http
        if len(self.connections) > most:
            # Not this one: it asks right now, and they had their time.
            others = [other for other in self.connections if other is not self and isinstance(other, _Connection)]
            idle = [other for other in others if other._may_be_ended()]
            victim = min(idle, key=lambda other: other._since, default=self)
            victim.transport.abort()
            self._given_up.warning("HTTP: a connection was ended, as there are more than %d", most)

    def handle_events(self) -> None:
        """A request, or a part of one."""
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            self._since = time.monotonic()

    def _may_be_ended(self) -> bool:
        is_idle = self.cycle is None or self.cycle.response_complete
        return is_idle or time.monotonic() - self._since > HTTP_ANSWER_SECONDS


class HttpServer:
    """Serves ``app`` on ``host``:``port``; the port is bound when the object is made, unless it has been: ``sock``.

    Raises HttpUnavailable.
    """

    def __init__(self, app: Starlette, host: str, port: int, *, sock: socket.socket | None = None) -> None:
        self._socket = sock or bind_http(host, port)
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            app,
            http=_Connection,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=5,
            backlog=_BACKLOG,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])

    def start(self) -> None:
        """Begin to serve; requests that came since the port was bound are answered too."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the running requests and close."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join()
        self._socket.close()
