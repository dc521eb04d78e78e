"""What the service has done, for /metrics: coercions by rule, step and outcome, transcoding. Goes on over reloads."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping

Key = tuple[str, str, str]
"""cn of the rule, name of the step, outcome."""


class ServiceCounts:
    """Counted by all threads; one lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[Key] = Counter()
        self._transcoded = 0

    def count(self, ended: Iterable[Key]) -> None:
        """Steps of coercions ended."""
        with self._lock:
            self._counts.update(ended)

    def read(self) -> Mapping[Key, int]:
        """The counts so far."""
        with self._lock:
            return dict(self._counts)

    def count_transcoded(self, objects: int) -> None:
        """So many objects of a retrieve left in another transfer syntax than they are stored in."""
        with self._lock:
            self._transcoded += objects

    @property
    def transcoded(self) -> int:
        """How many objects so far left in another transfer syntax than they are stored in."""
        with self._lock:
            return self._transcoded
