"""Cache of answers of leading archives; concurrent requests for one study share one query."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import timedelta

from cachetools import Cache, LRUCache, TTLCache

from dcm4py_leading.coercion.question import LeadingAnswer
from dcm4py_leading.errors import LeadingUnavailable
from dcm4py_leading.leading.outcome import LookupOutcome, LookupResult, result_of
from dcm4py_leading.leading.query import StudyAttributes
from dcm4py_leading.model.values import UID

Fetch = Callable[[Sequence[UID]], Mapping[UID, LeadingAnswer]]
"""Asks the leading archive; a study that is unknown there has no entry. Raises LeadingUnavailable."""

_Key = tuple[Hashable, UID]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadingCacheCounts:
    """Counts of cache events, in studies."""

    hits: int = 0
    misses: int = 0
    joined: int = 0
    """Wanted while somebody else was asking already."""
    failures: int = 0
    """Asked for without an answer."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A cached answer."""

    source: Hashable
    study_instance_uid: UID
    answer: StudyAttributes | None
    age: timedelta


@dataclass(frozen=True, slots=True)
class _Remembered:
    answer: StudyAttributes | None
    since: float


class LeadingCache:
    """LRU cache of answers; "unknown study" is an answer and is cached, a failure is not.

    Safe under threads: one lock, never held during a query or a wait.
    """

    def __init__(
        self, *, max_size: int, stale_after: timedelta | None, clock: Callable[[], float], page_size: int
    ) -> None:
        """``max_size`` in studies, 0: no limit; ``stale_after`` None: never; ``page_size`` studies for each query.

        ``clock`` counts seconds and never goes back.
        """
        size = max_size or math.inf
        self._answers: Cache[_Key, _Remembered]
        if stale_after is None:
            self._answers = LRUCache(size)
        else:
            self._answers = TTLCache(size, ttl=stale_after.total_seconds(), timer=clock)
        self._clock = clock
        self._page_size = page_size
        self._flights: dict[_Key, Future[LeadingAnswer]] = {}
        self._counts = LeadingCacheCounts()
        self._lock = threading.Lock()

    @property
    def counts(self) -> LeadingCacheCounts:
        """The counts so far."""
        with self._lock:
            return self._counts

    def __len__(self) -> int:
        with self._lock:
            return len(self._answers)

    def awaited(self) -> list[Hashable]:
        """The source of each outstanding answer."""
        with self._lock:
            return [source for source, _ in self._flights]

    def entries(self) -> list[Entry]:
        """Cached entries, the oldest answer first."""
        with self._lock:
            now, remembered = self._clock(), list(self._answers.items())
        entries = [Entry(key[0], key[1], kept.answer, timedelta(seconds=now - kept.since)) for key, kept in remembered]
        return sorted(entries, key=lambda entry: entry.age, reverse=True)

    def drop(self, study_instance_uid: UID | None) -> int:
        """Drop the answers for one study, or all, also outstanding ones; return how many were cached."""
        with self._lock:
            doomed = [key for key in self._answers if study_instance_uid in (None, key[1])]
            for key in doomed:
                del self._answers[key]
            for key in [key for key in self._flights if study_instance_uid in (None, key[1])]:
                del self._flights[key]  # callers that wait already get the answer, later ones do not
            return len(doomed)

    def get_many(
        self, source: Hashable, study_instance_uids: Iterable[UID], fetch: Fetch, *, join_timeout: timedelta
    ) -> dict[UID, LookupResult]:
        """The answer for each study; LeadingUnavailable is among the answers, not raised.

        ``source`` names the archive and whatever else makes answers differ. Studies without an outstanding query go to
        ``fetch``, a page at a time; if a page raises, the rest fails with it. ``join_timeout`` limits the time that the
        call waits for queries of other callers, counted from its beginning.
        """
        deadline = self._clock() + join_timeout.total_seconds()
        looked: dict[UID, LookupResult] = {}
        mine: dict[UID, Future[LeadingAnswer]] = {}
        theirs: dict[UID, Future[LeadingAnswer]] = {}
        with self._lock:
            for uid in dict.fromkeys(study_instance_uids):
                try:
                    looked[uid] = LookupResult(self._answers[source, uid].answer, LookupOutcome.HIT)
                except KeyError:
                    if flight := self._flights.get((source, uid)):
                        theirs[uid] = flight
                    else:
                        mine[uid] = self._flights[source, uid] = Future()
            self._count(hits=len(looked), misses=len(mine), joined=len(theirs))
        # Finish our own queries first, so that other callers do not wait for the queries that we wait for. All queries
        # of a call start at one moment, so a call waits only for earlier ones and there is no deadlock.
        looked |= self._ask(source, mine, fetch)
        looked |= self._join(theirs, deadline)
        return looked

    def _ask(
        self, source: Hashable, flights: Mapping[UID, Future[LeadingAnswer]], fetch: Fetch
    ) -> dict[UID, LookupResult]:
        uids = list(flights)
        answers: dict[UID, LeadingAnswer] = {}
        # Given to waiting callers if fetch raises an unexpected exception.
        failure = LeadingUnavailable("the leading archive could not be asked")
        try:
            for start in range(0, len(uids), self._page_size):
                page = uids[start : start + self._page_size]
                fetched = fetch(page)
                found = {uid: fetched.get(uid) for uid in page}
                self._land(source, flights, found)
                answers |= found
        except LeadingUnavailable as err:
            failure = err
        finally:
            rest: dict[UID, LeadingAnswer] = {uid: failure for uid in uids if uid not in answers}
            self._land(source, flights, rest)
        return {uid: result_of(answer) for uid, answer in (answers | rest).items()}

    def _land(
        self, source: Hashable, flights: Mapping[UID, Future[LeadingAnswer]], answers: Mapping[UID, LeadingAnswer]
    ) -> None:
        """Finish the queries of these studies and wake the callers that wait for them."""
        with self._lock:
            for uid, answer in answers.items():
                if self._flights.get((source, uid)) is not flights[uid]:
                    continue  # dropped on the way
                del self._flights[source, uid]
                if not isinstance(answer, LeadingUnavailable):
                    self._answers[source, uid] = _Remembered(answer, self._clock())
            self._count(failures=sum(isinstance(answer, LeadingUnavailable) for answer in answers.values()))
        for uid, answer in answers.items():
            flights[uid].set_result(answer)

    def _join(self, flights: Mapping[UID, Future[LeadingAnswer]], deadline: float) -> dict[UID, LookupResult]:
        joined: dict[UID, LookupResult] = {}
        for uid, flight in flights.items():
            try:
                answer = flight.result(timeout=max(0.0, deadline - self._clock()))
            except TimeoutError:
                answer = LeadingUnavailable("another request that asks for it got no answer in time")
            failed = isinstance(answer, LeadingUnavailable)
            joined[uid] = result_of(answer) if failed else LookupResult(answer, LookupOutcome.JOINED)
        return joined

    def _count(self, *, hits: int = 0, misses: int = 0, joined: int = 0, failures: int = 0) -> None:
        counts = self._counts
        self._counts = replace(
            counts,
            hits=counts.hits + hits,
            misses=counts.misses + misses,
            joined=counts.joined + joined,
            failures=counts.failures + failures,
        )
