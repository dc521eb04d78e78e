"""Guard of new associations: what an ordinary one costs is the same on every machine, and few things happen on its way.

Each association here is one C-ECHO of a peer that has asked in the same words before.
"""

from __future__ import annotations

import builtins
import logging
import select
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from types import FrameType
from typing import Any

import pytest

from tests.dicom.upper.test_association import ended, in_thread
from tests.fixtures.calls import logging_as_served
from tests.fixtures.raw_echo import ACCEPTED, DATA, ECHO, RELEASE, RELEASED, REQUEST, RawAssociation
from tests.fixtures.service import Seed

COUNTED = 20
MOST_CALLS = 910
"""A tenth more than there are; above it, look at what was added for each association."""


def echo(association: RawAssociation) -> None:
    """All of an association, to its end."""
    with closing(association.socket):
        assert association.receive()[0] == ACCEPTED
        association.socket.sendall(ECHO)
        assert association.receive()[0] == DATA
        association.socket.sendall(RELEASE)
        assert association.receive()[0] == RELEASED


class Served:
    """Associations that are served by the thread of the test."""

    def __init__(self, seed: Seed, running: ExitStack) -> None:
        seed.start()
        self._listeners = seed.service._process._listeners
        (self._address,) = self._listeners.bound
        self._listening = running.enter_context(socket.create_server(("127.0.0.1", 0)))

    def one(self, during: Callable[[Callable[[], None]], None]) -> None:
        """Let ``during`` take in a connection, and serve it."""
        thread = in_thread(lambda: echo(RawAssociation(self._listening.getsockname()[1])))
        accepted, (host, _) = self._listening.accept()
        during(lambda: self._listeners._take(self._address, accepted, host)())
        assert ended(thread)


@pytest.fixture
def served(seed: Seed, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A service that has had a few of them."""
    with ExitStack() as running:
        running.enter_context(logging_as_served(monkeypatch))
        served = Served(seed, running)
        for _ in range(3):
            served.one(lambda serve: serve())
        yield served


def test_an_association_takes_few_calls(served: Served) -> None:
    made: list[int] = []

    def count(frame: FrameType, event: str, argument: object) -> None:
        made[-1] += event in ("call", "c_call")

    def counted(serve: Callable[[], None]) -> None:
        made.append(0)
        sys.setprofile(count)
        try:
            serve()
        finally:
            sys.setprofile(None)

    for _ in range(COUNTED):
        served.one(counted)
    # The others have waited oftener for a busy peer, or had garbage to collect.
    assert 100 < min(made) < MOST_CALLS, f"{made} calls"


def test_nothing_is_imported_looked_up_or_started(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, happened = threading.current_thread(), []

    def told(what: str, do: Callable[..., Any]) -> Callable[..., Any]:
        def instead(*args: Any, **settings: Any) -> Any:
            if threading.current_thread() is mine:
                happened.append((what, args[:1]))
            return do(*args, **settings)

        return instead

    def watched(serve: Callable[[], None]) -> None:
        with monkeypatch.context() as patch:
            for name in ("getaddrinfo", "gethostbyaddr", "gethostbyname", "getnameinfo", "getfqdn"):
                patch.setattr(socket, name, told(name, getattr(socket, name)))
            patch.setattr(threading.Thread, "start", told("start of a thread", threading.Thread.start))
            patch.setattr(builtins, "__import__", told("import", builtins.__import__))
            serve()

    before = set(sys.modules)
    served.one(watched)
    assert happened == []
    assert set(sys.modules) == before


def test_a_line_of_the_log_is_written_when_the_peer_has_its_answer(
    seed: Seed, caplog: pytest.LogCaptureFixture
) -> None:
    seed.start()
    caplog.set_level(logging.INFO, logger="dcm4py_leading")
    written: list[tuple[str, bool]] = []

    class Looking(logging.Handler):
        """Looks if the answer has come when a line is written."""

        def emit(self, record: logging.LogRecord) -> None:
            if record.name == "dcm4py_leading.dicom.scp.acceptor":
                answered = bool(select.select([peer], [], [], 5)[0])
                written.append((record.getMessage().split(" ms=")[0], answered))
                is_written.release()

    is_written = threading.Semaphore(0)
    logger, looking = logging.getLogger("dcm4py_leading"), Looking()
    logger.addHandler(looking)
    try:
        with socket.create_connection(("127.0.0.1", seed.archive_port), timeout=60) as peer:
            for message in (REQUEST, ECHO, RELEASE):
                peer.sendall(message)
                assert is_written.acquire(timeout=60)
                peer.recv(65536)
    finally:
        logger.removeHandler(looking)
    assert written == [
        ("association from RAWSCU at 127.0.0.1 to DCM4CHEE", True),
        ("C-ECHO from=RAWSCU to=DCM4CHEE status=0x0000", True),
        ("association with RAWSCU released", True),
    ]
