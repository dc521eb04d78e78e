"""Settings for queries to leading archives for which the dcm4chee schema has no attribute."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from dcm4py_leading.errors import Dcm4pyError

T = TypeVar("T")


class Flush(enum.Enum):
    """Marker among rows: the next row is slow, so pass on the rows so far."""

    FLUSH = "flush"


FLUSH = Flush.FLUSH


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadingSettings:
    """Limits and pauses of the leading lookup."""

    page_size: int = 100
    """Studies in one C-FIND."""
    first_page_size: int = 20
    """Rows that a C-FIND SCP coerces first, so that its first answer comes soon."""
    deadline: timedelta = timedelta(seconds=15)
    """Time that one lookup may take in all."""
    error_pause: timedelta = timedelta(seconds=2)
    """Time for which a study whose question failed twice is not asked for; the first retry is free."""
    breaker_threshold: int = 3
    """Failures in a row after which an archive is asked no more."""
    breaker_pause: timedelta = timedelta(seconds=2)
    """Then, how long until it is tried again."""
    probe_for: timedelta = timedelta(minutes=5)
    """Time of trying in the background; afterwards the next question is the trial. 0: from the beginning."""
    last_known_max_age: timedelta = timedelta(hours=24)
    """Greatest age of an answer that is served while the archive is down."""
    last_known_max_rows: int = 100_000
    """Number of those answers that are kept."""
    associations: int = 4
    """Open associations for each pair of a local AE and a leading archive."""
    association_idle: timedelta = timedelta(seconds=10)
    """Time for which an association is kept that nobody uses."""

    def pages(self, rows: Iterable[T | Flush]) -> Iterator[tuple[T, ...]]:
        """Divide ``rows`` into a small first page and full ones after it; a `FLUSH` ends a page that is not empty.

        Rows before an error are a page, which comes before the error is raised.
        """
        source = iter(rows)
        size = min(self.first_page_size, self.page_size)
        page: list[T] = []
        failure: Dcm4pyError | None = None
        while failure is None:
            try:
                for row in source:
                    if not isinstance(row, Flush):
                        page.append(row)
                    if len(page) == size or (page and isinstance(row, Flush)):
                        break
            except Dcm4pyError as err:
                failure = err
            if not page:
                break
            yield tuple(page)
            page, size = [], self.page_size
        if failure is not None:
            raise failure
