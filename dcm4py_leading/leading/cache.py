"""Answers of leading archives, remembered for a while and asked for once, however many want them."""

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
from dcm4py_leading.leading.query import StudyAttributes
from dcm4py_leading.model.values import UID

Fetch = Callable[[Sequence[UID]], Mapping[UID, StudyAttributes]]
"""Asks the leading archive; a study that is unknown there has no entry. Raises LeadingUnavailable."""

_Key = tuple[Hashable, UID]


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheCounts:
    """How often each happened, in studies; failures in questions that a leading archive did not answer."""

    hits: int = 0
    misses: int = 0
    joined: int = 0
    """Wanted while somebody else was asking already."""
    failures: int = 0


class LeadingCache:
    """Least recently used goes first; "unknown" is an answer and is remembered, a failure never.

    Safe under threads: one lock, which is never held while an archive is asked or somebody is waited for.
    """

    def __init__(
        self,
        *,
        max_size: int,
        stale_after: timedelta | None,
        clock: Callable[[], float],
        page_size: int,
        join_timeout: timedelta,
    ) -> None:
        """``max_size`` in studies, 0 is unlimited; ``stale_after`` None is never; ``page_size`` studies a question.

        ``clock`` counts seconds and never goes back. ``join_timeout`` bounds the waiting for another thread's answer.
        """
        size = max_size or math.inf
        self._answers: Cache[_Key, StudyAttributes | None]
        if stale_after is None:
            self._answers = LRUCache(size)
        else:
            self._answers = TTLCache(size, ttl=stale_after.total_seconds(), timer=clock)
        self._clock = clock
        self._page_size = page_size
        self._join_timeout = join_timeout
        self._flights: dict[_Key, Future[LeadingAnswer]] = {}
        self._counts = CacheCounts()
        self._lock = threading.Lock()

    @property
    def counts(self) -> CacheCounts:
        """The counts so far."""
        with self._lock:
            return self._counts

    def get_many(self, source: Hashable, study_instance_uids: Iterable[UID], fetch: Fetch) -> dict[UID, LeadingAnswer]:
        """The answer for each study; LeadingUnavailable is among the answers, not raised.

        ``source`` names the archive and whatever else makes answers differ. Studies that nobody else is asking for go
        to ``fetch``, a page at a time; after a page that fails, the rest fails with it.
        """
        answers: dict[UID, LeadingAnswer] = {}
        mine: list[UID] = []
        theirs: dict[UID, Future[LeadingAnswer]] = {}
        with self._lock:
            for uid in dict.fromkeys(study_instance_uids):
                try:
                    answers[uid] = self._answers[source, uid]
                except KeyError:
                    if flight := self._flights.get((source, uid)):
                        theirs[uid] = flight
                    else:
                        self._flights[source, uid] = Future()
                        mine.append(uid)
            self._count(hits=len(answers), misses=len(mine), joined=len(theirs))
        # Own flights land first: who waits for them does not have to wait for those that we wait for. All flights of
        # a call start at one moment, so a call waits only for earlier ones and nobody waits in a circle.
        answers |= self._ask(source, mine, fetch)
        answers |= self._join(theirs)
        return answers

    def _ask(self, source: Hashable, uids: Sequence[UID], fetch: Fetch) -> dict[UID, LeadingAnswer]:
        asked: dict[UID, LeadingAnswer] = {}
        # What the waiting get when fetch ends in an exception that is not foreseen.
        failure = LeadingUnavailable("the leading archive could not be asked")
        try:
            for start in range(0, len(uids), self._page_size):
                page = uids[start : start + self._page_size]
                fetched = fetch(page)
                found = {uid: fetched.get(uid) for uid in page}
                self._land(source, found, remember=True)
                asked |= found
        except LeadingUnavailable as err:
            failure = err
        finally:
            rest = {uid: failure for uid in uids if uid not in asked}
            if rest:
                self._land(source, rest, remember=False)
        return asked | rest

    def _land(self, source: Hashable, answers: Mapping[UID, LeadingAnswer], *, remember: bool) -> None:
        """End the flights of these studies and tell whoever waits for them."""
        with self._lock:
            flights = [(self._flights.pop((source, uid)), answer) for uid, answer in answers.items()]
            for uid, answer in answers.items():
                if not isinstance(answer, LeadingUnavailable):
                    self._answers[source, uid] = answer
            if not remember:
                self._count(failures=1)
        for flight, answer in flights:
            flight.set_result(answer)

    def _join(self, flights: Mapping[UID, Future[LeadingAnswer]]) -> dict[UID, LeadingAnswer]:
        joined: dict[UID, LeadingAnswer] = {}
        deadline = self._clock() + self._join_timeout.total_seconds()
        for uid, flight in flights.items():
            try:
                joined[uid] = flight.result(timeout=max(0.0, deadline - self._clock()))
            except TimeoutError:
                joined[uid] = LeadingUnavailable(
                    f"another request has been asking for more than {self._join_timeout.total_seconds():g} s"
                )
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
