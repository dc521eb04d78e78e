"""Answers that are sent while they are made: whole, cut off, not taken; and the room that they keep."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator

import httpx
import pytest
from starlette.requests import Request
from starlette.routing import Route

from dcm4py_leading.calls.chunked_body import ChunkedBody
from dcm4py_leading.errors import ArchiveUnavailable, ClientGone, StatusError
from dcm4py_leading.web.gate.access import needs
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.http.rooms import Room
from dcm4py_leading.web.http.streamed import Streamed
from tests.fixtures.http import served


class Rows:
    """Chunks that a test makes, and the end that they came to."""

    def __init__(self, *chunks: bytes | Exception, is_endless: bool = False) -> None:
        self._chunks: Iterator[bytes | Exception] = iter(chunks)
        self._is_endless = is_endless
        self.given_up, self.closed = threading.Event(), threading.Event()

    def __next__(self) -> bytes:
        if self._is_endless:
            return bytes(65536)
        chunk = next(self._chunks)
        if isinstance(chunk, Exception):
            raise chunk
        return chunk

    def give_up(self) -> None:
        self.given_up.set()

    def close(self) -> None:
        self.closed.set()


class RowsElsewhere(Rows):
    """The same, made by a thread that writes to the client."""

    def __init__(self, *chunks: bytes, failure: StatusError | None = None) -> None:
        super().__init__(*chunks)
        self._written, self._failure = chunks, failure
        self._ours, self._theirs = socket.socketpair()
        self.is_handed_over = False

    def __next__(self) -> bytes:
        if not self.is_handed_over:
            return super().__next__()
        if self._failure is not None:
            raise self._failure
        raise StopIteration

    def fileno(self) -> int:
        return self._ours.fileno()

    def hand_over(self, client: socket.socket) -> None:
        self.is_handed_over = True
        body = ChunkedBody(client.dup(), self._theirs)

        def write() -> None:
            with body, self._theirs:
                for chunk in self._written:
                    body.write([chunk])

        threading.Thread(target=write).start()

    def close(self) -> None:
        self._ours.close()
        if not self.is_handed_over:
            self._theirs.close()
        super().close()


@pytest.fixture
def rows() -> list[Rows]:
    return []


@pytest.fixture
def http(rows: list[Rows]) -> Iterator[httpx.Client]:
    room = Room("rows", threads=1, waiting=0)

    def answer(_: Request) -> Streamed:
        return Streamed(rows.pop(0), media_type="text/x-rows")

    with served(Route("/rows", needs(Role.VIEWER, room.serves(answer)))) as client:
        yield client


def test_all_of_it_arrives_in_the_type_that_was_said(rows: list[Rows], http: httpx.Client) -> None:
    made = Rows(b"", b"one", b"", b"two")
    rows.append(made)
    answer = http.get("/rows")
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, "text/x-rows", b"onetwo")
    assert made.closed.wait(60)


def test_failure_in_the_middle_is_no_end(
    rows: list[Rows], http: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    made = Rows(b"one", ArchiveUnavailable("PACS: connection lost"))
    rows.append(made)
    with caplog.at_level(logging.WARNING), pytest.raises(httpx.RemoteProtocolError):
        http.get("/rows")
    assert made.closed.wait(60)
    assert "PACS: connection lost" in caplog.text


def test_client_that_is_gone_ends_the_work_and_leaves_the_room(rows: list[Rows], http: httpx.Client) -> None:
    made = Rows(is_endless=True)
    rows += [made, Rows(b"next")]
    with socket.create_connection((http.base_url.host, http.base_url.port or 0)) as sock:
        sock.sendall(b"GET /rows HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert sock.recv(1000)
        refused = http.get("/rows")
        assert refused.status_code == 503
    assert made.given_up.wait(60)
    assert made.closed.wait(60)
    for _ in range(600):
        if (answer := http.get("/rows")).status_code == 200:
            break
    assert answer.content == b"next"


def test_chunks_go_to_the_client_by_themselves(rows: list[Rows], http: httpx.Client) -> None:
    large = bytes(range(256)) * 40_000
    made = [RowsElsewhere(b"one", b"", large), RowsElsewhere(b"two")]
    rows += made
    assert http.get("/rows").content == b"one" + large
    assert http.get("/rows").content == b"two"
    assert [one.is_handed_over and one.closed.wait(60) for one in made] == [True, True]


def test_client_of_http_1_0_gets_no_chunks(rows: list[Rows], http: httpx.Client) -> None:
    made = RowsElsewhere(b"one", b"two")
    rows.append(made)
    with socket.create_connection((http.base_url.host, http.base_url.port or 0)) as sock:
        sock.sendall(b"GET /rows HTTP/1.0\r\nHost: localhost\r\n\r\n")
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
    assert answer.endswith(b"\r\n\r\nonetwo")
    assert not made.is_handed_over


@pytest.mark.parametrize(
    ("failure", "is_told"),
    ((ArchiveUnavailable("PACS: connection lost"), True), (ClientGone("the client has left"), False)),
)
def test_failure_of_handed_over_chunks_is_no_end(
    failure: StatusError, is_told: bool, rows: list[Rows], http: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    made = RowsElsewhere(b"one", failure=failure)
    rows.append(made)
    with caplog.at_level(logging.WARNING), pytest.raises(httpx.RemoteProtocolError):
        http.get("/rows")
    assert made.closed.wait(60)
    assert (str(failure) in caplog.text) == is_told


def test_failure_is_no_end_for_a_client_of_http_1_0(rows: list[Rows], http: httpx.Client) -> None:
    rows.append(Rows(b"one", ArchiveUnavailable("PACS: connection lost")))
    with (
        socket.create_connection((http.base_url.host, http.base_url.port or 0)) as sock,
        pytest.raises(ConnectionResetError),
    ):
        sock.sendall(b"GET /rows HTTP/1.0\r\nHost: localhost\r\n\r\n")
        while sock.recv(65536):
            pass
