"""Lookup of studies in leading archives: in pages, through the cache, with checked answers.

A question passes these stages on its way to the archive: the pause after a recent failure (``retry_pause.py``), the
cache, which shares concurrent queries (``cache.py``), the pages (``uid_list.py``), and the breaker (``guarded.py``). A
question that then has no answer gets the last known one (``last_known.py``).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from dcm4py_leading.coercion.question import LeadingAnswer, LeadingQuestion
from dcm4py_leading.errors import LeadingRefused, LeadingUnavailable
from dcm4py_leading.leading.cache import LeadingCache
from dcm4py_leading.leading.contacts import Contacts
from dcm4py_leading.leading.guarded import GuardedQuery, is_about_the_question
from dcm4py_leading.leading.last_known import AnswerScope, LastKnown
from dcm4py_leading.leading.outcome import LookupCounts, LookupOutcome, LookupResult, Tally, result_of
from dcm4py_leading.leading.probe import Spawn, spawn
from dcm4py_leading.leading.query import LeadingQuery
from dcm4py_leading.leading.readable import page_of
from dcm4py_leading.leading.retry_pause import RetryPause
from dcm4py_leading.leading.return_keys import return_keys
from dcm4py_leading.leading.settings import LeadingSettings
from dcm4py_leading.leading.uid_list import Page, UidLists
from dcm4py_leading.model.device import ApplicationEntity, Device
from dcm4py_leading.model.values import UID, AETitle

LOG = logging.getLogger(__name__)

_NO_ANSWER = (LookupOutcome.FAILED, LookupOutcome.REFUSED_BY_BREAKER)
"""The archive is down. A mismatch is not among them: what it says of the study now contradicts what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedAnswer:
    """One line of ``cache list``."""

    leading_cfind_scp: AETitle
    study_instance_uid: UID
    age: timedelta
    is_found: bool
    """False: the archive said that it does not know the study."""


