"""Queries to leading archives, with a circuit breaker, timing and a deadline."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial

from pydicom import Dataset

from dcm4py_leading.errors import LeadingMismatch, LeadingQueryFailed, LeadingUnavailable
from dcm4py_leading.leading.breaker import Breaker, Breakers, BreakerState
from dcm4py_leading.leading.contacts import Contacts, Part
from dcm4py_leading.leading.outcome import Tally
from dcm4py_leading.leading.probe import Spawn, probe
from dcm4py_leading.leading.query import LeadingQuery
from dcm4py_leading.leading.settings import LeadingSettings
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import UID, AETitle, Tag

LOG = logging.getLogger(__name__)


def is_about_the_question(err: LeadingUnavailable, uids: Sequence[UID]) -> bool:
    """True if the archive is reachable and another query may succeed.

    An error status for a UID list may be due to the list; a query for one study decides.
    """
    return isinstance(err, LeadingMismatch) or (isinstance(err, LeadingQueryFailed) and len(uids) > 1)


class GuardedQuery:
    """Passes queries on to a `LeadingQuery` unless the archive failed several times in a row."""

    def __init__(
        self,
        query: LeadingQuery,
        settings: LeadingSettings,
        tally: Tally,
        *,
        clock: Callable[[], float],
        in_background: Spawn,
        contacts: Contacts,
    ) -> None:
        self._query = query
        self._settings = settings
        self._tally = tally
        self._clock = clock
        self._in_background = in_background
        self._contacts = contacts
        self._breakers = Breakers(settings, clock)
        self._closed = threading.Event()

    def breakers(self) -> dict[tuple[AETitle, AETitle], BreakerState]:
        """The state of each breaker, by local and leading AE title."""
        return self._breakers.states()

    def close(self) -> None:
        """Stop probing archives in the background."""
        self._closed.set()

    def find_studies(
        self,
        leading_cfind_scp: AETitle,
        local_ae: ApplicationEntity,
        study_instance_uids: Sequence[UID],
        return_keys: frozenset[Tag],
        *,
        ends_at: float,
    ) -> list[Dataset]:
        """Query by one C-FIND; see `LeadingQuery`. Raises LeadingRefused if the breaker is open."""
        started = self._clock()
        if started >= ends_at:
            raise LeadingUnavailable(f"{leading_cfind_scp} was not asked for all studies before the deadline")
        breaker = self._breakers.admit(local_ae.ae_title, leading_cfind_scp)
        self._tally.begin(leading_cfind_scp)
        try:
            responses = self._query.find_studies(
                leading_cfind_scp,
                local_ae,
                study_instance_uids,
                return_keys,
                timeout=timedelta(seconds=ends_at - started),
            )
        except LeadingUnavailable as err:
            if isinstance(err, LeadingMismatch):
                self._answered(breaker, leading_cfind_scp, local_ae)
            elif not is_about_the_question(err, study_instance_uids):
                self._contacts.failed(Part.LEADING, local_ae.ae_title, leading_cfind_scp, str(err))
                if breaker.failed():
                    self._opened(breaker, leading_cfind_scp, local_ae)
            raise
        else:
            self._answered(breaker, leading_cfind_scp, local_ae)
            return responses
        finally:
            breaker.abandoned()  # if neither success nor failure was recorded
            self._tally.observe(leading_cfind_scp, self._clock() - started)

    def _answered(self, breaker: Breaker, scp: AETitle, local_ae: ApplicationEntity) -> None:
        self._contacts.answered(Part.LEADING, local_ae.ae_title, scp)
        if breaker.succeeded():
            LOG.info("leading archive %s answers again", scp)

    def _opened(self, breaker: Breaker, scp: AETitle, local_ae: ApplicationEntity) -> None:
        settings = self._settings
        LOG.warning("leading archive %s failed several times in a row and is not asked until it has recovered", scp)
        times = int(settings.probe_for / settings.breaker_pause) if settings.breaker_pause else 0
        if times and not self._closed.is_set():
            breaker.leave_to_probe()

            def reach() -> None:
                self._query.reach(scp, local_ae, timeout=settings.deadline)
                self._contacts.answered(Part.LEADING, local_ae.ae_title, scp)

            self._in_background(
                partial(probe, breaker, scp, reach, pause=settings.breaker_pause, times=times, wait=self._closed.wait)
            )
