"""The last hours of a leading archive: the lines of its plots, and the same as a table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from dcm4py_leading.leading.breaker import BreakerState
from dcm4py_leading.leading.outcome import LookupOutcome
from dcm4py_leading.model.values import AETitle
from dcm4py_leading.service.leading.interval import Interval, Traffic
from dcm4py_leading.web.pages.texts import Language, translate

_NOTHING = "–"
REMEMBERED = (LookupOutcome.HIT,)
ASKED = (LookupOutcome.MISS, LookupOutcome.NOT_FOUND, LookupOutcome.JOINED)
LAST_KNOWN = (LookupOutcome.STALE_SERVED,)
NO_ANSWER = (
    LookupOutcome.FAILED,
    LookupOutcome.REFUSED_BY_BREAKER,
    LookupOutcome.MISMATCH,
    LookupOutcome.UNREADABLE,
)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a plot."""

    text: str
    """Key of its name."""
    colour: str
    """Its variable in style.css."""
    keys: tuple[str, ...]
    """The columns of the history as JSON of which it is the sum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A plot."""

    text: str
    """Key of its title."""
    unit: str
    """``seconds``, ``share`` (0 to 1), ``count``, or ``rate``: of a count, so many in a minute."""
    lines: tuple[Line, ...]

    def lines_json(self, language: Language) -> str:
        """The lines as plots.js wants them."""
        return json.dumps(
            [{"label": translate(language, line.text), "colour": line.colour, "keys": line.keys} for line in self.lines]
        )


def _columns(outcomes: Sequence[LookupOutcome]) -> tuple[str, ...]:
    return tuple(outcome.value for outcome in outcomes)


PLOTS = (
    Plot(
        text="leading.latency",
        unit="seconds",
        lines=(
            Line("leading.p50", "--accent", ("p50Seconds",)),
            Line("leading.p95", "--warn", ("p95Seconds",)),
            Line("leading.average", "--muted", ("averageSeconds",)),
        ),
    ),
    Plot(
        text="leading.hit_rate",
        unit="share",
        lines=(Line("leading.hit_rate", "--accent", ("hitRate",)),),
    ),
    Plot(
        text="leading.studies_rate",
        unit="rate",
        lines=(
            Line("leading.remembered", "--good", _columns(REMEMBERED)),
            Line("leading.asked", "--accent", _columns(ASKED)),
            Line("leading.served_stale", "--warn", _columns(LAST_KNOWN)),
            Line("leading.no_answer", "--bad", _columns(NO_ANSWER)),
        ),
    ),
    Plot(
        text="leading.queue",
        unit="count",
        lines=(
            Line("leading.under_way", "--accent", ("queriesUnderWay",)),
            Line("leading.waiting", "--warn", ("waitingStudies",)),
        ),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """An interval of one archive in words; without ``cells`` nothing is known of it."""

    ends_at: datetime
    cells: tuple[str, ...] = ()
    breaker: BreakerState | None = None


COLUMNS = (
    "leading.studies",
    "leading.hit_rate",
    "leading.p50",
    "leading.p95",
    "leading.average",
    "leading.served_stale",
    "leading.no_answer",
    "leading.under_way",
    "leading.waiting",
)
"""The texts of the columns of `TableRow.cells`."""


def is_worth_telling(title: AETitle, intervals: Sequence[Interval]) -> bool:
    """True unless it is known that nothing was looked up in the archive."""
    return any(not one.is_known or one.archives.get(title, Traffic()).studies for one in intervals)


def rows_of(title: AETitle, intervals: Sequence[Interval], language: Language) -> Iterator[TableRow]:
    """The rows of an archive, the latest first."""
    for interval in reversed(intervals):
        if interval.is_known:
            traffic = interval.archives.get(title, Traffic())
            cells = tuple(_cells(title, interval, traffic, language))
            yield TableRow(ends_at=interval.ends_at, cells=cells, breaker=traffic.breaker)
        else:
            yield TableRow(ends_at=interval.ends_at)


def _cells(title: AETitle, interval: Interval, traffic: Traffic, language: Language) -> Iterator[str]:
    yield str(traffic.studies)
    yield _NOTHING if traffic.hit_rate is None else f"{traffic.hit_rate:.0%}"
    for seconds in (traffic.latency.quantile(0.5), traffic.latency.quantile(0.95), traffic.latency.average):
        yield _NOTHING if seconds is None else f"{seconds * 1000:.0f} ms"
    for outcomes in (LAST_KNOWN, NO_ANSWER):
        yield str(sum(traffic.outcomes.get(outcome, 0) for outcome in outcomes))
    yield _decimal(interval.under_way(title) or 0.0, language)
    yield str(traffic.waiting)


def _decimal(number: float, language: Language) -> str:
    text = f"{number:.2f}"
    return text.replace(".", ",") if language is Language.GERMAN else text
