"""Counts for /metrics: coercions by rule, step and outcome, transcoding. They go on over reloads."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping

from dcm4py_leading.coercion.chain import ExecutedStep

Key = tuple[str, str, str]
"""cn of the rule, name of the step, outcome."""


def keys_of(executed: Iterable[ExecutedStep]) -> tuple[Key, ...]:
    """Steps that were carried out, as they are counted."""
    return tuple((done.rule.rule.cn, done.step.name, done.outcome.value) for done in executed)


RequestKey = tuple[str, str, int]
"""Service such as C-MOVE, AE of ours, final status."""
ObjectKey = tuple[str, str]
"""AE of ours, and what became of an object to be sent: ``sent`` or ``failed``."""


class ServiceCounts:
    """Counted by all threads; one lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[Key] = Counter()
        self._transcoded = 0
        self._requests: Counter[RequestKey] = Counter()
        self._objects: Counter[ObjectKey] = Counter()

    def count(self, ended: Iterable[Key]) -> None:
        """Steps of coercions ended."""
        with self._lock:
            for key in ended:  # Counter.update asks first if it is a mapping, which takes longer
                self._counts[key] += 1

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
        """Number of objects so far that left in another transfer syntax than they are stored in."""
        with self._lock:
            return self._transcoded

    def count_request(self, service: str, ae_title: str, status: int) -> None:
        """A request to one of our AEs was answered with this final status."""
        with self._lock:
            self._requests[service, ae_title, status] += 1

    def requests(self) -> Mapping[RequestKey, int]:
        """The requests so far."""
        with self._lock:
            return dict(self._requests)

    def count_objects(self, ae_title: str, *, sent: int, failed: int) -> None:
        """A retrieve ended: so many objects arrived, and so many did not."""
        with self._lock:
            self._objects[ae_title, "sent"] += sent
            self._objects[ae_title, "failed"] += failed

    def objects(self) -> Mapping[ObjectKey, int]:
        """The objects of retrieves so far."""
        with self._lock:
            return dict(self._objects)
