"""The bounded cache."""

from __future__ import annotations

from collections import OrderedDict

from hypothesis import given
from hypothesis import strategies as st

from dcm4py_leading.bounded_cache import BoundedCache, put_flushing

MOST, LARGEST = 10, 6


def test_the_least_recently_used_value_goes_first() -> None:
    cache: BoundedCache[str, int] = BoundedCache(2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    cache.put("c", 3)
    assert [cache.get(key) for key in "abc"] == [1, None, 3]


def test_a_value_that_is_too_large_is_not_kept_and_ends_the_earlier_one() -> None:
    cache: BoundedCache[str, int] = BoundedCache(MOST, max_value_size=LARGEST)
    cache.put("a", 1, LARGEST)
    assert cache.get("a") == 1
    cache.put("a", 2, LARGEST + 1)
    assert cache.get("a") is None


def test_a_value_takes_the_place_of_the_earlier_one() -> None:
    cache: BoundedCache[str, int] = BoundedCache(2)
    for value in (1, 2):
        cache.put("a", value)
    cache.put("b", 3)
    assert (cache.get("a"), cache.get("b")) == (2, 3)


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, LARGEST + 1) | st.none())))
def test_it_keeps_what_was_used_last_within_its_bounds(uses: list[tuple[str, int | None]]) -> None:
    cache: BoundedCache[str, int] = BoundedCache(MOST, max_value_size=LARGEST)
    expected: OrderedDict[str, int] = OrderedDict()
    for key, size in uses:
        if size is None:
            assert cache.get(key) == expected.get(key)
            if key in expected:
                expected.move_to_end(key)
            continue
        cache.put(key, size, size)
        expected.pop(key, None)
        if size <= LARGEST:
            expected[key] = size
        while sum(expected.values()) > MOST:
            expected.popitem(last=False)
    assert len(cache) == len(expected)
    assert {key: cache.get(key) for key in expected} == expected


def test_a_plain_dict_is_emptied_when_it_is_full() -> None:
    known: dict[int, int] = {}
    for key in range(5):
        put_flushing(known, key, key, 2)
        assert len(known) <= 2
    assert known == {4: 4}
