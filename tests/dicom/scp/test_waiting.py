"""Threads that wait for connections: none is started for an ordinary one, one of them always waits, all end."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from dcm4py_leading.dicom.scp import waiting
from dcm4py_leading.dicom.scp.waiting import IDLE, Serve, WaitingThreads
from tests.fixtures.workers import until

LIMIT = 60


class Desk:
    """Listening sockets, of which each connection gets its own octets back until it is closed."""

    def __init__(self, running: ExitStack, *, lets_others_first: Callable[[], bool] = lambda: False) -> None:
        self.threads = WaitingThreads(lets_others_first=lets_others_first)
        self.served_by: list[tuple[threading.Thread, str]] = []
        self._running = running
        running.callback(self.threads.end)

    def open(self) -> socket.socket:
        sock = socket.create_server(("127.0.0.1", 0))
        self.threads.watch(sock, self._take)
        self._running.callback(self._close, sock)
        return sock

    def _close(self, sock: socket.socket) -> None:
        if sock.fileno() != -1:
            self.threads.leave(sock)

    def _take(self, sock: socket.socket, remote_address: str) -> Serve:
        def serve() -> None:
            with sock:
                thread = threading.current_thread()
                self.served_by.append((thread, thread.name))
                while octets := sock.recv(16):
                    sock.sendall(octets)

        sock.settimeout(LIMIT)
        return serve


@pytest.fixture
def running() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def connected(at: socket.socket) -> socket.socket:
    return socket.create_connection(at.getsockname(), timeout=LIMIT)


def asked(client: socket.socket) -> bytes:
    client.sendall(b"who?")
    return client.recv(16)


def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the threads that are started from now on."""
    names: list[str] = []
    start = threading.Thread.start

    def told(thread: threading.Thread) -> None:
        names.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", told)
    return names


def test_connections_one_after_the_other_start_no_thread(running: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(running)
    at = desk.open()
    names = started(monkeypatch)
    for _ in range(50):
        with connected(at) as client:
            assert asked(client) == b"who?"
        until(lambda: all(thread.name == IDLE for thread, _ in desk.served_by))
    assert names == []
    assert {name for _, name in desk.served_by} == {"association from 127.0.0.1"}


def test_connections_at_the_same_time_are_served_at_the_same_time(running: ExitStack) -> None:
    desk = Desk(running)
    at = desk.open()
    with ExitStack() as clients:
        for client in [clients.enter_context(connected(at)) for _ in range(40)]:
            assert asked(client) == b"who?"
        assert len({thread for thread, _ in desk.served_by}) == 40


def test_few_idle_threads_stay(running: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "IDLE_THREADS", 3)
    desk = Desk(running)
    at = desk.open()
    with ExitStack() as clients:
        for client in [clients.enter_context(connected(at)) for _ in range(20)]:
            assert asked(client) == b"who?"
    until(lambda: sum(thread.is_alive() for thread, _ in desk.served_by) <= 3)
    with connected(at) as client:
        assert asked(client) == b"who?"


def test_where_no_thread_can_be_started_a_connection_is_refused_and_the_next_one_served(
    running: ExitStack, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(running)
    at = desk.open()

    def fails(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fails)
    with connected(at) as first:
        assert asked(first) == b"who?"
        for _ in range(3):
            with connected(at) as surplus:
                assert surplus.recv(1) == b""
        assert asked(first) == b"who?"
    until(lambda: all(thread.name == IDLE for thread, _ in desk.served_by))
    with connected(at) as later:
        assert asked(later) == b"who?"
    told = [record.getMessage() for record in caplog.records]
    assert told == ["connection from 127.0.0.1 is closed: no thread can be started, raise the limit of tasks"]


def test_a_socket_that_is_left_takes_no_connection_and_others_do(running: ExitStack) -> None:
    desk = Desk(running)
    left, other = desk.open(), desk.open()
    address = left.getsockname()
    with connected(left) as standing:
        assert asked(standing) == b"who?"
        desk.threads.leave(left)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=LIMIT)
        with connected(other) as client:
            assert asked(client) == b"who?"
        assert asked(standing) == b"who?"


def test_at_the_end_no_thread_waits_and_those_that_serve_end_when_they_have(running: ExitStack) -> None:
    desk = Desk(running)
    at = desk.open()
    with connected(at) as client:
        assert asked(client) == b"who?"
        desk.threads.leave(at)
        ((serving, _),) = desk.served_by
        others = [thread for thread in desk.threads._threads if thread is not serving]
        desk.threads.end()
        assert not any(thread.is_alive() for thread in others)
        assert asked(client) == b"who?"
    serving.join(LIMIT)
    assert not serving.is_alive()


def test_connection_left_by_others_is_taken_here(running: ExitStack) -> None:
    questions: list[bool] = []

    def always() -> bool:
        questions.append(True)
        return True

    desk = Desk(running, lets_others_first=always)
    with connected(desk.open()) as client:
        assert asked(client) == b"who?"
    assert questions


def test_others_that_take_nothing_are_not_waited_for_each_time(
    running: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_VAIN_SECONDS", 2.0 * LIMIT)
    questions: list[bool] = []

    def always() -> bool:
        questions.append(True)
        return True

    desk = Desk(running, lets_others_first=always)
    at = desk.open()
    counts = []
    for _ in range(3):
        questions.clear()
        with connected(at) as client:
            assert asked(client) == b"who?"
        counts.append(len(questions))
    assert counts == [1 + len(waiting._COURTESY_SECONDS), 1, 1]