class LeadingLookup:
    """Lookup for one configuration. Safe under threads."""

    def __init__(
        self,
        device: Device,
        query: LeadingQuery,
        *,
        clock: Callable[[], float],
        settings: LeadingSettings | None = None,
        last_known: LastKnown | None = None,
        in_background: Spawn = spawn,
        contacts: Contacts | None = None,
    ) -> None:
        """``clock`` counts seconds and never goes back; ``last_known`` outlives the lookup; ``contacts`` records the
        outcome of queries."""
        self._device = device
        self._clock = clock
        self.settings = settings or LeadingSettings()
        self._last_known = last_known
        self._tally = Tally()
        self._query = GuardedQuery(
            query,
            self.settings,
            self._tally,
            clock=clock,
            in_background=in_background,
            contacts=contacts or Contacts(),
        )
        self._cache = LeadingCache(
            max_size=device.archive.leading_cfind_scp_query_cache_size,
            stale_after=device.archive.leading_cfind_scp_query_cache_stale_timeout,
            clock=clock,
            page_size=self.settings.page_size,
        )
        self._lists = UidLists()
        self._pause = RetryPause(self.settings.error_pause, clock)

    @property
    def counts(self) -> LookupCounts:
        """The counts so far."""
        return LookupCounts(
            outcomes=self._tally.outcomes(),
            latency=self._tally.latency(),
            one_by_one=self._lists.one_by_one,
            breakers=self._query.breakers(),
            cache_size=len(self._cache),
            under_way=self._tally.under_way(),
            waiting=Counter(
                source.leading_cfind_scp for source in self._cache.awaited() if isinstance(source, AnswerScope)
            ),
        )

    def answers(
        self, questions: Iterable[LeadingQuestion], local_ae: ApplicationEntity
    ) -> dict[LeadingQuestion, LeadingAnswer]:
        """The answer to each question, for `coercion.chain`. Failures are answers, not exceptions."""
        return {question: looked.answer for question, looked in self.look_up(questions, local_ae).items()}

    def look_up(
        self, questions: Iterable[LeadingQuestion], local_ae: ApplicationEntity, *, deadline: timedelta | None = None
    ) -> dict[LeadingQuestion, LookupResult]:
        """The answer to each question, and its outcome. Failures are results, not exceptions.

        ``deadline`` limits the whole call; default: that of the settings.
        """
        by_scp: dict[AETitle, list[UID]] = {}
        for question in questions:
            by_scp.setdefault(question.leading_cfind_scp, []).append(question.study_instance_uid)
        ends_at = self._clock() + (deadline or self.settings.deadline).total_seconds()
        return {
            LeadingQuestion(scp, uid): looked
            for scp, uids in by_scp.items()
            for uid, looked in self._look_up(scp, local_ae, uids, ends_at).items()
        }

    def get_many(
        self, leading_cfind_scp: AETitle, local_ae: ApplicationEntity, study_instance_uids: Iterable[UID]
    ) -> dict[UID, LeadingAnswer]:
        """The answer for each study: its return keys, shared and read-only; None if unknown there; or the failure."""
        ends_at = self._clock() + self.settings.deadline.total_seconds()
        looked = self._look_up(leading_cfind_scp, local_ae, study_instance_uids, ends_at)
        return {uid: one.answer for uid, one in looked.items()}

    def entries(self) -> list[CachedAnswer]:
        """Studies in the cache, the oldest answer first."""
        return [
            CachedAnswer(
                leading_cfind_scp=entry.source.leading_cfind_scp,
                study_instance_uid=entry.study_instance_uid,
                age=entry.age,
                is_found=entry.answer is not None,
            )
            for entry in self._cache.entries()
            if isinstance(entry.source, AnswerScope)
        ]

    def drop(self, study_instance_uid: UID | None) -> int:
        """Drop one study, or all, with last known answers; return how many answers were cached."""
        if self._last_known is not None:
            self._last_known.drop(study_instance_uid)
        return self._cache.drop(study_instance_uid)

    def close(self) -> None:
        """Stop the background probes; lookups are still possible."""
        self._query.close()

    def _look_up(
        self, scp: AETitle, local_ae: ApplicationEntity, uids: Iterable[UID], ends_at: float
    ) -> dict[UID, LookupResult]:
        # Text without a character set is read in that of our AE, so answers also depend on it.
        what = AnswerScope(scp, return_keys(self._device, scp), local_ae.settings.default_character_set)
        looked: dict[UID, LookupResult] = {}
        wanted: list[UID] = []
        for uid in dict.fromkeys(uids):
            if reason := self._pause.resting((local_ae.ae_title, what, uid)):
                looked[uid] = result_of(reason)
            else:
                wanted.append(uid)
        fetch = partial(self._fetch, what, local_ae, _Conversation(self._query, what, local_ae, ends_at))
        remaining = timedelta(seconds=max(0.0, ends_at - self._clock()))
        looked |= self._cache.get_many(what, wanted, fetch, join_timeout=remaining)
        self._keep(what, looked)
        self._tell(scp, looked, looked := self._with_last_known(what, looked))
        self._tally.count(scp, (one.outcome for one in looked.values()))
        return looked

    def _fetch(
        self, what: AnswerScope, local_ae: ApplicationEntity, conversation: _Conversation, page: Sequence[UID]
    ) -> dict[UID, LeadingAnswer]:
        try:
            answers = self._lists.fetch(what.leading_cfind_scp, page, conversation.ask)
        except LeadingUnavailable as err:
            answers = dict.fromkeys(page, err)
        answered = []
        for uid, answer in answers.items():
            question = (local_ae.ae_title, what, uid)
            if not isinstance(answer, LeadingUnavailable):
                answered.append(question)
            elif not isinstance(answer, LeadingRefused):
                self._pause.failed(question, answer)
        self._pause.answered(answered)
        return answers

    def _keep(self, what: AnswerScope, looked: dict[UID, LookupResult]) -> None:
        fresh = {
            uid: one.answer
            for uid, one in looked.items()
            if one.outcome in (LookupOutcome.MISS, LookupOutcome.NOT_FOUND)
            and not isinstance(one.answer, LeadingUnavailable)
        }
        if self._last_known is not None and fresh:
            self._last_known.remember(what, fresh)

    def _with_last_known(self, what: AnswerScope, looked: dict[UID, LookupResult]) -> dict[UID, LookupResult]:
        lost = [uid for uid, one in looked.items() if one.outcome in _NO_ANSWER]
        if self._last_known is None or not lost:
            return looked
        known = self._last_known.recall(what, lost, self.settings.last_known_max_age)
        return looked | {uid: LookupResult(study, LookupOutcome.STALE_SERVED) for uid, study in known.items()}

    def _tell(self, scp: AETitle, before: dict[UID, LookupResult], after: dict[UID, LookupResult]) -> None:
        """Log one WARNING if the archive gave no answer, however many studies are concerned."""
        failures = [one.answer for one in before.values() if isinstance(one.answer, LeadingUnavailable)]
        if failures:
            stale = sum(one.outcome is LookupOutcome.STALE_SERVED for one in after.values())
            LOG.warning(
                "leading archive %s gave no answer for %d of %d studies: %s%s",
                scp,
                len(failures),
                len(before),
                failures[0],
                f"; the last known answer serves for {stale}" if stale else "",
            )


class _Conversation:
    """The C-FINDs of one lookup to one archive. After a lost association the others are not tried."""

    def __init__(self, query: GuardedQuery, what: AnswerScope, local_ae: ApplicationEntity, ends_at: float) -> None:
        self._query = query
        self._what = what
        self._local_ae = local_ae
        self._ends_at = ends_at
        self._lost: LeadingUnavailable | None = None

    def ask(self, uids: Sequence[UID]) -> Page:
        """Query these studies (see `uid_list.Ask`)."""
        if self._lost is not None:
            raise self._lost
        what = self._what
        try:
            responses = self._query.find_studies(
                what.leading_cfind_scp, self._local_ae, uids, what.return_keys, ends_at=self._ends_at
            )
        except LeadingUnavailable as err:
            if not is_about_the_question(err, uids):
                self._lost = err
            raise
        return page_of(
            responses,
            scp=what.leading_cfind_scp,
            asked_for=uids,
            return_keys=what.return_keys,
            default_character_set=what.default_character_set,
        )
