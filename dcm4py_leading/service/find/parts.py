"""A part of the matches of an archive that gives only all of them: they are sorted here, and cut.

As few are kept as the part needs. The order ends with the unique key of the level, so that parts that are asked for one
after the other have each match once.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from dcm4py_leading.archive.index.attributes import decode
from dcm4py_leading.archive.index.keys import (
    ISSUER_OF_PATIENT_ID,
    KEY_OF,
    UNIQUE_KEYS,
    Comparison,
    compared_values,
)
from dcm4py_leading.archive.index.querying.match import Match
from dcm4py_leading.archive.index.querying.query import Part
from dcm4py_leading.dataset.text.charset import SPECIFIC_CHARACTER_SET
from dcm4py_leading.errors import TooManyMatches
from dcm4py_leading.leading.settings import Flush
from dcm4py_leading.model.bounds import SORTED_MATCHES
from dcm4py_leading.model.values import Level
from dcm4py_leading.service.find.response import elements_by_tag

T = TypeVar("T")
_PAGE = 100


@dataclass(slots=True)
class Total:
    """Number of all matches, of which a part is answered; None as long as it is not known."""

    count: int | None = None


def part_of_matches(matches: Iterable[Match | Flush], part: Part, level: Level, total: Total) -> Iterator[Match]:
    """The part, sorted by the values that the archive has. Raises TooManyMatches."""
    found: _Sorted[Match] = _Sorted(part, level, lambda match: match.encoded_attributes)
    for match in matches:
        if not isinstance(match, Flush):
            found.add(match)
    total.count = found.count
    yield from found.part()


def part_of_answers(
    pages: Generator[Sequence[bytes]], part: Part, level: Level, total: Total
) -> Generator[Sequence[bytes]]:
    """The part, sorted by the values that are delivered. Raises TooManyMatches."""
    found: _Sorted[bytes] = _Sorted(part, level, lambda answer: (answer,))
    with closing(pages):
        for page in pages:
            for answer in page:
                found.add(answer)
    total.count = found.count
    answers = found.part()
    for first in range(0, len(answers), _PAGE):
        yield answers[first : first + _PAGE]


class _Sorted(Generic[T]):
    """Entities of which the first in an order are kept."""

    def __init__(self, part: Part, level: Level, levels_of: Callable[[T], Sequence[bytes]]) -> None:
        """``levels_of`` gives the encoded attributes of an entity, from the top down."""
        self._part = part
        self._unique = (UNIQUE_KEYS[level], *((ISSUER_OF_PATIENT_ID,) if level is Level.PATIENT else ()))
        self._levels_of = levels_of
        self._needed = None if part.limit is None else part.offset + part.limit
        self._kept: list[tuple[list[str | None], T]] = []
        self.count = 0

    def add(self, entity: T) -> None:
        """One more. Raises TooManyMatches."""
        self.count += 1
        tags = (*(one.tag for one in self._part.order), *self._unique)
        self._kept.append((_values(self._levels_of(entity), tags), entity))
        if len(self._kept) > SORTED_MATCHES:
            self._sort()
            if len(self._kept) > SORTED_MATCHES:
                raise TooManyMatches(f"more than {SORTED_MATCHES} matches to be sorted")

    def part(self) -> list[T]:
        """The part that is wanted."""
        self._sort()
        return [entity for _, entity in self._kept[self._part.offset :]]

    def _sort(self) -> None:
        self._kept.sort(key=lambda one: [text or "" for text in one[0][len(self._part.order) :]])
        for number, order in reversed(tuple(enumerate(self._part.order))):
            self._kept.sort(key=partial(_text, number), reverse=order.is_descending)
            self._kept.sort(key=partial(_is_absent, number))
        if self._needed is not None:
            del self._kept[self._needed :]


def _text(number: int, one: tuple[list[str | None], object]) -> str:
    return one[0][number] or ""


def _is_absent(number: int, one: tuple[list[str | None], object]) -> bool:
    return one[0][number] is None


def _values(levels: Sequence[bytes], tags: Sequence[int]) -> list[str | None]:
    """Values of keys in the form in which they are compared."""
    found: dict[int, bytes] = {}
    for level in levels:
        elements = elements_by_tag(level)
        found.update((tag, elements[tag]) for tag in (*tags, SPECIFIC_CHARACTER_SET) if tag in elements)
    ds = decode(b"".join(found[tag] for tag in sorted(found)))
    return [_sortable(compared_values(ds, KEY_OF[tag])[0], KEY_OF[tag].comparison) for tag in tags]


def _sortable(text: str | None, comparison: Comparison) -> str | None:
    """Text that has the order of the values; an integer has 12 characters at most (PS3.5 6.2)."""
    if text is None or comparison is not Comparison.NUMBER:
        return text
    return f"{int(text) + 10**12:014d}"
