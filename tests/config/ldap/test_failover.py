import pytest

from dcm4py_leading.config.ldap.failover import Failover
from tests.fixtures.clock import Clock


@pytest.fixture
def clock():
    return Clock(1000.0)


@pytest.fixture
def failover(clock):
    return Failover(["a", "b", "c"], clock=clock)


def test_servers_are_asked_in_their_order(failover):
    assert failover.order() == ["a", "b", "c"]


def test_server_that_has_just_failed_comes_last_for_a_while(failover, clock):
    failover.failed("a")
    assert failover.order() == ["b", "c", "a"]
    clock.now += 10
    assert failover.order() == ["a", "b", "c"]


def test_all_are_asked_when_all_have_failed_the_one_that_failed_first_before_the_others(failover, clock):
    for server in "bca":
        failover.failed(server)
        clock.now += 1
    assert failover.order() == ["b", "c", "a"]


def test_pause_doubles_up_to_five_minutes(failover, clock):
    pauses = []
    for _ in range(7):
        failover.failed("a")
        begun = clock.now
        while failover.order()[0] != "a":
            clock.now += 1
        pauses.append(clock.now - begun)
    assert pauses == [10, 20, 40, 80, 160, 300, 300]


def test_failures_at_the_same_time_count_once(failover, clock):
    for _ in range(5):
        failover.failed("a")
    clock.now += 10
    assert failover.order()[0] == "a"


def test_answer_ends_the_pause_and_forgets_the_failures_before(failover, clock):
    failover.failed("a")
    clock.now += 10
    failover.failed("a")
    failover.answered("a")
    assert failover.order()[0] == "a"
    failover.failed("a")
    clock.now += 10
    assert failover.order()[0] == "a"
