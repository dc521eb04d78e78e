"""What workers tell each other: how many associations there are, and who takes the next connection."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dcm4py_leading.workers.shared_counts import NOT_LISTENING, SharedCounts
from dcm4py_leading.workers.slots import Slots


@pytest.fixture
def workers() -> Iterator[list[SharedCounts]]:
    """Three workers, of which none listens yet."""
    slots = [Slots.create(3) for _ in range(3)]
    associations, connections, serial_numbers = slots
    for slot in range(3):
        connections.set(slot, NOT_LISTENING)
    yield [
        SharedCounts(slot, associations=associations, connections=connections, serial_numbers=serial_numbers)
        for slot in range(3)
    ]
    for one in slots:
        one.close()


def report(workers: list[SharedCounts], *connections: int | None) -> list[bool]:
    """Let each tell its number of connections; which of them leave the next one to another."""
    for worker, count in zip(workers, connections, strict=True):
        worker.report(associations=0, connections=count)
    return [worker.should_go_first() for worker in workers]


def test_the_worker_with_the_fewest_connections_takes_the_next_one(workers: list[SharedCounts]) -> None:
    assert report(workers, 2, 1, 3) == [True, False, True]
    assert report(workers, 2, 2, 1) == [True, True, False]


def test_of_workers_with_as_many_the_first_one_takes_it(workers: list[SharedCounts]) -> None:
    assert report(workers, 0, 0, 0) == [False, True, True]
    assert report(workers, 1, 0, 0) == [True, False, True]


def test_a_worker_that_does_not_listen_is_not_waited_for(workers: list[SharedCounts]) -> None:
    assert report(workers, None, 5, None) == [True, False, True]
    assert report(workers, None, 5, 7) == [True, False, True]


def test_associations_of_the_others_are_summed(workers: list[SharedCounts]) -> None:
    for count, worker in enumerate(workers, 1):
        worker.report(associations=count, connections=0)
    assert [worker.associations for worker in workers] == [5, 4, 3]


def test_serial_numbers_are_given_once(workers: list[SharedCounts]) -> None:
    given = [worker.next_serial_number() for _ in range(4) for worker in workers]
    assert len(set(given)) == 12
