"""uvicorn on a thread of its own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence

import uvicorn
from starlette.types import ASGIApp

from dcm4py_leading.web.http.certificate import Certificate
from dcm4py_leading.web.http.connection import Settings


class HttpServer:
    """Serves ``app`` on sockets that listen; over TLS where there is a certificate."""

    def __init__(
        self, app: ASGIApp, sockets: Sequence[socket.socket], *, certificate: Certificate | None = None
    ) -> None:
        self._sockets = list(sockets)
        self.ports: tuple[int, ...] = tuple(one.getsockname()[1] for one in sockets)
        self._server = uvicorn.Server(Settings(app, certificate=certificate))
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)

    @property
    def port(self) -> int:
        """The first port."""
        return self.ports[0]

    def _run(self) -> None:
        self._server.run(sockets=self._sockets)

    def start(self) -> None:
        """Begin to serve; requests that came since the ports were bound are answered too."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the running requests and close."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join()
        for one in self._sockets:
            one.close()
