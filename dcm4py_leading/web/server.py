"""uvicorn on a thread of its own."""

from __future__ import annotations

import os
import socket
import threading

import uvicorn
from starlette.applications import Starlette

from dcm4py_leading.errors import Dcm4pyError


class HttpUnavailable(Dcm4pyError):
    """The HTTP listener cannot be bound."""


def bind_http(host: str, port: int) -> socket.socket:
    """A listening socket. Raises HttpUnavailable."""
    try:
        return socket.create_server((host, port))
    except (OSError, OverflowError) as err:
        reason = os.strerror(err.errno) if isinstance(err, OSError) and err.errno is not None else err
        raise HttpUnavailable(f"cannot listen on {host}:{port} for HTTP: {reason}: choose another with --http") from err


class HttpServer:
    """Serves ``app`` on ``host``:``port``; the port is bound when the object is made, unless it has been: ``sock``.

    Raises HttpUnavailable.
    """

    def __init__(self, app: Starlette, host: str, port: int, *, sock: socket.socket | None = None) -> None:
        self._socket = sock or bind_http(host, port)
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=5)
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
