"""Deflated data sets: how many octets all that are inflated may have together."""

from __future__ import annotations

import gc

import pytest

from dcm4py_leading.dataset import deflate
from dcm4py_leading.dataset.deflate import deflated, inflated
from dcm4py_leading.errors import InvalidObject, TooMuchInflated

LARGE = deflated(bytes(3_000_000))


@pytest.fixture(autouse=True)
def budget(monkeypatch: pytest.MonkeyPatch) -> deflate._Budget:
    budget = deflate._Budget(4_000_000)
    gc.collect()
    monkeypatch.setattr(deflate, "_BUDGET", budget)
    return budget


def test_object_without_room_is_refused_until_others_are_gone() -> None:
    held = inflated(LARGE)
    with pytest.raises(TooMuchInflated, match="beside 3000000 octets"):
        inflated(LARGE)
    del held
    assert len(inflated(LARGE)) == 3_000_000


def test_a_view_holds_it() -> None:
    view = memoryview(inflated(LARGE))[:10]
    with pytest.raises(TooMuchInflated):
        inflated(LARGE)
    view.release()
    assert inflated(LARGE)


def test_single_object_may_have_more_than_all_together() -> None:
    assert len(inflated(deflated(bytes(5_000_000)))) == 5_000_000


def test_several_that_fit_are_inflated_at_once(budget: deflate._Budget) -> None:
    held = [inflated(deflated(bytes(1_000_000))) for _ in range(4)]
    assert budget._taken == 4_000_000
    del held
    assert budget._taken == 0


def test_failure_leaves_nothing_behind(budget: deflate._Budget) -> None:
    for data in (LARGE[:-20], LARGE[:500] + bytes(500)):
        with pytest.raises(InvalidObject):
            inflated(data)
    with pytest.raises(InvalidObject, match="more than 1000 octets"):
        inflated(LARGE, most=1000)
    gc.collect()
    assert budget._taken == 0
