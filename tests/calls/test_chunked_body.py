"""Chunks that go straight to a client of HTTP."""

from __future__ import annotations

import mmap
import socket
import threading
from pathlib import Path

import pytest

from dcm4py_leading.calls import chunked_body
from dcm4py_leading.calls.chunked_body import ChunkedBody, pieces
from dcm4py_leading.dicom.upper.pace import Pace
from dcm4py_leading.errors import ClientGone, StatusError, StorageUnavailable


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        yield ours, theirs


@pytest.fixture
def reader():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours


def test_buffers_leave_as_one_chunk(pair, reader) -> None:
    ours, theirs = pair
    with ChunkedBody(ours, reader) as body:
        body.write([b"one", memoryview(b"two")])
        body.write([])
        body.write([b"x" * 26])
    assert b"".join(iter(lambda: theirs.recv(999), b"")) == b"6\r\nonetwo\r\n" + b"1a\r\n" + b"x" * 26 + b"\r\n"


def test_all_arrives_though_the_client_takes_little_at_once(pair, reader) -> None:
    ours, theirs = pair
    buffers = [bytes([number]) * 1000 for number in range(200)] * 20
    got = bytearray()

    def take() -> None:
        while part := theirs.recv(70_001):
            got.extend(part)

    taking = threading.Thread(target=take)
    taking.start()
    with ChunkedBody(ours, reader) as body:
        body.write(buffers)
    taking.join()
    whole = b"".join(buffers)
    assert got == b"%x\r\n" % len(whole) + whole + b"\r\n"


def test_client_that_has_left_ends_it(pair, reader) -> None:
    ours, theirs = pair
    theirs.close()
    with ChunkedBody(ours, reader) as body, pytest.raises(ClientGone):
        body.write([b"one"])


def test_client_that_takes_nothing_ends_it(pair, reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunked_body, "HTTP_STALLED_SECONDS", 0.01)
    with ChunkedBody(pair[0], reader) as body, pytest.raises(StatusError, match=r"has taken nothing for 0\.01 s"):
        body.write([bytes(1 << 24)])


def test_file_that_has_become_shorter_ends_it(pair, reader, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(3 * mmap.PAGESIZE))
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as window:
        file.truncate(0)
        with (
            ChunkedBody(pair[0], reader) as body,
            memoryview(window) as map_of_it,
            pytest.raises(StorageUnavailable, match="cannot be read"),
        ):
            body.write([map_of_it])


def test_pieces_are_cut_and_gathered() -> None:
    found = [(b"".join(buffers), size) for buffers, size in pieces([b"abcdef", b"", b"gh", b"ij"], 4)]
    assert found == [(b"abcd", 4), (b"efgh", 4), (b"ij", 2)]


def test_client_that_takes_a_few_octets_now_and_then_ends_it(pair, reader, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pair
    monkeypatch.setattr(chunked_body, "OF_PEERS", Pace(0.0, 1 << 40))

    def take() -> None:
        while theirs.recv(1 << 16):
            pass

    taking = threading.Thread(target=take)
    taking.start()
    with ChunkedBody(ours, reader) as body, pytest.raises(StatusError, match="takes less than"):
        body.write([bytes(1 << 24)])
    taking.join()


def test_client_that_is_given_up_ends_it_though_the_connection_stands(pair) -> None:
    reader, web_server = socket.socketpair()
    with reader, web_server, ChunkedBody(pair[0], reader) as body:
        web_server.shutdown(socket.SHUT_RDWR)
        with pytest.raises(ClientGone, match="given up"):
            body.write([bytes(1 << 24)])
