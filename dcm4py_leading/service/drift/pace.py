"""Pace of queries to other archives: a limited rate, and retries while an archive is down."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from dcm4py_leading.errors import DriftEnded
from dcm4py_leading.model.bounds import DRIFT_PATIENCE_SECONDS

LOG = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1.0, 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftClock:
    """Clock of a comparison."""

    clock: Callable[[], float] = time.monotonic
    """Counts seconds and never goes back."""
    sleep: Callable[[float], object] = time.sleep
    """Waits for so many seconds, or until it is over."""
    is_over: Callable[[], bool] = lambda: False
    """True if whoever has begun the comparison wants no more of it."""

    def wait(self, seconds: float) -> None:
        """Wait for some seconds. Raises DriftEnded."""
        self.sleep(seconds)
        self.go_on()

    def go_on(self) -> None:
        """Raise DriftEnded if the comparison should end."""
        if self.is_over():
            raise DriftEnded("the comparison was ended")


class Throttle:
    """Limits a rate per second, evenly; for one thread."""

    def __init__(self, per_second: float, time: DriftClock) -> None:
        self._seconds = 1 / per_second
        self._time = time
        self._next: float | None = None

    def take(self) -> None:
        """Wait for the next slot. Unused slots are lost."""
        now = self._time.clock()
        if self._next is not None and now < self._next:
            self._time.wait(self._next - now)
            now = self._next
        self._next = now + self._seconds


class RetryPauses:
    """Growing pauses between retries to one archive, up to a limit; for one thread."""

    def __init__(self, archive: str, time: DriftClock, tell: Callable[[str], None] = lambda _: None) -> None:
        """``archive`` is its name for display; ``tell`` gets a message when it stops answering, and when it answers."""
        self._archive = archive
        self._time = time
        self._tell = tell
        self._until: float | None = None
        self._pause = _FIRST_PAUSE_SECONDS

    def is_answered(self) -> None:
        """Record an answer."""
        if self._until is not None:
            self._say(f"{self._archive} answers again")
        self._until, self._pause = None, _FIRST_PAUSE_SECONDS

    def has_ended(self, reason: Exception) -> bool:
        """True after DRIFT_PATIENCE_SECONDS without an answer; ``reason`` is the last failure."""
        now = self._time.clock()
        if self._until is None:
            self._until = now + DRIFT_PATIENCE_SECONDS
            self._say(f"{self._archive} will be asked again: {reason}")
            return False
        return now >= self._until

    def pause(self) -> None:
        """Wait before the next retry."""
        self._time.wait(self._pause)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE_SECONDS)

    def _say(self, text: str) -> None:
        LOG.warning("drift: %s", text)
        self._tell(text)
