"""Last hours of an archive, as plots and as a table."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from dcm4py_leading.leading.outcome import LookupOutcome
from dcm4py_leading.model.values import AETitle
from dcm4py_leading.service.leading.interval import Interval, Requests, Traffic
from dcm4py_leading.service.leading.overview import Overview
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


BEHIND_PLOTS = (
    Plot(
        text="leading.requests_rate",
        unit="rate",
        lines=(
            Line("leading.answered", "--accent", ("answered",)),
            Line("leading.failed", "--bad", ("failed",)),
        ),
    ),
)

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
    "leading.breaker",
)
BEHIND_COLUMNS = ("leading.answered", "leading.failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivePlots:
    """The last hours of one archive."""

    kind: str
    """Member of the history as JSON that has it."""
    title: str
    plots: tuple[Plot, ...]
    columns: tuple[str, ...]
    """The texts of the columns."""
    rows: tuple[tuple[datetime, tuple[str, ...]], ...]
    """End and cells of each interval, the latest first; without cells nothing is known of it. None of an archive of
    which it is known that it was not asked."""


def archive_plots(found: Overview, intervals: Sequence[Interval], language: Language) -> Iterator[ArchivePlots]:
    """The archives that are asked."""
    for title in (AETitle(archive.ae_title) for archive in found.leading):
        is_asked = any(not one.is_known or _traffic(title, one).studies for one in intervals)
        rows = _rows(intervals, partial(_cells, title, language)) if is_asked else ()
        yield ArchivePlots(kind="leadingArchives", title=title, plots=PLOTS, columns=COLUMNS, rows=tuple(rows))
    for name in (archive.ae_title for archive in found.behind):
        is_asked = any(not one.is_known or _requests(name, one) != Requests() for one in intervals)
        rows = _rows(intervals, partial(_behind_cells, name)) if is_asked else ()
        yield ArchivePlots(kind="archives", title=name, plots=BEHIND_PLOTS, columns=BEHIND_COLUMNS, rows=tuple(rows))


def _rows(
    intervals: Sequence[Interval], cells: Callable[[Interval], Iterator[str]]
) -> Iterator[tuple[datetime, tuple[str, ...]]]:
    for one in reversed(intervals):
        yield one.ends_at, tuple(cells(one)) if one.is_known else ()


def _traffic(title: AETitle, interval: Interval) -> Traffic:
    return interval.archives.get(title, Traffic())


def _requests(title: str, interval: Interval) -> Requests:
    return interval.behind.get(title, Requests())


def _behind_cells(title: str, interval: Interval) -> Iterator[str]:
    requests = _requests(title, interval)
    yield str(requests.answered)
    yield str(requests.failed)


def _cells(title: AETitle, language: Language, interval: Interval) -> Iterator[str]:
    traffic = _traffic(title, interval)
    yield str(traffic.studies)
    yield _NOTHING if traffic.hit_rate is None else f"{traffic.hit_rate:.0%}"
    for seconds in (traffic.latency.quantile(0.5), traffic.latency.quantile(0.95), traffic.latency.average):
        yield _NOTHING if seconds is None else f"{seconds * 1000:.0f} ms"
    for outcomes in (LAST_KNOWN, NO_ANSWER):
        yield str(sum(traffic.outcomes.get(outcome, 0) for outcome in outcomes))
    yield _decimal(interval.under_way(title) or 0.0, language)
    yield str(traffic.waiting)
    state = traffic.breaker
    yield _NOTHING if state is None else translate(language, f"leading.breaker_{state.name.lower()}")


def _decimal(number: float, language: Language) -> str:
    text = f"{number:.2f}"
    return text.replace(".", ",") if language is Language.GERMAN else text
