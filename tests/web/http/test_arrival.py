"""What a request may hold and how long it may take, by a client that writes to the socket itself."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dcm4py_leading.model.bounds import HTTP_BODY_BYTES, HTTP_HEADER_BYTES, TRIED_FILE_BYTES
from dcm4py_leading.web.gate.access import needs
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.http import arrival, connection
from tests.fixtures.http import at_most, served


async def length(request: Request) -> Response:
    return JSONResponse(len(await request.body()))


async def nothing(_: Request) -> Response:
    return Response(status_code=204)


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    """One endpoint that reads its body, and one that does not."""
    with served(
        Route("/length", needs(Role.VIEWER, length), methods=["POST"]),
        Route("/ui/try", needs(Role.VIEWER, length), methods=["POST"]),
        Route("/nothing", needs(Role.VIEWER, nothing), methods=["GET", "POST"]),
    ) as client:
        yield client


@contextmanager
def connected(http: httpx.Client) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", http.base_url.port or 0), 60) as made:
        yield made


def answer(connected: socket.socket) -> bytes:
    """What comes until the other side ends the connection."""
    told = b""
    try:
        while part := connected.recv(4096):
            told += part
    except ConnectionResetError:
        pass
    return told


def test_headers_beyond_their_bound_are_refused(http: httpx.Client) -> None:
    assert http.get("/nothing", headers={"X-Long": "x" * (HTTP_HEADER_BYTES - 1000)}).status_code == 204
    refused = http.get("/nothing", headers={"X-Long": "x" * (HTTP_HEADER_BYTES + 1)})
    assert refused.status_code in (400, 431)
    assert http.get("/nothing?" + "x" * (HTTP_HEADER_BYTES + 1)).status_code in (400, 431)


def test_headers_that_do_not_end_are_refused(http: httpx.Client) -> None:
    with connected(http) as client:
        client.sendall(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * (HTTP_HEADER_BYTES + 1000))
        assert answer(client).startswith(b"HTTP/1.1 400 ")


def test_a_body_up_to_its_bound_is_read_and_a_longer_one_refused(http: httpx.Client) -> None:
    assert http.post("/length", content=b"x" * HTTP_BODY_BYTES, timeout=60).json() == HTTP_BODY_BYTES
    with connected(http) as client:
        client.sendall(
            b"POST /length HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (HTTP_BODY_BYTES + 1)
        )
        told = answer(client)
    assert told.startswith(b"HTTP/1.1 413 ")
    assert b'"errorMessage"' in told


def test_a_body_in_chunks_beyond_its_bound_is_refused(http: httpx.Client) -> None:
    with connected(http) as client:
        client.sendall(b"POST /length HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.sendall(b"%x\r\n%s\r\n1\r\nx\r\n" % (HTTP_BODY_BYTES, b"x" * HTTP_BODY_BYTES))
        assert answer(client).startswith(b"HTTP/1.1 413 ")


def test_a_file_to_try_rules_on_may_be_longer(http: httpx.Client) -> None:
    assert http.post("/ui/try", content=b"x" * (HTTP_BODY_BYTES + 1), timeout=60).json() == HTTP_BODY_BYTES + 1
    with connected(http) as client:
        client.sendall(
            b"POST /ui/try HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (TRIED_FILE_BYTES + 1)
        )
        assert answer(client).startswith(b"HTTP/1.1 413 ")


def test_headers_that_come_too_slowly_are_given_up(
    http: httpx.Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connection, "HTTP_REQUEST_SECONDS", 0.2)
    with connected(http) as client:
        client.sendall(b"GET /nothing HTTP/1.1\r\nHost: loc")
        assert answer(client).startswith(b"HTTP/1.1 408 ")
    assert "a request was not whole after 0.2 s" in caplog.text


def test_a_connection_without_a_request_is_given_up(
    http: httpx.Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Browsers open some in advance: nothing is told of it."""
    monkeypatch.setattr(connection, "HTTP_REQUEST_SECONDS", 0.2)
    with connected(http) as client:
        assert answer(client) == b""
    assert caplog.text == ""


def test_a_body_that_comes_too_slowly_is_given_up(http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrival, "HTTP_REQUEST_SECONDS", 0.2)
    with connected(http) as client:
        client.sendall(b"POST /length HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nabc")
        assert answer(client).startswith(b"HTTP/1.1 408 ")


def test_a_body_that_nobody_reads_does_not_hold_the_connection(
    http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HTTP_REQUEST_SECONDS", 0.2)
    with connected(http) as client:
        client.sendall(b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500000\r\n\r\n")
        told = b""
        while b"\r\n\r\n" not in told:
            told += client.recv(4096)
        client.sendall(b"x")
        assert answer(client) == b""
    assert told.startswith(b"HTTP/1.1 204 ")


def test_bodies_that_do_not_end_keep_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    at_most(monkeypatch, 4)
    route = Route("/length", needs(Role.VIEWER, length), methods=["POST"])
    live = Route("/health/live", nothing)
    with served(route, live) as http, ExitStack() as open_connections:
        for _ in range(4):
            client = open_connections.enter_context(connected(http))
            client.sendall(
                b"POST /length HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"
            )
            assert client.recv(4096).startswith(b"HTTP/1.1 100 ")  # now the body is waited for
        assert http.get("/health/live", timeout=60).status_code == 204


def test_body_with_two_lengths_is_refused(http: httpx.Client) -> None:
    """A proxy that believes the length would take what comes behind for an answer to somebody else."""
    with connected(http) as client:
        client.sendall(
            b"POST /length HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"0\r\n\r\nGET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"
        )
        told = answer(client)
    assert told.startswith(b"HTTP/1.1 400 ")
    assert told.count(b"HTTP/1.1 ") == 1


def test_invalid_chunk_behind_an_answer_ends_the_connection(
    http: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with connected(http) as client:
        client.sendall(b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        told = b""
        while b"\r\n\r\n" not in told:
            told += client.recv(4096)
        client.sendall(b"no chunk\r\n")
        assert answer(client) == b""
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_client_that_disconnects_early_is_not_a_failure(http: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    with connected(http) as client:
        client.sendall(b"POST /length HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nabc")
    assert http.get("/nothing").status_code == 204
    assert [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []


def test_invalid_requests_are_logged_once_in_a_while(http: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(20):
        with connected(http) as client:
            client.sendall(b"\x16\x03\x01 no HTTP\r\n\r\n")
            assert answer(client).startswith(b"HTTP/1.1 400 ")
    (record,) = caplog.records
    assert record.levelname == "WARNING"
