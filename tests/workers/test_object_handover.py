"""Objects that name no retrieve, of retrieves that wait at different workers: each gets what belongs to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dcm4py_leading.errors import ArchiveUnavailable
from dcm4py_leading.service.proxy.forwarded_retrieves import ForwardedRetrieves
from dcm4py_leading.service.proxy.spool import Spool
from dcm4py_leading.workers.object_handover import ObjectHandover
from dcm4py_leading.workers.slots import Slots
from tests.service.proxy.test_forwarded_retrieves import OTHER, PACS, arrived, make_forward, uids


@pytest.fixture
def now() -> list[float]:
    """The time, for all workers."""
    return [1000.0]


@pytest.fixture
def workers(tmp_path: Path, now: list[float]) -> Iterator[list[ForwardedRetrieves]]:
    """Those of three workers, which talk to each other."""
    expecting = Slots.create(3)
    passings = [ObjectHandover(tmp_path, slot, expecting) for slot in range(3)]
    made = []
    for slot, passing in enumerate(passings):
        forwards = ForwardedRetrieves(slot=slot, elsewhere=passing, spool=Spool(tmp_path), clock=lambda: now[0])
        passing.serve(forwards)
        made.append(forwards)
    yield made
    for passing in passings:
        passing.close()
    expecting.close()


def test_of_retrieves_of_the_same_at_different_workers_each_gets_an_object_once(
    workers: list[ForwardedRetrieves],
) -> None:
    waiting = [make_forward(number) for number in (1, 2, 3)]
    for forward, at in zip(waiting, (0, 0, 1), strict=True):
        workers[at].add(forward)
    for number in (1, 2):
        for at in (2, 0, 1):  # wherever each of the three copies arrives
            assert workers[at].take("", None, PACS, arrived(number)) is True
    assert workers[2].take("", None, PACS, arrived(1)) is True  # once more than there are retrieves
    for forward in waiting:
        forward.end()
        assert uids(forward) == ["1.2.1.1", "1.2.1.2"]


def test_of_different_retrieves_at_different_workers_none_gets_it(workers: list[ForwardedRetrieves]) -> None:
    workers[0].add(make_forward(1, asked="the study"))
    workers[1].add(make_forward(2, asked="one series of it"))
    for forwards in workers:
        told = forwards.take("", None, PACS, arrived(1))
        assert told == "it names no retrieve, and 2 wait for that study from PACS"


def test_an_object_for_a_retrieve_that_was_given_up_at_another_worker_was_not_unasked(
    workers: list[ForwardedRetrieves], now: list[float]
) -> None:
    forward = make_forward(1)
    workers[0].add(forward)
    forward.end(failure=ArchiveUnavailable("PACS: aborted"))
    workers[0].remove(forward)
    for forwards in workers:
        assert forwards.are_expected
        told = forwards.take("", None, PACS, arrived(1))
        assert told == f"it names no retrieve, and that of its study from {PACS} was given up"
        assert forwards.take("", None, PACS, arrived(1, OTHER)) is None
    now[0] += 600
    assert workers[1].take("", None, PACS, arrived(1)) is None
    assert not any(forwards.are_expected for forwards in workers)
