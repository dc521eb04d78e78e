"""Asking leading archives about studies: in pages, through the cache, and believing only what was asked for."""

from __future__ import annotations

import logging
import struct
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from pydicom import Dataset

from dcm4py_leading.coercion.charset import declare_default, decode_text
from dcm4py_leading.coercion.question import LeadingAnswer, LeadingQuestion
from dcm4py_leading.errors import LeadingUnavailable
from dcm4py_leading.leading.cache import CacheCounts, LeadingCache
from dcm4py_leading.leading.query import LeadingQuery, StudyAttributes
from dcm4py_leading.leading.return_keys import return_keys
from dcm4py_leading.model.device import ApplicationEntity, Device
from dcm4py_leading.model.values import UID, AETitle, Tag

LOG = logging.getLogger(__name__)

_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, NotImplementedError, EOFError, OSError, struct.error)
"""What pydicom raises on a value that it cannot read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupCounts:
    """Counts of a lookup."""

    cache: CacheCounts
    mismatches: int = 0
    """Questions that were answered with other studies than asked, or with one of them twice."""


class LeadingLookup:
    """What the leading archives say of studies. Lives as long as one configuration; safe under threads."""

    def __init__(
        self,
        device: Device,
        query: LeadingQuery,
        *,
        clock: Callable[[], float],
        page_size: int = 50,
        join_timeout: timedelta = timedelta(minutes=2),
    ) -> None:
        """``page_size`` studies go into one C-FIND; for the others see `LeadingCache`."""
        self._device = device
        self._query = query
        self._cache = LeadingCache(
            max_size=device.archive.leading_cfind_scp_query_cache_size,
            stale_after=device.archive.leading_cfind_scp_query_cache_stale_timeout,
            clock=clock,
            page_size=page_size,
            join_timeout=join_timeout,
        )
        self._mismatches = 0
        self._lock = threading.Lock()

    @property
    def counts(self) -> LookupCounts:
        """The counts so far."""
        with self._lock:
            return LookupCounts(cache=self._cache.counts, mismatches=self._mismatches)

    def answers(
        self, questions: Iterable[LeadingQuestion], local_ae: ApplicationEntity
    ) -> dict[LeadingQuestion, LeadingAnswer]:
        """The answer to each question, as `coercion.chain` takes it. Raises nothing but bugs."""
        by_scp: dict[AETitle, list[UID]] = {}
        for question in questions:
            by_scp.setdefault(question.leading_cfind_scp, []).append(question.study_instance_uid)
        return {
            LeadingQuestion(scp, uid): answer
            for scp, uids in by_scp.items()
            for uid, answer in self.get_many(scp, local_ae, uids).items()
        }

    def get_many(
        self, leading_cfind_scp: AETitle, local_ae: ApplicationEntity, study_instance_uids: Iterable[UID]
    ) -> dict[UID, LeadingAnswer]:
        """The answer for each study: its return keys, shared and only to be read; None: unknown there; or why not.

        Logs one WARNING when the archive gave no answer, however many studies are concerned.
        """
        # A peer's text without a character set is read as the asking AE says, so answers differ by that too.
        source = (leading_cfind_scp, local_ae.settings.default_character_set)
        answers = self._cache.get_many(source, study_instance_uids, partial(self._fetch, leading_cfind_scp, local_ae))
        failures = [answer for answer in answers.values() if isinstance(answer, LeadingUnavailable)]
        if failures:
            LOG.warning(
                "leading archive %s gave no answer for %d of %d studies: %s",
                leading_cfind_scp,
                len(failures),
                len(answers),
                failures[0],
            )
        return answers

    def _fetch(
        self, leading_cfind_scp: AETitle, local_ae: ApplicationEntity, page: Sequence[UID]
    ) -> dict[UID, StudyAttributes]:
        keys = return_keys(self._device, leading_cfind_scp)
        responses = self._query.find_studies(leading_cfind_scp, local_ae, page, keys)
        studies: dict[UID, StudyAttributes] = {}
        for response in responses:
            uid = next((uid for uid in page if uid == str(response.get("StudyInstanceUID", ""))), None)
            if uid is None or uid in studies:
                with self._lock:
                    self._mismatches += 1
                what = "a study that was not asked for" if uid is None else "the same study twice"
                raise LeadingUnavailable(f"{leading_cfind_scp} answered with {what}")
            try:
                studies[uid] = _study_attributes(response, keys, local_ae.settings.default_character_set)
            except _UNREADABLE as err:
                raise LeadingUnavailable(
                    f"{leading_cfind_scp} answered with what cannot be read: {type(err).__name__}"
                ) from err
        return studies


def _study_attributes(response: Dataset, keys: frozenset[Tag], default_character_set: str | None) -> StudyAttributes:
    """The return keys out of a response and nothing else, with everything decoded: from here on it is only read."""
    declare_default(response, default_character_set)
    decode_text(response)
    study = Dataset()
    for tag in sorted(keys):
        if tag in response:
            study[tag] = response[tag]
    for _ in study.iterall():
        pass  # pydicom decodes an element when it is first looked at, which threads must not do at the same time
    return study
