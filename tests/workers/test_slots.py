"""Numbers that workers share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dcm4py_leading.workers.slots import Slots


@pytest.fixture
def slots() -> Iterator[Slots]:
    made = Slots.create(3)
    yield made
    made.close()


def test_serial_numbers_of_workers_are_never_the_same(slots: Slots) -> None:
    given = [slots.next_serial_number(slot) for _ in range(5) for slot in range(3)]
    assert len(set(given)) == len(given)
    assert all(number % 3 == index % 3 for index, number in enumerate(given))


def test_serial_number_identifies_its_worker_after_a_restart(slots: Slots) -> None:
    slots.set(1, 0xFFFFFFFF)
    assert slots.next_serial_number(1) % 3 == 1
    assert slots.next_serial_number(1) % 3 == 1
