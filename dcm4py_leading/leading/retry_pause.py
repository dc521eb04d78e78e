"""Pause before a failed question is sent again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from datetime import timedelta

from cachetools import LRUCache

from dcm4py_leading.errors import LeadingUnavailable
from dcm4py_leading.model.bounds import UNREACHABLE_QUESTIONS


@dataclass(frozen=True, slots=True)
class _Failure:
    failures: int
    until: float
    reason: LeadingUnavailable


class RetryPause:
    """Memory of failed questions, for some seconds, separate from the cache. Safe under threads.

    The first retry has no pause, as one lost association is not an outage; after each further failure in a row the
    question pauses.
    """

    def __init__(self, pause: timedelta, clock: Callable[[], float]) -> None:
        self._pause = pause.total_seconds()
        self._clock = clock
        self._failures: LRUCache[Hashable, _Failure] = LRUCache(UNREACHABLE_QUESTIONS)
        self._lock = threading.Lock()

    def resting(self, question: Hashable) -> LeadingUnavailable | None:
        """The failure because of which a question pauses; None if it may be sent."""
        if not self._failures:  # the usual case, called for each match of a query
            return None
        with self._lock:
            failure = self._failures.get(question)
            return failure.reason if failure is not None and self._clock() < failure.until else None

    def failed(self, question: Hashable, reason: LeadingUnavailable) -> None:
        """Record a question without an answer."""
        with self._lock:
            before = self._failures.get(question)
            failures = 1 if before is None else before.failures + 1
            until = self._clock() + (self._pause if failures > 1 else 0.0)
            self._failures[question] = _Failure(failures, until, reason)

    def answered(self, questions: Iterable[Hashable]) -> None:
        """Record questions with an answer."""
        with self._lock:
            for question in questions:
                self._failures.pop(question, None)
