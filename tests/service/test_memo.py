"""The bounded memory of outcomes."""

from __future__ import annotations

from dcm4py_leading.service.memo import Memo


def test_the_least_recently_used_value_goes_first() -> None:
    memo: Memo[str, int] = Memo(max_entries=2, max_length=10)
    memo.remember("a", 1, 1)
    memo.remember("b", 2, 1)
    assert memo.get("a") == 1
    memo.remember("c", 3, 1)
    assert [memo.get(key) for key in "abc"] == [1, None, 3]


def test_a_value_that_is_too_long_is_not_kept_and_ends_the_earlier_one() -> None:
    memo: Memo[str, int] = Memo(max_entries=2, max_length=10)
    memo.remember("a", 1, 10)
    assert memo.get("a") == 1
    memo.remember("a", 2, 11)
    assert memo.get("a") is None


def test_a_value_that_is_remembered_again_takes_the_place_of_the_earlier_one() -> None:
    memo: Memo[str, int] = Memo(max_entries=2, max_length=10)
    for value in (1, 2):
        memo.remember("a", value, 1)
    memo.remember("b", 3, 1)
    assert (memo.get("a"), memo.get("b")) == (2, 3)
