"""Wrong log-ins are counted by user and by address, and forgotten."""

from __future__ import annotations

import logging

import pytest

from dcm4py_leading.errors import LoginThrottled
from dcm4py_leading.model.bounds import LOGIN_FAILURES, LOGIN_FAILURES_REMEMBERED, LOGIN_FAILURES_SECONDS
from dcm4py_leading.web.login.throttle import Throttle
from tests.fixtures.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock(1000.0)


@pytest.fixture
def throttle(clock: Clock) -> Throttle:
    return Throttle(clock=clock)


def fail(throttle: Throttle, user: str, address: str, times: int = LOGIN_FAILURES) -> None:
    for _ in range(times):
        throttle.begin(user, address)


def test_one_user_from_many_addresses(throttle: Throttle) -> None:
    for number in range(LOGIN_FAILURES):
        throttle.begin("anna", f"10.0.0.{number}")
    with pytest.raises(LoginThrottled):
        throttle.begin("ANNA", "10.0.1.1")
    throttle.begin("vera", "10.0.1.1")


def test_many_users_from_one_address(throttle: Throttle) -> None:
    for number in range(LOGIN_FAILURES):
        throttle.begin(f"user{number}", "10.0.0.1")
    with pytest.raises(LoginThrottled):
        throttle.begin("vera", "10.0.0.1")
    throttle.begin("vera", "10.0.0.2")


@pytest.mark.parametrize(
    ("first", "second", "is_one"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2", False),
        ("-", "-", True),
    ],
)
def test_addresses_of_one_network_are_one(throttle: Throttle, first: str, second: str, is_one: bool) -> None:
    for number in range(LOGIN_FAILURES):
        throttle.begin(f"user{number}", first)
    if is_one:
        with pytest.raises(LoginThrottled):
            throttle.check("vera", second)
    else:
        throttle.check("vera", second)


def test_time_to_wait_is_told_and_is_enough(throttle: Throttle, clock: Clock) -> None:
    fail(throttle, "anna", "10.0.0.1")
    clock.now += 100.5
    with pytest.raises(LoginThrottled) as raised:
        throttle.begin("anna", "10.0.0.1")
    assert raised.value.retry_after_seconds == LOGIN_FAILURES_SECONDS - 100
    clock.now += raised.value.retry_after_seconds
    throttle.begin("anna", "10.0.0.1")


def test_refused_attempts_do_not_prolong_the_pause(throttle: Throttle, clock: Clock) -> None:
    fail(throttle, "anna", "10.0.0.1")
    for _ in range(100):
        with pytest.raises(LoginThrottled):
            throttle.begin("anna", "10.0.0.1")
    clock.now += LOGIN_FAILURES_SECONDS
    throttle.begin("anna", "10.0.0.1")


def test_right_password_forgets_the_user_but_not_the_address(throttle: Throttle) -> None:
    fail(throttle, "anna", "10.0.0.1", LOGIN_FAILURES - 1)
    throttle.right(throttle.begin("anna", "10.0.0.1"))
    throttle.right(throttle.begin("anna", "10.0.0.1"))
    fail(throttle, "vera", "10.0.0.1", 1)
    with pytest.raises(LoginThrottled):
        throttle.begin("vera", "10.0.0.1")
    fail(throttle, "anna", "10.0.0.2", LOGIN_FAILURES - 1)
    throttle.check("anna", "10.0.0.3")


def test_attempts_at_the_same_time_count_before_they_are_decided(throttle: Throttle) -> None:
    under_way = [throttle.begin("anna", "10.0.0.1") for _ in range(LOGIN_FAILURES)]
    with pytest.raises(LoginThrottled):
        throttle.begin("anna", "10.0.0.2")
    throttle.right(under_way[0])
    throttle.begin("anna", "10.0.0.2")


def test_attempt_that_nobody_could_decide_does_not_count(throttle: Throttle) -> None:
    for _ in range(10 * LOGIN_FAILURES):
        throttle.void(throttle.begin("anna", "10.0.0.1"))
    throttle.check("anna", "10.0.0.1")


def test_memory_is_bounded(throttle: Throttle) -> None:
    fail(throttle, "anna", "10.0.0.1")
    for number in range(LOGIN_FAILURES_REMEMBERED):
        throttle.begin(f"user{number}", f"10.1.{number >> 8}.{number & 255}")
    throttle.check("anna", "10.0.0.1")
    fail(throttle, "vera", "10.2.0.1")
    with pytest.raises(LoginThrottled):
        throttle.check("vera", "10.2.0.1")


def test_one_warning_a_pause_with_the_count(throttle: Throttle, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        fail(throttle, "an\nna", "10.0.0.1")
        for _ in range(5):
            with pytest.raises(LoginThrottled):
                throttle.begin("an\nna", "10.0.0.1")
        clock.now += LOGIN_FAILURES_SECONDS
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [record.getMessage() for record in warnings] == 2 * [
        '10 wrong log-ins for user "an\\nna": refused for 300 s'
    ]
