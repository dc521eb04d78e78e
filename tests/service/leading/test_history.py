"""The history: bounded, and over when the service stops."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta

import pytest

from dcm4py_leading.model.bounds import HISTORY_INTERVALS
from dcm4py_leading.service.leading import history
from dcm4py_leading.service.leading.history import History
from tests.fixtures.measured import NOON, QRSCP, Sample, lookups


class Service:
    """Looks one study up between two samples, which are a minute apart."""

    def __init__(self) -> None:
        self.samples = 0
        self.sampled = threading.Semaphore(0)
        self.failures = 0
        self.patient = "Patient^Name"

    def measure(self) -> Sample:
        self.sampled.release()
        if self.failures:
            self.failures -= 1
            raise KeyError(self.patient)
        self.samples += 1
        return Sample(lookups(MISS=self.samples))

    def history(self) -> History:
        return History(
            self.measure,
            clock=lambda: self.samples * 60.0,
            now=lambda: NOON + timedelta(minutes=self.samples),
        )


def test_the_first_sample_ends_no_interval() -> None:
    found = Service().history()
    found.sample()
    assert found.intervals() == []


def test_each_further_sample_ends_an_interval() -> None:
    found = Service().history()
    for _ in range(3):
        found.sample()
    assert [(one.ends_at, one.seconds, one.archives[QRSCP].studies) for one in found.intervals()] == [
        (NOON + timedelta(minutes=2), 60, 1),
        (NOON + timedelta(minutes=3), 60, 1),
    ]


def test_the_oldest_intervals_are_forgotten() -> None:
    found = Service().history()
    for _ in range(HISTORY_INTERVALS + 11):
        found.sample()
    assert len(found.intervals()) == HISTORY_INTERVALS
    assert found.intervals()[0].ends_at == NOON + timedelta(minutes=12)


@pytest.mark.parametrize(("hours", "steps", "studies"), [(1, 60, 1), (6, 72, 5), (24, 97, 15)])
def test_the_last_hours_are_told_in_steps(hours: int, steps: int, studies: int) -> None:
    found = Service().history()
    for _ in range(HISTORY_INTERVALS + 11):
        found.sample()
    told = found.over(hours)
    assert len(told) in (steps, steps + 1)
    assert told[1].archives[QRSCP].studies == studies
    assert sum(one.seconds for one in told) == hours * 3600


def test_samples_are_taken_until_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "HISTORY_INTERVAL_SECONDS", 0.001)
    service = Service()
    found = service.history()
    found.start()
    for _ in range(3):
        assert service.sampled.acquire(timeout=60)
    found.stop()
    taken = service.samples
    assert not any(thread.name == "history of leading archives" for thread in threading.enumerate())
    assert len(found.intervals()) == taken - 1


def test_a_stop_does_not_wait_for_the_next_sample() -> None:
    service = Service()
    found = service.history()
    found.start()
    assert service.sampled.acquire(timeout=60)
    found.stop()
    assert not any(thread.name == "history of leading archives" for thread in threading.enumerate())


def test_stop_without_a_start_is_no_error() -> None:
    Service().history().stop()


def test_bug_loses_one_sample_and_is_logged_without_values(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(history, "HISTORY_INTERVAL_SECONDS", 0.001)
    service = Service()
    service.failures = 1
    found = service.history()
    with caplog.at_level(logging.ERROR):
        found.start()
        for _ in range(3):
            assert service.sampled.acquire(timeout=60)
        found.stop()
    assert service.samples >= 1
    (record,) = caplog.records
    assert "KeyError" in record.getMessage()
    assert "Patient^Name" not in record.getMessage()
