"""Differences of counters between two samples, and intervals put together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dcm4py_leading.leading.breaker import BreakerState
from dcm4py_leading.leading.contacts import ContactCounts, ContactKey
from dcm4py_leading.leading.outcome import Latency, LookupOutcome
from dcm4py_leading.service.leading.interval import Interval, Requests, Traffic, between, in_steps
from tests.fixtures.measured import NOON, OURS, QRSCP, Sample, lookups


def interval(before: Sample, after: Sample) -> Interval:
    return between(before, after, seconds=60, ends_at=NOON)


def ending(minutes: float, *, seconds: float = 60, **traffic: object) -> Interval:
    return Interval(
        ends_at=NOON + timedelta(minutes=minutes),
        seconds=seconds,
        archives={QRSCP: Traffic(**traffic)} if traffic else {},  # type: ignore[arg-type]
    )


def test_an_interval_has_what_was_counted_within_it() -> None:
    before = Sample(lookups(latency=Latency().observe(0.004), HIT=5, MISS=1))
    after = Sample(lookups(latency=Latency().observe(0.004).observe(0.2).observe(0.4), HIT=8, MISS=3, waiting=2))
    found = interval(before, after)
    traffic = found.archives[QRSCP]
    assert traffic.outcomes == {LookupOutcome.HIT: 3, LookupOutcome.MISS: 2}
    assert traffic.hit_rate == 3 / 5
    assert traffic.latency.count == 2 and traffic.latency.total_seconds == pytest.approx(0.6)
    assert (traffic.waiting, traffic.breaker) == (2, BreakerState.CLOSED)
    assert found.under_way(QRSCP) == pytest.approx(0.01)


def test_an_archive_that_is_asked_for_the_first_time_counts_from_zero() -> None:
    found = interval(Sample(), Sample(lookups(MISS=3)))
    assert found.archives[QRSCP].outcomes == {LookupOutcome.MISS: 3}


def test_an_interval_without_questions_has_no_rate() -> None:
    same = Sample(lookups(HIT=5, latency=Latency().observe(1)))
    traffic = interval(same, same).archives[QRSCP]
    assert (traffic.studies, traffic.hit_rate, traffic.latency.quantile(0.5)) == (0, None, None)


def requests(answered: int, failed: int = 0, service: str = "C-FIND") -> ContactCounts:
    asked: dict[ContactKey, int] = {
        (OURS, "PACS", service, "answered"): answered,
        (OURS, "PACS", service, "failed"): failed,
    }
    return ContactCounts(asked=asked)


def test_requests_to_an_archive_behind_are_those_of_all_services() -> None:
    before = Sample(contacts=requests(3, 1))
    after = Sample(contacts=requests(5, 2).plus(requests(10, service="C-MOVE")))
    assert interval(before, after).behind == {"PACS": Requests(answered=12, failed=1)}
    (step,) = in_steps([interval(before, after), interval(before, after)], timedelta(minutes=5))
    assert step.behind == {"PACS": Requests(answered=24, failed=2)}


def test_requests_behind_that_went_back_make_the_interval_unknown() -> None:
    assert not interval(Sample(contacts=requests(3)), Sample(contacts=requests(2))).is_known


def test_requests_behind_begin_anew_with_another_configuration() -> None:
    after = Sample(contacts=requests(2), loaded_at=NOON + timedelta(seconds=1))
    assert interval(Sample(contacts=requests(3)), after).behind == {"PACS": Requests(answered=2)}


def test_counters_begin_anew_with_another_configuration() -> None:
    before = Sample(lookups(HIT=5, MISS=7, latency=Latency().observe(1).observe(1)))
    after = Sample(lookups(HIT=6, latency=Latency().observe(0.1)), loaded_at=NOON + timedelta(seconds=30))
    found = interval(before, after)
    assert found.is_known
    assert found.archives[QRSCP].outcomes == {LookupOutcome.HIT: 6}
    assert found.archives[QRSCP].latency.count == 1


@pytest.mark.parametrize(
    "after",
    [
        Sample(lookups(HIT=105), workers=1, worker_restarts=0),  # one has not answered
        Sample(lookups(HIT=105), workers=2, worker_restarts=1),  # another one in its place
        Sample(lookups(HIT=99), workers=2),  # went down for whatever reason
        Sample(lookups(HIT=105, latency=Latency()), workers=2),
        Sample(workers=2),
    ],
)
def test_an_interval_in_which_counters_were_lost_is_unknown_and_not_zero(after: Sample) -> None:
    found = interval(Sample(lookups(HIT=100, latency=Latency().observe(1)), workers=2), after)
    assert not found.is_known
    assert found.archives == {}
    assert found.under_way(QRSCP) is None


def test_an_interval_after_one_that_is_unknown_is_known() -> None:
    restarted = Sample(lookups(HIT=10), workers=2, worker_restarts=1)
    later = Sample(lookups(HIT=11), workers=2, worker_restarts=1)
    assert interval(restarted, later).archives[QRSCP].outcomes == {LookupOutcome.HIT: 1}


def test_intervals_are_put_together_by_steps_of_the_clock() -> None:
    minutes = [ending(minute, outcomes={LookupOutcome.HIT: 1}) for minute in range(1, 13)]
    steps = list(in_steps(minutes, timedelta(minutes=5)))
    assert [step.ends_at for step in steps] == [NOON + timedelta(minutes=minute) for minute in (5, 10, 12)]
    assert [step.archives[QRSCP].studies for step in steps] == [5, 5, 2]
    assert [step.seconds for step in steps] == [300, 300, 120]


def test_step_has_sum_of_known_intervals_and_worst_state() -> None:
    (step,) = in_steps(
        [
            ending(1, waiting=3, breaker=BreakerState.OPEN, latency=Latency().observe(0.004)),
            ending(2, seconds=0),
            ending(3, waiting=1, breaker=BreakerState.CLOSED, latency=Latency().observe(0.3)),
        ],
        timedelta(minutes=5),
    )
    traffic = step.archives[QRSCP]
    assert (traffic.waiting, traffic.breaker, traffic.latency.count) == (3, BreakerState.OPEN, 2)
    assert step.seconds == 120


def test_step_without_information_is_unknown() -> None:
    (step,) = in_steps([ending(1, seconds=0), ending(2, seconds=0)], timedelta(minutes=5))
    assert not step.is_known


def test_steps_do_not_depend_on_the_zone_of_the_clock() -> None:
    at = datetime(2026, 1, 2, 12, 15, tzinfo=UTC)
    times = [at, at.astimezone(), at + timedelta(seconds=1)]
    steps = in_steps([Interval(ends_at=time, seconds=60) for time in times], timedelta(minutes=15))
    assert [step.seconds for step in steps] == [120, 60]
