"""Queries to the leading archive for a comparison: by UID lists, at a limited rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from dcm4py_leading.coercion.question import LeadingAnswer
from dcm4py_leading.errors import LeadingMismatch, LeadingQueryFailed, LeadingUnavailable, LeadingUnreadable
from dcm4py_leading.leading.query import LeadingQuery
from dcm4py_leading.leading.readable import page_of
from dcm4py_leading.leading.uid_list import Page, UidLists
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import UID, AETitle, Tag
from dcm4py_leading.service.drift.pace import RetryPauses, Throttle


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadingInquiry:
    """The leading archive, our AE, and the return keys."""

    leading_cfind_scp: AETitle
    local_ae: ApplicationEntity
    return_keys: frozenset[Tag]
    timeout: timedelta
    """Time that one C-FIND may take."""


class StudyQuery:
    """Queries one leading archive for studies, a page at a time; for one thread."""

    def __init__(self, query: LeadingQuery, asked: LeadingInquiry, throttle: Throttle, patience: RetryPauses) -> None:
        self._query = query
        self._asked = asked
        self._throttle = throttle
        self._patience = patience
        self._lists = UidLists()

    def answers(self, uids: Sequence[UID]) -> dict[UID, LeadingAnswer]:
        """The answer for each study.

        Repeats the query, after pauses, if the archive gives no answer. A study whose query it refuses, while it
        answers others, stays refused. Raises LeadingUnavailable after DRIFT_PATIENCE_SECONDS without an answer,
        DriftEnded.
        """
        answers: dict[UID, LeadingAnswer] = {}
        waiting = list(uids)
        while waiting:
            got = self._ask_each_if_refused(waiting)
            answers |= got
            lost = [uid for uid in waiting if _is_lost(got[uid])]
            if len(lost) < len(waiting):  # it is there
                lost = [uid for uid in lost if not isinstance(got[uid], LeadingQueryFailed)]
                self._patience.is_answered()
            waiting = lost
            failures = [failure for uid in waiting if isinstance(failure := got[uid], LeadingUnavailable)]
            if failures and self._patience.has_ended(failures[0]):
                for failure in failures:
                    if not isinstance(failure, LeadingQueryFailed):
                        raise failure
                break
            if failures:
                self._patience.pause()
        return answers

    def _ask_each_if_refused(self, uids: Sequence[UID]) -> dict[UID, LeadingAnswer]:
        """The answers; if a query for several studies was refused, each is queried separately."""
        answers = self._ask(uids)
        refused = [uid for uid in uids if isinstance(answers[uid], LeadingQueryFailed)]
        if len(uids) > 1:
            for uid in refused:
                answers |= self._ask([uid])
                if isinstance(answers[uid], LeadingUnavailable) and not _is_of_the_study(answers[uid]):
                    break  # it is down by now
        return answers

    def _ask(self, uids: Sequence[UID]) -> dict[UID, LeadingAnswer]:
        try:
            return self._lists.fetch(self._asked.leading_cfind_scp, uids, self._find)
        except LeadingUnavailable as err:
            return dict.fromkeys(uids, err)

    def _find(self, uids: Sequence[UID]) -> Page:
        asked = self._asked
        self._throttle.take()
        responses = self._query.find_studies(
            asked.leading_cfind_scp, asked.local_ae, uids, asked.return_keys, timeout=asked.timeout
        )
        return page_of(
            responses,
            scp=asked.leading_cfind_scp,
            asked_for=uids,
            return_keys=asked.return_keys,
            default_character_set=asked.local_ae.settings.default_character_set,
        )


def _is_lost(answer: LeadingAnswer) -> bool:
    """True if another try may succeed."""
    return isinstance(answer, LeadingUnavailable) and not isinstance(answer, LeadingMismatch | LeadingUnreadable)


def _is_of_the_study(answer: LeadingAnswer) -> bool:
    """True if the archive is reachable, but its answer is not usable."""
    return isinstance(answer, LeadingQueryFailed | LeadingMismatch | LeadingUnreadable)
