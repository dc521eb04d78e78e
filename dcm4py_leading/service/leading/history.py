"""History of the queries to leading archives: one sample per minute, in memory only."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from dcm4py_leading.log import trace
from dcm4py_leading.model.bounds import HISTORY_INTERVAL_SECONDS, HISTORY_INTERVALS
from dcm4py_leading.service.leading.interval import Interval, ServiceSample, between, in_steps

LOG = logging.getLogger(__name__)

_STOP_SECONDS = 5.0
STEPS = {1: timedelta(minutes=1), 6: timedelta(minutes=5), 24: timedelta(minutes=15)}
"""Steps in which so many hours are told."""


class History:
    """Takes samples in a thread, and keeps the intervals between them. Safe under threads."""

    def __init__(
        self,
        measure: Callable[[], ServiceSample],
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """``clock`` counts seconds and never goes back; ``now`` is the time of day."""
        self._measure = measure
        self._clock = clock
        self._now = now
        self._last: tuple[float, ServiceSample] | None = None
        self._intervals: deque[Interval] = deque(maxlen=HISTORY_INTERVALS)
        self._sampling = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="history of leading archives", daemon=True)

    def start(self) -> None:
        """Take the first sample, and start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop taking samples; harmless if not started."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    def intervals(self) -> Sequence[Interval]:
        """The kept intervals, the oldest first."""
        return list(self._intervals)  # a deque is copied in one step

    def over(self, hours: int) -> Sequence[Interval]:
        """The last 1, 6 or 24 hours in `STEPS`, the oldest first."""
        begin = self._now() - timedelta(hours=hours)
        return list(in_steps((one for one in self.intervals() if one.ends_at > begin), STEPS[hours]))

    def sample(self) -> None:
        """Take one sample, which ends an interval."""
        with self._sampling:
            at, sampled = self._clock(), self._measure()
            if self._last is not None:
                before_at, before = self._last
                self._intervals.append(between(before, sampled, seconds=at - before_at, ends_at=self._now()))
            self._last = at, sampled

    def _run(self) -> None:
        while True:
            try:
                self.sample()
            except Exception as err:  # noqa: BLE001 - a bug loses only this sample, and is logged
                LOG.error("a sample of the leading archives failed by an error in the service: %s", trace(err))
            if self._stopped.wait(HISTORY_INTERVAL_SECONDS):
                return
