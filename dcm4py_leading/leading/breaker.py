"""Circuit breakers for leading archives: an archive that fails several times in a row is not queried for a while."""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable
from datetime import timedelta

from dcm4py_leading.errors import LeadingRefused
from dcm4py_leading.leading.settings import LeadingSettings
from dcm4py_leading.model.values import AETitle


class BreakerState(enum.Enum):
    """State of a breaker: queries pass while it is closed."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"
    """One question is let through, or is on its way, and decides."""


CLOSED_FIRST = (BreakerState.CLOSED, BreakerState.HALF_OPEN, BreakerState.OPEN)
"""States by how little they let through."""


class Breaker:
    """Opens after several failures in a row; after a pause one trial query decides if it closes again.

    Every admitted query must end with `succeeded`, `failed` or `abandoned`. Safe under threads; never waits.
    """

    def __init__(self, *, threshold: int, pause: timedelta, clock: Callable[[], float]) -> None:
        """``threshold`` failures in a row open it for ``pause``; ``clock`` counts seconds and never goes back."""
        self._threshold = threshold
        self._pause = pause.total_seconds()
        self._clock = clock
        self._failures = 0
        self._retry_at: float | None = None
        """When the next trial is due; None: closed."""
        self._on_trial = False
        self._probed = False
        self._lock = threading.Lock()

    @property
    def state(self) -> BreakerState:
        """The current state."""
        with self._lock:
            if self._retry_at is None:
                return BreakerState.CLOSED
            due = not self._probed and self._clock() >= self._retry_at
            return BreakerState.HALF_OPEN if self._on_trial or due else BreakerState.OPEN

    def admit(self) -> bool:
        """True if the archive may be queried now."""
        with self._lock:
            if self._retry_at is None:
                return True
            if self._on_trial or self._probed or self._clock() < self._retry_at:
                return False
            self._on_trial = True
            return True

    def succeeded(self) -> bool:
        """Record an answer; True if it closed the breaker."""
        with self._lock:
            closed = self._retry_at is not None
            self._failures, self._retry_at, self._on_trial, self._probed = 0, None, False, False
            return closed

    def failed(self) -> bool:
        """Record a failure; True if it opened the breaker, or if a trial left it open."""
        with self._lock:
            self._failures += 1
            opens = self._on_trial or (self._retry_at is None and self._failures >= self._threshold)
            if opens:
                self._retry_at = self._clock() + self._pause
            self._on_trial = False
            return opens

    def abandoned(self) -> None:
        """Record a query whose end says nothing about the archive."""
        with self._lock:
            self._on_trial = False

    def leave_to_probe(self) -> None:
        """Leave the trials to a background probe; until then every query is refused at once."""
        with self._lock:
            self._probed = self._retry_at is not None

    def probe_ended(self) -> None:
        """Admit the next query as a trial: the archive is reachable again, or the probe gave up."""
        with self._lock:
            if self._probed and self._retry_at is not None:
                self._probed = False
                self._retry_at = min(self._retry_at, self._clock())


class Breakers:
    """Breakers for each leading archive and local AE, as an archive may reject one AE and answer another.

    Safe under threads.
    """

    def __init__(self, settings: LeadingSettings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._breakers: dict[tuple[AETitle, AETitle], Breaker] = {}
        self._lock = threading.Lock()

    def admit(self, local_ae_title: AETitle, leading_cfind_scp: AETitle) -> Breaker:
        """The breaker that admits a query; the caller reports its end. Raises LeadingRefused if the breaker is open."""
        settings = self._settings
        with self._lock:
            breaker = self._breakers.get((local_ae_title, leading_cfind_scp))
            if breaker is None:
                breaker = Breaker(threshold=settings.breaker_threshold, pause=settings.breaker_pause, clock=self._clock)
                self._breakers[local_ae_title, leading_cfind_scp] = breaker
        if not breaker.admit():
            raise LeadingRefused(f"{leading_cfind_scp} is not asked: it failed several times in a row")
        return breaker

    def states(self) -> dict[tuple[AETitle, AETitle], BreakerState]:
        """State of each breaker, by local and leading AE title."""
        with self._lock:
            breakers = dict(self._breakers)
        return {key: breaker.state for key, breaker in breakers.items()}
