"""The switch for DICOM: what is done when, and what a failure leaves."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from dcm4py_leading.errors import ConfigUnavailable
from dcm4py_leading.listening import Listening

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


class Ports:
    """Tells what was done with them."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.changing = threading.RLock()
        self.failure: ConfigUnavailable | None = None
        self.was_locked_while_draining = False
        self.listening = Listening(self.changing, open_ports=self.open, close_ports=self.close, now=lambda: NOON)

    def open(self) -> None:
        if self.failure is not None:
            raise self.failure
        self.done.append("open")

    def close(self) -> Callable[[], None]:
        self.done.append("close")
        return self.drain

    def drain(self) -> None:
        def look() -> None:
            is_free = self.changing.acquire(blocking=False)
            self.was_locked_while_draining = not is_free
            if is_free:
                self.changing.release()

        another = threading.Thread(target=look)
        another.start()
        another.join()
        self.done.append("drain")


def test_each_is_done_once_however_often_it_is_said() -> None:
    ports = Ports()
    for say in (ports.listening.start, ports.listening.stop, ports.listening.stop, ports.listening.start):
        say()
    assert ports.done == ["close", "drain", "open"]
    assert ports.listening.is_on


def test_a_reload_need_not_wait_for_associations_to_end() -> None:
    ports = Ports()
    ports.listening.stop()
    assert not ports.was_locked_while_draining


def test_it_tells_since_when_it_is_stopped() -> None:
    ports = Ports()
    assert ports.listening.troubles == []
    ports.listening.stop()
    assert ports.listening.troubles == [f"stopped by an administrator at {NOON.isoformat()}"]


def test_a_start_that_fails_leaves_it_stopped() -> None:
    ports = Ports()
    ports.listening.stop()
    ports.failure = ConfigUnavailable("no")
    with pytest.raises(ConfigUnavailable):
        ports.listening.start()
    assert not ports.listening.is_on
    ports.failure = None
    ports.listening.start()
    assert ports.listening.is_on


def test_nothing_is_started_when_the_service_ends() -> None:
    ports = Ports()
    ports.listening.stop()
    ports.listening.end()
    with pytest.raises(ConfigUnavailable):
        ports.listening.start()
    assert ports.done == ["close", "drain"]
