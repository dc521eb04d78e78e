"""Queries for many studies at once, and detection of archives that do not support them.

Not every archive supports List of UID Matching (PS3.4 C.2.2.2.2): some use only the first UID, some ignore the key and
return everything, some stop at a limit or refuse.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dcm4py_leading.coercion.question import LeadingAnswer
from dcm4py_leading.errors import LeadingMismatch, LeadingQueryFailed, LeadingUnavailable
from dcm4py_leading.model.values import UID, AETitle

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Answers to a query for several UIDs."""

    found: dict[UID, LeadingAnswer]
    """Studies that were answered once; LeadingUnavailable: with what cannot be read."""
    twice: frozenset[UID] = frozenset()
    has_stranger: bool = False
    """True if a study was among them that was not asked for."""


Ask = Callable[[Sequence[UID]], Page]
"""One C-FIND. Raises LeadingUnavailable, LeadingQueryFailed, LeadingMismatch."""


class UidLists:
    """Knowledge of which archives support UID lists. Safe under threads.

    Once an archive has answered a list correctly, its answers to lists of that length are trusted. Until then a missing
    study is queried separately, at most one for each page.
    """

    def __init__(self) -> None:
        self._one_by_one: set[AETitle] = set()
        self._good_up_to: dict[AETitle, int] = {}
        self._lock = threading.Lock()

    @property
    def one_by_one(self) -> frozenset[AETitle]:
        """Archives that mishandle lists."""
        with self._lock:
            return frozenset(self._one_by_one)

    def fetch(self, scp: AETitle, uids: Sequence[UID], ask: Ask) -> dict[UID, LeadingAnswer]:
        """The answer for each study of a page. Raises LeadingUnavailable if there is no answer at all."""
        with self._lock:
            singly = len(uids) == 1 or scp in self._one_by_one
            is_good = len(uids) <= self._good_up_to.get(scp, 0)
        if singly:
            return _one_by_one(scp, uids, ask)
        try:
            page = ask(uids)
        except (LeadingQueryFailed, LeadingMismatch) as err:
            return self._refused(scp, uids, ask, str(err))
        missing = [uid for uid in uids if uid not in page.found and uid not in page.twice]
        if page.has_stranger:
            # The order does not matter; the missing ones come first, as they are most likely cut off.
            return self._refused(scp, [*missing, *(uid for uid in uids if uid not in missing)], ask, _STRANGER)
        if page.twice:
            return self._repeated(scp, uids, page, ask)
        if missing and not is_good:
            return self._incomplete(scp, uids, page, missing, ask)
        self._is_good(scp, len(uids))
        return {uid: page.found.get(uid) for uid in uids}

    def _refused(self, scp: AETitle, uids: Sequence[UID], ask: Ask, reason: str) -> dict[UID, LeadingAnswer]:
        """Decide if a failure is due to the list or to the archive."""
        first, *rest = uids
        answer = _single(scp, first, ask)
        if isinstance(answer, LeadingUnavailable):
            return dict.fromkeys(uids, answer)
        self._mishandles(scp, reason)
        return {first: answer} | _one_by_one(scp, rest, ask)

    def _repeated(self, scp: AETitle, uids: Sequence[UID], page: Page, ask: Ask) -> dict[UID, LeadingAnswer]:
        """Decide if studies that came twice are twice in the archive."""
        suspect = next(uid for uid in uids if uid in page.twice)
        answer = _single(scp, suspect, ask)
        if isinstance(answer, LeadingUnavailable):
            return {uid: answer if uid in page.twice else page.found.get(uid) for uid in uids}
        self._mishandles(scp, _TWICE)
        return {suspect: answer} | _one_by_one(scp, [uid for uid in uids if uid != suspect], ask)

    def _incomplete(
        self, scp: AETitle, uids: Sequence[UID], page: Page, missing: Sequence[UID], ask: Ask
    ) -> dict[UID, LeadingAnswer]:
        """Decide if missing studies exist, by a query for one of them."""
        suspect, *others = missing
        try:
            answer = _single(scp, suspect, ask)
        except LeadingUnavailable as err:
            return page.found | dict.fromkeys(missing, err)
        answers = page.found | dict.fromkeys(missing, None) | {suspect: answer}
        if answer is None:
            if len(page.found) > 1:  # one answer could come from an archive that reads only the first UID
                self._is_good(scp, len(uids))
        elif not isinstance(answer, LeadingUnavailable):
            self._mishandles(scp, "it leaves out studies that it has")
            answers |= _one_by_one(scp, others, ask)
        return answers

    def _is_good(self, scp: AETitle, length: int) -> None:
        with self._lock:
            self._good_up_to[scp] = max(length, self._good_up_to.get(scp, 0))

    def _mishandles(self, scp: AETitle, reason: str) -> None:
        with self._lock:
            if scp in self._one_by_one:
                return
            self._one_by_one.add(scp)
        LOG.warning("leading archive %s mishandles UID lists and is asked for studies one by one: %s", scp, reason)


_STRANGER = "it answered with a study that was not asked for"
_TWICE = "it answered with the same study twice"


def _single(scp: AETitle, uid: UID, ask: Ask) -> LeadingAnswer:
    """The answer to a query for one study; a mismatch is an answer. Raises LeadingUnavailable."""
    try:
        page = ask([uid])
    except LeadingMismatch as err:
        return err
    if page.has_stranger:
        return LeadingMismatch(f"{scp} answered with a study that was not asked for")
    if page.twice:
        return LeadingMismatch(f"{scp} answered with the same study twice")
    return page.found.get(uid)


def _one_by_one(scp: AETitle, uids: Sequence[UID], ask: Ask) -> dict[UID, LeadingAnswer]:
    """Query each study separately; after a lost answer, the rest fails too."""
    answers: dict[UID, LeadingAnswer] = {}
    for at, uid in enumerate(uids):
        try:
            answers[uid] = _single(scp, uid, ask)
        except LeadingUnavailable as err:
            return answers | dict.fromkeys(uids[at:], err)
    return answers
