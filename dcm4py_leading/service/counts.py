"""Counts of coercions, by rule, step and outcome; for /metrics. They go on over reloads."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping

Key = tuple[str, str, str]
"""cn of the rule, name of the step, outcome."""


class CoercionCounts:
    """Counted by all threads; one lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[Key] = Counter()

    def count(self, rule: str, step: str, outcome: str) -> None:
        """One step of one coercion ended."""
        with self._lock:
            self._counts[rule, step, outcome] += 1

    def read(self) -> Mapping[Key, int]:
        """The counts so far."""
        with self._lock:
            return dict(self._counts)
