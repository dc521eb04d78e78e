"""What became of objects before: bounded by number and length, and the last outcome of a key counts."""

from __future__ import annotations

from dcm4py_leading.model.bounds import COERCED_OBJECT_BYTES
from dcm4py_leading.service.outcome_memo import CoercedElements, OutcomeMemo

OUTCOME, OTHER = CoercedElements(((1, b"ab"),), (), False), CoercedElements((), (), False)


def test_the_least_recently_used_outcome_goes_first() -> None:
    memo = OutcomeMemo(2)
    memo.remember("a", 1, OUTCOME, ())
    memo.remember("b", 1, OUTCOME, ())
    assert memo.get("a") == (OUTCOME, ())
    memo.remember("c", 1, OUTCOME, ())
    assert [memo.get(key) is not None for key in "abc"] == [True, False, True]


def test_a_later_outcome_takes_the_place_of_an_earlier_one() -> None:
    memo = OutcomeMemo()
    memo.remember("a", 1, OUTCOME, ())
    memo.remember("a", 1, OTHER, ())
    assert memo.get("a") == (OTHER, ())


def test_what_is_too_long_is_not_remembered_and_neither_is_what_was_before() -> None:
    memo = OutcomeMemo()
    memo.remember("a", 1, OTHER, ())
    memo.remember("a", COERCED_OBJECT_BYTES - 1, OUTCOME, ())
    assert memo.get("a") is None
    memo.remember("a", COERCED_OBJECT_BYTES - 2, OUTCOME, ())
    assert memo.get("a") is not None
