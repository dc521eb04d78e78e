from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from dcm4py_leading.errors import LeadingUnavailable
from dcm4py_leading.leading.breaker import Breaker, BreakerState
from dcm4py_leading.leading.probe import probe
from dcm4py_leading.leading.retry_pause import RetryPause
from tests.fixtures.clock import Clock
from tests.fixtures.rules import LEADING


def breaker(clock: Clock, threshold: int = 3) -> Breaker:
    return Breaker(threshold=threshold, pause=timedelta(seconds=2), clock=clock)


def opened(clock: Clock) -> Breaker:
    one = breaker(clock)
    for _ in range(3):
        one.failed()
    return one


def test_it_opens_after_failures_in_a_row_only() -> None:
    one = breaker(Clock())
    assert [one.failed(), one.failed(), one.succeeded(), one.failed(), one.failed()] == [False] * 5
    assert one.admit()
    assert one.failed()
    assert not one.admit()
    assert one.state is BreakerState.OPEN


def test_one_question_is_let_through_after_the_pause() -> None:
    clock = Clock()
    one = opened(clock)
    clock.now = 1.9
    assert not one.admit()
    clock.now = 2.0
    assert one.state is BreakerState.HALF_OPEN
    assert [one.admit(), one.admit()] == [True, False]


def test_trial_that_succeeds_closes_it() -> None:
    clock = Clock()
    one = opened(clock)
    clock.now = 2.0
    one.admit()
    assert one.succeeded()
    assert one.state is BreakerState.CLOSED
    assert one.admit() and one.admit()


def test_trial_that_fails_opens_it_for_another_pause() -> None:
    clock = Clock()
    one = opened(clock)
    clock.now = 2.0
    one.admit()
    assert one.failed()
    clock.now = 3.9
    assert not one.admit()
    clock.now = 4.0
    assert one.admit()


def test_trial_that_decides_nothing_leaves_room_for_another() -> None:
    clock = Clock()
    one = opened(clock)
    clock.now = 2.0
    one.admit()
    one.abandoned()
    assert one.admit()


def test_no_question_is_the_trial_while_the_archive_is_probed() -> None:
    clock = Clock()
    one = opened(clock)
    one.leave_to_probe()
    clock.now = 100.0
    assert not one.admit()
    one.probe_ended()
    assert [one.admit(), one.admit()] == [True, False]


@given(st.lists(st.sampled_from(["ask, fail", "ask, answer", "ask, abandon", "wait"])))
def test_it_refuses_only_within_a_pause_after_as_many_failures(steps: list[str]) -> None:
    clock = Clock()
    one, failures, last_failure = breaker(clock), 0, 0.0
    for step in steps:
        if step == "wait":
            clock.now += 1.0
            continue
        if not one.admit():
            assert failures >= 3 and clock.now < last_failure + 2.0
        elif step == "ask, fail":
            one.failed()
            failures, last_failure = failures + 1, clock.now
        elif step == "ask, answer":
            one.succeeded()
            failures = 0
        else:
            one.abandoned()


def probed(reach: Callable[[], None], times: int = 5, over: bool = False) -> tuple[Breaker, list[float]]:
    clock, waits = Clock(), []
    one = opened(clock)
    one.leave_to_probe()

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return over

    probe(one, LEADING, reach, pause=timedelta(seconds=2), times=times, wait=wait)
    return one, waits


def test_archive_that_can_be_reached_again_is_tried_with_the_next_question() -> None:
    tries = iter([False, False, True])

    def reach() -> None:
        if not next(tries):
            raise LeadingUnavailable("down")

    one, waits = probed(reach)
    assert waits == [2.0, 2.0, 2.0]
    assert one.state is BreakerState.HALF_OPEN


def test_probing_has_an_end() -> None:
    def reach() -> None:
        raise LeadingUnavailable("down")

    one, waits = probed(reach, times=4)
    assert len(waits) == 4
    assert one.admit()


def test_probing_ends_with_the_lookup() -> None:
    one, waits = probed(lambda: None, over=True)
    assert len(waits) == 1
    assert one.admit()


def test_first_retry_is_free_and_further_ones_rest() -> None:
    clock, reason = Clock(), LeadingUnavailable("down")
    pause = RetryPause(timedelta(seconds=2), clock)
    pause.failed("A", reason)
    assert pause.resting("A") is None
    pause.failed("A", reason)
    assert pause.resting("A") is reason
    assert pause.resting("B") is None
    clock.now = 2.0
    assert pause.resting("A") is None
    pause.failed("A", reason)
    assert pause.resting("A") is reason
    pause.answered(["A"])
    pause.failed("A", reason)
    assert pause.resting("A") is None
