"""Pause before a failed question is asked again."""

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
    """Remembers failed questions for seconds, apart from the answers. Safe under threads.

    The first retry is free, since one lost association is no outage; after each further failure in a row the question
    rests for the pause.
    """

    def __init__(self, pause: timedelta, clock: Callable[[], float]) -> None:
        self._pause = pause.total_seconds()
        self._clock = clock
        self._failures: LRUCache[Hashable, _Failure] = LRUCache(UNREACHABLE_QUESTIONS)
        self._lock = threading.Lock()

    def resting(self, question: Hashable) -> LeadingUnavailable | None:
        """Why the question is not to be asked now; None: it may be."""
        if not self._failures:  # the usual case, asked for each match of a query
            return None
        with self._lock:
            failure = self._failures.get(question)
            return failure.reason if failure is not None and self._clock() < failure.until else None

    def failed(self, question: Hashable, reason: LeadingUnavailable) -> None:
        """The question was asked and got no answer."""
        with self._lock:
            before = self._failures.get(question)
            failures = 1 if before is None else before.failures + 1
            until = self._clock() + (self._pause if failures > 1 else 0.0)
            self._failures[question] = _Failure(failures, until, reason)

    def answered(self, questions: Iterable[Hashable]) -> None:
        """The questions got answers."""
        with self._lock:
            for question in questions:
                self._failures.pop(question, None)
