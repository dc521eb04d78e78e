"""Windows of Study Date and Study Time, each small enough for one query to another archive. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import TypeVar

T = TypeVar("T")

SECONDS_OF_A_DAY = 24 * 60 * 60


def windows(
    first: int, last: int, ask: Callable[[int, int], Sequence[T] | None], few: int
) -> Iterator[tuple[int, Sequence[T] | None]]:
    """The numbers from ``first`` to ``last`` in windows: the last number of each, and what ``ask`` finds in it.

    A window for which ``ask`` says None, for there is too much in it, is halved; after one with fewer than ``few``,
    the next one is twice as wide. None stands for a window of a single number that still has too much.
    """
    width = last - first + 1
    while first <= last:
        end = min(first + width - 1, last)
        found = ask(first, end)
        if found is None and end > first:
            width = (end - first + 1) // 2
            continue
        yield end, found
        first = end + 1
        if found is not None and len(found) < few:
            width *= 2


def date_text(ordinal: int) -> str:
    """A day, as `date.toordinal` counts them, as a value of VR DA."""
    return date.fromordinal(ordinal).isoformat().replace("-", "")


def key_range(low: str | None, high: str | None) -> str:
    """The key for a range of values, both ends included; None is open (PS3.4 C.2.2.2.5)."""
    return low if low is not None and low == high else f"{low or ''}-{high or ''}"


def time_range(first: int, last: int) -> str:
    """The key for seconds of a day, both included with their fractions.

    Its ends are written such that an archive that compares texts finds the same as one that compares times: a Study
    Time may leave out seconds and minutes.
    """
    hours, minutes, seconds = first // 3600, first // 60 % 60, first % 60
    low = f"{hours:02}" + (f"{minutes:02}" if minutes or seconds else "") + (f"{seconds:02}" if seconds else "")
    return f"{low}-{last // 3600:02}{last // 60 % 60:02}{last % 60:02}.999999"
