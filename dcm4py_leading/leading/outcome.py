"""Outcome of the lookup of one study, and counts of each."""

from __future__ import annotations

import enum
import operator
import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from pydicom import Dataset

from dcm4py_leading.coercion.question import LeadingAnswer
from dcm4py_leading.errors import LeadingMismatch, LeadingRefused, LeadingUnavailable, LeadingUnreadable
from dcm4py_leading.leading.breaker import CLOSED_FIRST, BreakerState
from dcm4py_leading.model.values import AETitle

LATENCY_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the buckets of `Latency`, in seconds; one more bucket holds what took longer."""


class LookupOutcome(enum.Enum):
    """Outcome of a question; each question has exactly one."""

    HIT = "hit"
    """Remembered, be it that the study is unknown there."""
    MISS = "miss"
    """Asked, and found."""
    JOINED = "joined"
    """Another request was asking already, and got an answer."""
    STALE_SERVED = "stale-served"
    """No answer now: this is the last known one."""
    NOT_FOUND = "not-found"
    """Asked, and unknown there."""
    REFUSED_BY_BREAKER = "refused-by-breaker"
    """Not asked: the archive failed several times in a row."""
    FAILED = "failed"
    MISMATCH = "mismatch"
    """Answered with another study, or with this one twice."""
    UNREADABLE = "unreadable"
    """Answered with what cannot be read, such as text that cannot be decoded as it is declared."""


NO_ANSWER = (
    LookupOutcome.REFUSED_BY_BREAKER,
    LookupOutcome.FAILED,
    LookupOutcome.MISMATCH,
    LookupOutcome.UNREADABLE,
)
"""Outcomes without an answer that can be used."""


@dataclass(frozen=True, slots=True)
class LookupResult:
    """An answer and its outcome."""

    answer: LeadingAnswer
    outcome: LookupOutcome


def result_of(answer: LeadingAnswer) -> LookupResult:
    """The result of a question that was sent to the archive."""
    match answer:
        case None:
            return LookupResult(answer, LookupOutcome.NOT_FOUND)
        case Dataset():
            return LookupResult(answer, LookupOutcome.MISS)
        case LeadingMismatch():
            return LookupResult(answer, LookupOutcome.MISMATCH)
        case LeadingUnreadable():
            return LookupResult(answer, LookupOutcome.UNREADABLE)
        case LeadingRefused():
            return LookupResult(answer, LookupOutcome.REFUSED_BY_BREAKER)
        case LeadingUnavailable():
            return LookupResult(answer, LookupOutcome.FAILED)
        case _:
            assert_never(answer)


def outcome_by_keys(found: Sequence[Dataset] | LeadingUnavailable) -> LookupOutcome:
    """The outcome of a query by matching keys; too many matches are a failure."""
    if isinstance(found, LeadingUnavailable):
        return result_of(found).outcome
    return LookupOutcome.MISS if found else LookupOutcome.NOT_FOUND


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Latency of the C-FINDs to one archive, failed ones included."""

    buckets: tuple[int, ...] = (0,) * (len(LATENCY_BOUNDS) + 1)
    """Number of C-FINDs in each bucket of LATENCY_BOUNDS; not cumulative."""
    total_seconds: float = 0.0

    @property
    def count(self) -> int:
        """Number of C-FINDs."""
        return sum(self.buckets)

    @property
    def average(self) -> float | None:
        """Average seconds of a C-FIND; None if there was none."""
        return self.total_seconds / self.count if self.count else None

    def observe(self, seconds: float) -> Latency:
        """The latency with one more C-FIND."""
        at = bisect_left(LATENCY_BOUNDS, seconds)
        buckets = tuple(n + (i == at) for i, n in enumerate(self.buckets))
        return Latency(buckets=buckets, total_seconds=self.total_seconds + seconds)

    def quantile(self, fraction: float) -> float | None:
        """Seconds that this share of the C-FINDs took at most, estimated within its bucket; None if there was none.

        For the last bucket only the lower bound is known.
        """
        wanted, below, lower = self.count * fraction, 0, 0.0
        for count, upper in zip(self.buckets, LATENCY_BOUNDS, strict=False):
            if count and below + count >= wanted:
                return lower + (upper - lower) * (wanted - below) / count
            below, lower = below + count, upper
        return lower if self.count else None

    def plus(self, other: Latency) -> Latency:
        """With those of another process."""
        buckets = tuple(map(operator.add, self.buckets, other.buckets))
        return Latency(buckets=buckets, total_seconds=self.total_seconds + other.total_seconds)

    def since(self, before: Latency) -> Latency:
        """The C-FINDs since an earlier reading of the same counts."""
        buckets = tuple(map(operator.sub, self.buckets, before.buckets))
        return Latency(buckets=buckets, total_seconds=self.total_seconds - before.total_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupCounts:
    """Counts of what a lookup has done so far, by AE title of the leading archive."""

    outcomes: Mapping[AETitle, Mapping[LookupOutcome, int]] = field(default_factory=dict)
    """In studies."""
    latency: Mapping[AETitle, Latency] = field(default_factory=dict)
    one_by_one: frozenset[AETitle] = frozenset()
    """Archives that cannot be asked for several studies at once."""
    breakers: Mapping[tuple[AETitle, AETitle], BreakerState] = field(default_factory=dict)
    """By local and leading AE title."""
    cache_size: int = 0
    """Studies in the cache."""
    under_way: Mapping[AETitle, int] = field(default_factory=dict)
    """C-FINDs that have not ended, those included that wait for an association."""
    waiting: Mapping[AETitle, int] = field(default_factory=dict)
    """Studies whose answer is waited for."""

    def total(self, outcome: LookupOutcome) -> int:
        """Number of studies that ended so, with all archives."""
        return sum(counts.get(outcome, 0) for counts in self.outcomes.values())

    def plus(self, other: LookupCounts) -> LookupCounts:
        """Sum with another process; of two breakers, the stricter state."""
        return LookupCounts(
            outcomes=sum_of_outcomes(self.outcomes, other.outcomes),
            latency={
                scp: self.latency.get(scp, Latency()).plus(other.latency.get(scp, Latency()))
                for scp in self.latency.keys() | other.latency.keys()
            },
            one_by_one=self.one_by_one | other.one_by_one,
            breakers={
                aes: max(
                    (counts.breakers[aes] for counts in (self, other) if aes in counts.breakers),
                    key=CLOSED_FIRST.index,
                )
                for aes in self.breakers.keys() | other.breakers.keys()
            },
            cache_size=self.cache_size + other.cache_size,
            under_way=Counter(self.under_way) + Counter(other.under_way),
            waiting=Counter(self.waiting) + Counter(other.waiting),
        )


Outcomes = Mapping[AETitle, Mapping[LookupOutcome, int]]


def sum_of_outcomes(one: Outcomes, other: Outcomes) -> Outcomes:
    """The counts of both."""
    return {scp: dict(Counter(one.get(scp, {})) + Counter(other.get(scp, {}))) for scp in one.keys() | other.keys()}


class Tally:
    """Running counts of a lookup. Safe under threads."""

    def __init__(self) -> None:
        self._outcomes: dict[AETitle, Counter[LookupOutcome]] = {}
        self._latency: dict[AETitle, Latency] = {}
        self._under_way: Counter[AETitle] = Counter()
        self._lock = threading.Lock()

    def count(self, leading_cfind_scp: AETitle, outcomes: Iterable[LookupOutcome]) -> None:
        """Count outcomes of questions."""
        with self._lock:
            self._outcomes.setdefault(leading_cfind_scp, Counter()).update(outcomes)

    def begin(self, leading_cfind_scp: AETitle) -> None:
        """Count the start of a C-FIND; `observe` counts its end."""
        with self._lock:
            self._under_way[leading_cfind_scp] += 1

    def observe(self, leading_cfind_scp: AETitle, seconds: float) -> None:
        """Count a C-FIND that has ended, and how long it took."""
        with self._lock:
            self._under_way[leading_cfind_scp] -= 1
            self._latency[leading_cfind_scp] = self._latency.get(leading_cfind_scp, Latency()).observe(seconds)

    def outcomes(self) -> dict[AETitle, dict[LookupOutcome, int]]:
        """The outcomes so far."""
        with self._lock:
            return {scp: dict(counts) for scp, counts in self._outcomes.items()}

    def latency(self) -> dict[AETitle, Latency]:
        """The latencies so far."""
        with self._lock:
            return dict(self._latency)

    def under_way(self) -> dict[AETitle, int]:
        """The C-FINDs under way now."""
        with self._lock:
            return dict(+self._under_way)
