from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from dcm4py_leading.dicom.scu.pool import AssociationPool
from dcm4py_leading.dicom.scu.requestor import AssociationFailed
from tests.fixtures.clock import Clock

WAIT = 60.0
"""Seconds until a test that hangs fails."""
SECOND = timedelta(seconds=1)


class Fake:
    def __init__(self) -> None:
        self.is_open = True
        self.ended = threading.Event()
        self.how = ""

    def release(self) -> None:
        self.is_open, self.how = False, "released"
        self.ended.set()

    def abort(self) -> None:
        self.is_open, self.how = False, "aborted"
        self.ended.set()


def now(work: Callable[[], None]) -> None:
    work()


def pool_of(most: int = 2, clock: Clock | None = None, idle: timedelta = timedelta(hours=1)) -> AssociationPool[Fake]:
    return AssociationPool(most=most, idle_after=idle, clock=clock or Clock(), in_background=now)


def test_association_that_came_back_is_used_again() -> None:
    pool = pool_of()
    first, was_used = pool.take("K", Fake, timeout=SECOND)
    assert not was_used
    pool.give_back("K", first)
    assert pool.take("K", Fake, timeout=SECOND) == (first, True)
    pool.close()


def test_association_in_use_is_not_handed_out_twice() -> None:
    pool = pool_of()
    first, _ = pool.take("K", Fake, timeout=SECOND)
    second, _ = pool.take("K", Fake, timeout=SECOND)
    assert first is not second


def test_other_key_gets_an_association_of_its_own() -> None:
    pool = pool_of(most=1)
    first, _ = pool.take("K", Fake, timeout=SECOND)
    pool.give_back("K", first)
    assert pool.take("L", Fake, timeout=SECOND)[0] is not first
    pool.close()


def test_dead_association_is_dropped_and_a_new_one_opened() -> None:
    pool = pool_of(most=1)
    dead, _ = pool.take("K", Fake, timeout=SECOND)
    pool.give_back("K", dead)
    dead.is_open = False
    fresh, was_used = pool.take("K", Fake, timeout=SECOND)
    assert fresh is not dead and not was_used
    assert dead.ended.is_set()


def test_fresh_drops_all_that_is_kept() -> None:
    pool = pool_of()
    kept = [pool.take("K", Fake, timeout=SECOND)[0] for _ in range(2)]
    for one in kept:
        pool.give_back("K", one)
    assert pool.take("K", Fake, timeout=SECOND, fresh=True)[0] not in kept
    assert {one.how for one in kept} == {"released"}


def test_discarded_association_is_aborted_and_makes_room() -> None:
    pool = pool_of(most=1)
    bad, _ = pool.take("K", Fake, timeout=SECOND)
    pool.discard("K", bad)
    assert bad.how == "aborted"
    assert pool.take("K", Fake, timeout=SECOND)[0] is not bad


def test_waiting_for_a_free_one_has_an_end() -> None:
    pool = pool_of(most=1)
    pool.take("K", Fake, timeout=SECOND)
    with pytest.raises(AssociationFailed, match="all 1 associations are in use"):
        pool.take("K", Fake, timeout=timedelta(0))


def test_who_waits_gets_the_one_that_comes_back() -> None:
    pool = pool_of(most=1)
    first, _ = pool.take("K", Fake, timeout=SECOND)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(pool.take, "K", Fake, timeout=None)
        pool.give_back("K", first)
        assert waiting.result(WAIT) == (first, True)


def test_failure_to_open_makes_room_for_the_next() -> None:
    def fail() -> Fake:
        raise AssociationFailed("no")

    pool = pool_of(most=1)
    for _ in range(2):
        with pytest.raises(AssociationFailed, match="no"):
            pool.take("K", fail, timeout=timedelta(0))


def test_association_is_closed_when_it_was_idle_for_long() -> None:
    clock = Clock()
    pool = pool_of(clock=clock, idle=timedelta(seconds=10))
    one, _ = pool.take("K", Fake, timeout=SECOND)
    pool.give_back("K", one)
    clock.now = 9
    pool.close_idle()
    assert one.is_open
    clock.now = 10
    pool.close_idle()
    assert one.how == "released"
    assert pool.idle == 0


def test_idle_associations_are_closed_without_being_asked_to() -> None:
    pool = pool_of(idle=timedelta(0))
    one, _ = pool.take("K", Fake, timeout=SECOND)
    pool.give_back("K", one)
    assert one.ended.wait(WAIT)


def test_closed_pool_keeps_nothing_and_still_serves() -> None:
    pool = pool_of()
    kept, _ = pool.take("K", Fake, timeout=SECOND)
    used, _ = pool.take("K", Fake, timeout=SECOND)
    pool.give_back("K", kept)
    pool.close()
    assert kept.how == "released"
    assert used.is_open
    pool.give_back("K", used)
    assert used.how == "released"
    assert pool.take("K", Fake, timeout=SECOND)[0].is_open
