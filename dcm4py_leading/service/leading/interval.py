"""Queries to archives within an interval: differences of counters that may restart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import groupby
from typing import Protocol

from dcm4py_leading.leading.breaker import CLOSED_FIRST, BreakerState
from dcm4py_leading.leading.contacts import ContactKey
from dcm4py_leading.leading.outcome import Latency, LookupCounts, LookupOutcome
from dcm4py_leading.model.values import AETitle
from dcm4py_leading.service.leading.overview import ServiceCounters


class ServiceSample(ServiceCounters, Protocol):
    """Counters of the service at one moment, for the history; `service.monitor.measured.Measured` is one.

    Counts are those since ``loaded_at``, or since a process was started.
    """

    @property
    def loaded_at(self) -> datetime:
        """Time when the configuration in force was loaded, which resets counters."""
        ...

    @property
    def workers(self) -> int:
        """Number of processes that answered."""
        ...

    @property
    def worker_restarts(self) -> int:
        """Number of processes that took the place of others."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Queries to one leading archive within an interval."""

    outcomes: Mapping[LookupOutcome, int] = field(default_factory=dict)
    """In studies."""
    latency: Latency = field(default_factory=Latency)
    """Latency of the C-FINDs that ended."""
    waiting: int = 0
    """Studies whose answer was waited for at its end; of several intervals the most."""
    breaker: BreakerState | None = None
    """The state at its end, of several local AEs or intervals the worst; None if nothing was asked yet."""

    @property
    def studies(self) -> int:
        """Number of studies that were looked up."""
        return sum(self.outcomes.values())

    @property
    def hit_rate(self) -> float | None:
        """Share of studies answered from the cache; None if none was looked up."""
        return self.outcomes.get(LookupOutcome.HIT, 0) / self.studies if self.studies else None

    @property
    def went_back(self) -> bool:
        """True if a counter is lower than it was."""
        return any(count < 0 for count in (*self.outcomes.values(), *self.latency.buckets))

    def plus(self, other: Traffic) -> Traffic:
        """Sum of both intervals."""
        return Traffic(
            outcomes=Counter(self.outcomes) + Counter(other.outcomes),
            latency=self.latency.plus(other.latency),
            waiting=max(self.waiting, other.waiting),
            breaker=_worst(state for state in (self.breaker, other.breaker) if state is not None),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """Requests to one archive behind us within an interval."""

    answered: int = 0
    failed: int = 0

    @property
    def went_back(self) -> bool:
        """True if a counter is lower than it was."""
        return self.answered < 0 or self.failed < 0

    def plus(self, other: Requests) -> Requests:
        """Sum of both intervals."""
        return Requests(answered=self.answered + other.answered, failed=self.failed + other.failed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Time between two samples, or several such times one after the other."""

    ends_at: datetime
    seconds: float
    """Time of which something is known; 0 where that is none."""
    archives: Mapping[AETitle, Traffic] = field(default_factory=dict)
    """Leading archives by AE title."""
    behind: Mapping[str, Requests] = field(default_factory=dict)
    """Archives behind us by AE title."""

    @property
    def is_known(self) -> bool:
        """False if counters were lost with a process."""
        return self.seconds > 0

    def under_way(self, ae_title: AETitle) -> float | None:
        """C-FINDs under way on average (Little's law); a C-FIND counts where it ends."""
        traffic = self.archives.get(ae_title, Traffic())
        return traffic.latency.total_seconds / self.seconds if self.is_known else None

    def plus(self, later: Interval) -> Interval:
        """With the interval after it."""
        titles = self.archives.keys() | later.archives.keys()
        return Interval(
            ends_at=later.ends_at,
            seconds=self.seconds + later.seconds,
            archives={
                title: self.archives.get(title, Traffic()).plus(later.archives.get(title, Traffic()))
                for title in titles
            },
            behind={
                title: self.behind.get(title, Requests()).plus(later.behind.get(title, Requests()))
                for title in self.behind.keys() | later.behind.keys()
            },
        )


def between(before: ServiceSample, after: ServiceSample, *, seconds: float, ends_at: datetime) -> Interval:
    """The interval between two samples, which are ``seconds`` apart.

    A new configuration resets the counters, so earlier counts are lost. If a process started, ended or did not answer,
    the sum is not meaningful, and the interval is unknown.
    """
    unknown = Interval(ends_at=ends_at, seconds=0)
    if (before.workers, before.worker_restarts) != (after.workers, after.worker_restarts):
        return unknown
    is_same = before.loaded_at == after.loaded_at
    base = before.lookups if is_same else LookupCounts()
    titles = after.lookups.outcomes.keys() | after.lookups.latency.keys() | base.outcomes.keys()
    archives = {title: _traffic(base, after.lookups, title) for title in titles}
    behind = _requests(before.contacts.asked if is_same else {}, after.contacts.asked)
    if any(one.went_back for one in archives.values()) or any(one.went_back for one in behind.values()):
        return unknown
    return Interval(ends_at=ends_at, seconds=seconds, archives=archives, behind=behind)


def in_steps(intervals: Iterable[Interval], step: timedelta) -> Iterator[Interval]:
    """Intervals put together to steps of the clock, such as full quarters of an hour; the last one may be shorter."""

    def number(interval: Interval) -> int:
        # What ends on the stroke belongs to the step that ends there.
        return -((interval.ends_at - datetime.fromtimestamp(0, UTC)) // -step)

    for _, group in groupby(intervals, number):
        yield reduce(Interval.plus, group)


def _traffic(before: LookupCounts, after: LookupCounts, title: AETitle) -> Traffic:
    outcomes = Counter(after.outcomes.get(title, {}))
    outcomes.subtract(before.outcomes.get(title, {}))
    breakers = (state for (_, leading), state in after.breakers.items() if leading == title)
    return Traffic(
        outcomes={outcome: count for outcome, count in outcomes.items() if count},
        latency=after.latency.get(title, Latency()).since(before.latency.get(title, Latency())),
        waiting=after.waiting.get(title, 0),
        breaker=_worst(breakers),
    )


def _worst(states: Iterable[BreakerState]) -> BreakerState | None:
    return max(states, key=CLOSED_FIRST.index, default=None)


def _requests(before: Mapping[ContactKey, int], after: Mapping[ContactKey, int]) -> dict[str, Requests]:
    found: dict[str, Requests] = {}
    for key in before.keys() | after.keys():
        _, title, _, outcome = key
        more = {outcome: after.get(key, 0) - before.get(key, 0)}
        found[title] = found.get(title, Requests()).plus(Requests(**more))
    return found
