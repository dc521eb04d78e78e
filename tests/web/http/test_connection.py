"""Settings of the sockets that HTTP is served on."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import httpx

from dcm4py_leading.web.app import guarded_app
from dcm4py_leading.web.http.addresses import HttpAddress
from dcm4py_leading.web.http.server import HttpServer


def test_small_answers_are_not_held_back() -> None:
    with ExitStack() as running:
        web = HttpServer(guarded_app([]), [HttpAddress("127.0.0.1", 0).bind()])
        web.start()
        running.callback(web.stop)
        client = running.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{web.port}", trust_env=False))
        assert client.get("/").status_code == 404
        (connection,) = web._server.server_state.connections
        sock = connection.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
