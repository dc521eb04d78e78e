"""Background probe that tries to reach a leading archive after failures."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import timedelta

from dcm4py_leading.errors import LeadingUnavailable
from dcm4py_leading.leading.breaker import Breaker
from dcm4py_leading.model.values import AETitle

LOG = logging.getLogger(__name__)

Spawn = Callable[[Callable[[], None]], None]


def spawn(work: Callable[[], None]) -> None:
    """Run a function in a daemon thread."""
    threading.Thread(target=work, name="leading archive probe", daemon=True).start()


def probe(
    breaker: Breaker,
    scp: AETitle,
    reach: Callable[[], None],
    *,
    pause: timedelta,
    times: int,
    wait: Callable[[float], bool],
) -> None:
    """Try to ``reach`` the archive until it succeeds, at most so many times, with a ``pause`` before each try.

    Afterwards the breaker admits one query. ``wait`` takes seconds and returns True if the probe should stop. ``reach``
    raises LeadingUnavailable.
    """
    try:
        for _ in range(times):
            if wait(pause.total_seconds()):
                return
            try:
                reach()
            except LeadingUnavailable as err:
                LOG.debug("leading archive %s still cannot be reached: %s", scp, err)
            else:
                LOG.info("leading archive %s can be reached again", scp)
                return
    finally:
        breaker.probe_ended()
