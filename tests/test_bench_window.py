"""The measurement of a long line: the relay, and once in full with a handful of objects. Nothing here is timed."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.benchmark.operations import Effort
from scripts.benchmark.results import Results
from scripts.benchmark.scene import OURS
from scripts.benchmark.targets import outcomes
from scripts.benchmark.window import ONE_AT_A_TIME, measure_window
from tests.fixtures.ports import free_port
from tests.fixtures.workers import until

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def line() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection over the relay."""
    port = free_port()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        to = listening.getsockname()[1]
        command = (sys.executable, "-m", "scripts.benchmark.relay", str(port), str(to), "1")
        with subprocess.Popen(command, cwd=ROOT) as relay:
            try:
                until(lambda: _connects(port))
                listening.settimeout(60)
                listening.accept()[0].close()  # that was the look
                one = socket.create_connection(("127.0.0.1", port), timeout=60)
                other, _ = listening.accept()
                other.settimeout(60)
                with one, other:
                    yield one, other
            finally:
                relay.terminate()


def _connects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=60).close()
    except OSError:
        return False
    return True


def received(sock: socket.socket, length: int) -> bytes:
    octets = b""
    while len(octets) < length and (part := sock.recv(1 << 16)):
        octets += part
    return octets


def test_the_relay_passes_everything_on_both_ways_and_the_end(line: tuple[socket.socket, socket.socket]) -> None:
    one, other = line
    octets = bytes(range(256)) * 400
    one.sendall(octets)
    other.sendall(b"back")
    assert received(other, len(octets)) == octets
    assert received(one, 4) == b"back"
    other.close()
    assert one.recv(1) == b""


@pytest.mark.slow
def test_a_study_arrives_whole_with_a_window_and_without(tmp_path: Path) -> None:
    found = Results(machine={}, settings={})
    effort = Effort(rounds=1, echoes=1, finds=1, listings=1)
    measure_window(tmp_path, found, effort=effort, say=lambda _: None, objects=20)
    assert [(one.contender, one.round, one.objects) for one in found.samples] == [
        (OURS, 1, 20),
        (ONE_AT_A_TIME, 1, 20),
    ]
    assert found.passed
    assert len([outcome for outcome in outcomes(found) if outcome.contender == ONE_AT_A_TIME]) == 1
