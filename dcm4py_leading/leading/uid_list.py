"""Questions about many studies at once, and detection of archives that do not understand them.

List of UID Matching (PS3.4 C.2.2.2.2) is not understood by every archive: some take the first UID, some ignore the
key and answer with everything, some stop at a limit or refuse.
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
    """Answers that came back for some UIDs."""

    found: dict[UID, LeadingAnswer]
    """Studies that were answered once; LeadingUnavailable: with what cannot be read."""
    twice: frozenset[UID] = frozenset()
    has_stranger: bool = False
    """True if a study was among them that was not asked for."""


Ask = Callable[[Sequence[UID]], Page]
"""One C-FIND. Raises LeadingUnavailable, LeadingQueryFailed, LeadingMismatch."""


class UidLists:
    """Knows of each archive whether it can be asked for several studies at once. Safe under threads.

    What an archive answers to a list is taken as it is once a list of that length was seen to be answered well. Until
    then a missing study is asked for singly, at most one for each page.
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
        """The answer for each study of a page. Raises LeadingUnavailable when there is none for any."""
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
            # The order matters not; a missing one is the most likely to have been displaced.
            return self._refused(scp, [*missing, *(uid for uid in uids if uid not in missing)], ask, _STRANGER)
        if page.twice:
            return self._repeated(scp, uids, page, ask)
        if missing and not is_good:
            return self._incomplete(scp, uids, page, missing, ask)
        self._is_good(scp, len(uids))
        return {uid: page.found.get(uid) for uid in uids}

    def _refused(self, scp: AETitle, uids: Sequence[UID], ask: Ask, reason: str) -> dict[UID, LeadingAnswer]:
        """The list as a whole was answered badly: is it the list, or the archive?"""
        first, *rest = uids
        answer = _single(scp, first, ask)
        if isinstance(answer, LeadingUnavailable):
            return dict.fromkeys(uids, answer)
        self._mishandles(scp, reason)
        return {first: answer} | _one_by_one(scp, rest, ask)

    def _repeated(self, scp: AETitle, uids: Sequence[UID], page: Page, ask: Ask) -> dict[UID, LeadingAnswer]:
        """Studies came twice: does the archive have them twice?"""
        suspect = next(uid for uid in uids if uid in page.twice)
        answer = _single(scp, suspect, ask)
        if isinstance(answer, LeadingUnavailable):
            return {uid: answer if uid in page.twice else page.found.get(uid) for uid in uids}
        self._mishandles(scp, _TWICE)
        return {suspect: answer} | _one_by_one(scp, [uid for uid in uids if uid != suspect], ask)

    def _incomplete(
        self, scp: AETitle, uids: Sequence[UID], page: Page, missing: Sequence[UID], ask: Ask
    ) -> dict[UID, LeadingAnswer]:
        """Studies are missing: does one of them exist?"""
        suspect, *others = missing
        try:
            answer = _single(scp, suspect, ask)
        except LeadingUnavailable as err:
            return page.found | dict.fromkeys(missing, err)
        answers = page.found | dict.fromkeys(missing, None) | {suspect: answer}
        if answer is None:
            if len(page.found) > 1:  # one answer could be that of an archive which reads the first UID only
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
    """The answer to a question for one study, a mismatch included. Raises LeadingUnavailable."""
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
    """After an answer that does not come, the rest fails with it."""
    answers: dict[UID, LeadingAnswer] = {}
    for at, uid in enumerate(uids):
        try:
            answers[uid] = _single(scp, uid, ask)
        except LeadingUnavailable as err:
            return answers | dict.fromkeys(uids[at:], err)
    return answers
