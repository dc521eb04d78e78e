"""Queries to a leading archive for studies by matching keys, and their port."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Protocol

from pydicom import Dataset

from dcm4py_leading.errors import LeadingQueryFailed, LeadingTooManyMatches, LeadingUnavailable
from dcm4py_leading.leading.breaker import Breakers
from dcm4py_leading.leading.contacts import Contacts, Part
from dcm4py_leading.leading.outcome import LookupOutcome, Tally, outcome_by_keys
from dcm4py_leading.leading.settings import LeadingSettings
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import AETitle, Tag


class LeadingKeysQuery(Protocol):
    """Query for the studies that match in a leading archive; implemented by ``dicom/scu/leading_keys.py``."""

    def find_by_keys(
        self,
        leading_cfind_scp: AETitle,
        local_ae: ApplicationEntity,
        keys: Dataset,
        return_keys: frozenset[Tag],
        *,
        limit: int,
        timeout: timedelta | None = None,
    ) -> list[Dataset]:
        """All pending responses to one Study Root, STUDY level C-FIND with these matching keys (PS3.4 C.6.2.1).

        ``timeout`` limits the time from opening an association to the last response. Raises LeadingTooManyMatches after
        ``limit`` responses, and the errors of `leading.query.LeadingQuery`.
        """
        ...


class GuardedKeysQuery:
    """Passes queries on to a `LeadingKeysQuery` unless the archive failed several times in a row.

    So not every query waits for the timeout of an archive that is down. Safe under threads.
    """

    def __init__(
        self,
        query: LeadingKeysQuery,
        settings: LeadingSettings,
        *,
        clock: Callable[[], float],
        contacts: Contacts | None = None,
    ) -> None:
        """``clock`` counts seconds and never goes back; ``contacts`` records the outcome of queries."""
        self._contacts = contacts or Contacts()
        self._query = query
        self._tally = Tally()
        self._breakers = Breakers(settings, clock)

    def find_by_keys(
        self,
        leading_cfind_scp: AETitle,
        local_ae: ApplicationEntity,
        keys: Dataset,
        return_keys: frozenset[Tag],
        *,
        limit: int,
        timeout: timedelta | None = None,
    ) -> list[Dataset]:
        """Find studies by keys (see `LeadingKeysQuery`). Raises LeadingRefused if the breaker is open."""
        try:
            found = self._ask(leading_cfind_scp, local_ae, keys, return_keys, limit, timeout)
        except LeadingUnavailable as err:
            self._tally.count(leading_cfind_scp, [outcome_by_keys(err)])
            raise
        self._tally.count(leading_cfind_scp, [outcome_by_keys(found)])
        return found

    def outcomes(self) -> Mapping[AETitle, Mapping[LookupOutcome, int]]:
        """Counts of query outcomes so far, by AE title of the leading archive."""
        return self._tally.outcomes()

    def _ask(
        self,
        leading_cfind_scp: AETitle,
        local_ae: ApplicationEntity,
        keys: Dataset,
        return_keys: frozenset[Tag],
        limit: int,
        timeout: timedelta | None,
    ) -> list[Dataset]:
        breaker = self._breakers.admit(local_ae.ae_title, leading_cfind_scp)
        try:
            responses = self._query.find_by_keys(
                leading_cfind_scp, local_ae, keys, return_keys, limit=limit, timeout=timeout
            )
        except (LeadingTooManyMatches, LeadingQueryFailed):
            breaker.succeeded()  # it is reachable; another query may succeed
            raise
        except LeadingUnavailable as err:
            breaker.failed()
            self._contacts.failed(Part.LEADING, local_ae.ae_title, leading_cfind_scp, str(err))
            raise
        else:
            breaker.succeeded()
            self._contacts.answered(Part.LEADING, local_ae.ae_title, leading_cfind_scp)
            return responses
        finally:
            breaker.abandoned()  # where nothing was decided
