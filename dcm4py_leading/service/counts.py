"""Counters for /metrics: coercions by rule, step and outcome, transcoding. They survive reloads."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping

from dcm4py_leading.coercion.chain import ExecutedStep

Key = tuple[str, str, str]
"""cn of the rule, name of the step, outcome."""


def keys_of(executed: Iterable[ExecutedStep]) -> tuple[Key, ...]:
    """Counter keys of executed steps."""
    return tuple((done.rule.rule.cn, done.step.name, done.outcome.value) for done in executed)


RequestKey = tuple[str, str, int]
"""Service such as C-MOVE, AE of ours, final status."""
ObjectKey = tuple[str, str]
"""AE of ours, and what became of an object to be sent: ``sent`` or ``failed``."""


class ServiceCounts:
    """Counters for all threads, with one lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[Key] = Counter()
        self._transcoded = 0
        self._requests: Counter[RequestKey] = Counter()
        self._objects: Counter[ObjectKey] = Counter()

    def count(self, ended: Iterable[Key]) -> None:
        """Count steps of coercions."""
        with self._lock:
            for key in ended:  # Counter.update asks first if it is a mapping, which takes longer
                self._counts[key] += 1

    def read(self) -> Mapping[Key, int]:
        """The counts so far."""
        with self._lock:
            return dict(self._counts)

    def count_transcoded(self, objects: int) -> None:
        """Count objects of a retrieve that were sent in another transfer syntax than stored."""
        with self._lock:
            self._transcoded += objects

    @property
    def transcoded(self) -> int:
        """Number of objects sent in another transfer syntax than stored."""
        with self._lock:
            return self._transcoded

    def count_request(self, service: str, ae_title: str, status: int) -> None:
        """Count a request to an AE of ours by its final status."""
        with self._lock:
            self._requests[service, ae_title, status] += 1

    def requests(self) -> Mapping[RequestKey, int]:
        """The requests so far."""
        with self._lock:
            return dict(self._requests)

    def count_objects(self, ae_title: str, *, sent: int, failed: int) -> None:
        """Count the delivered and failed objects of a retrieve."""
        with self._lock:
            self._objects[ae_title, "sent"] += sent
            self._objects[ae_title, "failed"] += failed

    def objects(self) -> Mapping[ObjectKey, int]:
        """The objects of retrieves so far."""
        with self._lock:
            return dict(self._objects)
