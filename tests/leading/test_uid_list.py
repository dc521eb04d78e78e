from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import pytest
from pydicom import Dataset

from dcm4py_leading.errors import LeadingMismatch, LeadingQueryFailed, LeadingUnavailable
from dcm4py_leading.leading.uid_list import Page, UidLists
from dcm4py_leading.model.values import UID
from tests.fixtures.rules import LEADING, data_set

UIDS = tuple(UID(f"1.2.{n}") for n in range(1, 11))
A, B, C, D = UIDS[:4]


class Asked:
    """An archive that has some studies and handles lists as ``lists`` does."""

    def __init__(self, has: Sequence[UID], lists: Callable[[list[UID]], Page | None] = lambda known: None) -> None:
        self.has = has
        self.lists = lists
        self.asked: list[tuple[UID, ...]] = []

    def __call__(self, uids: Sequence[UID]) -> Page:
        self.asked.append(tuple(uids))
        known = [uid for uid in uids if uid in self.has]
        if len(uids) > 1 and (page := self.lists(known)) is not None:
            return page
        return page_with(known)


def page_with(uids: Sequence[UID]) -> Page:
    return Page(found={uid: data_set(StudyInstanceUID=uid) for uid in uids})


def raises(err: Exception) -> Callable[[list[UID]], Page]:
    def lists(known: list[UID]) -> Page:
        raise err

    return lists


@pytest.mark.parametrize(
    "lists",
    [
        lambda known: Page(found={}, has_stranger=True),
        lambda known: Page(found={}, twice=frozenset(known[:1])),
        lambda known: page_with(known[:1]),
        lambda known: page_with(known[:2]),
        lambda known: page_with([]),
        raises(LeadingQueryFailed("QRSCP: C-FIND ended with status 0xA900")),
        raises(LeadingMismatch("QRSCP answered with more studies than it was asked for")),
    ],
    ids=["stranger", "twice", "only the first", "up to a limit", "none", "error status", "everything it has"],
)
def test_archive_that_mishandles_lists_is_asked_one_by_one_and_named_once(
    lists: Callable[[list[UID]], Page], caplog: pytest.LogCaptureFixture
) -> None:
    archive, uid_lists = Asked(UIDS, lists), UidLists()
    with caplog.at_level(logging.INFO):
        first = uid_lists.fetch(LEADING, [A, B, C], archive)
        second = uid_lists.fetch(LEADING, UIDS[3:6], archive)
    for uid, answer in (first | second).items():
        assert isinstance(answer, Dataset) and answer.StudyInstanceUID == uid
    assert archive.asked[0] == (A, B, C)
    assert archive.asked[1:][-3:] == [(uid,) for uid in UIDS[3:6]]
    assert all(len(uids) == 1 for uids in archive.asked[1:])
    assert uid_lists.one_by_one == {LEADING}
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "QRSCP mishandles UID lists" in record.getMessage()


def test_unknown_study_is_no_reason_to_distrust_lists() -> None:
    archive, uid_lists = Asked([A, B, D]), UidLists()
    assert uid_lists.fetch(LEADING, [A, B, C], archive)[C] is None
    assert archive.asked == [(A, B, C), (C,)]
    assert uid_lists.one_by_one == frozenset()


def test_missing_study_is_asked_for_singly_only_until_lists_are_known_to_be_handled() -> None:
    archive, uid_lists = Asked([A, B, D]), UidLists()
    for _ in range(3):
        uid_lists.fetch(LEADING, [A, B, C], archive)
    assert archive.asked == [(A, B, C), (C,), (A, B, C), (A, B, C)]


def test_longer_list_than_any_before_is_not_trusted_yet() -> None:
    """An archive may stop at a limit that the first, short page did not reach."""
    archive, uid_lists = Asked(UIDS, lambda known: page_with(known[:3])), UidLists()
    uid_lists.fetch(LEADING, UIDS[:3], archive)
    got = uid_lists.fetch(LEADING, UIDS[3:], archive)
    assert all(isinstance(answer, Dataset) for answer in got.values())
    assert uid_lists.one_by_one == {LEADING}


def test_page_of_unknown_studies_costs_one_more_question() -> None:
    archive, uid_lists = Asked([]), UidLists()
    got = uid_lists.fetch(LEADING, UIDS, archive)
    assert set(got.values()) == {None}
    assert archive.asked == [UIDS, (A,)]


def test_failure_of_the_extra_question_keeps_what_was_answered() -> None:
    class Lost(Asked):
        def __call__(self, uids: Sequence[UID]) -> Page:
            if len(uids) == 1:
                raise LeadingUnavailable("gone")
            return super().__call__(uids)

    got = UidLists().fetch(LEADING, [A, B, C], Lost([A]))
    assert isinstance(got[A], Dataset)
    assert str(got[B]) == str(got[C]) == "gone"


def test_error_status_for_one_study_too_is_the_archive_and_not_the_list() -> None:
    class Broken(Asked):
        def __call__(self, uids: Sequence[UID]) -> Page:
            self.asked.append(tuple(uids))
            raise LeadingQueryFailed("QRSCP: C-FIND ended with status 0xA700")

    archive, uid_lists = Broken([]), UidLists()
    with pytest.raises(LeadingQueryFailed):
        uid_lists.fetch(LEADING, UIDS, archive)
    assert archive.asked == [UIDS, (A,)]
    assert uid_lists.one_by_one == frozenset()


def test_lost_connection_costs_no_second_question() -> None:
    archive = Asked(UIDS, raises(LeadingUnavailable("the peer ended the association")))
    with pytest.raises(LeadingUnavailable):
        UidLists().fetch(LEADING, UIDS, archive)
    assert len(archive.asked) == 1


def test_one_by_one_stops_at_the_first_answer_that_does_not_come() -> None:
    archive, uid_lists = Asked(UIDS, lambda known: Page(found={}, has_stranger=True)), UidLists()
    uid_lists.fetch(LEADING, [A, B], archive)

    def lost_at_c(uids: Sequence[UID]) -> Page:
        if uids[0] == C:
            raise LeadingUnavailable("gone")
        return archive(uids)

    archive.asked.clear()
    got = uid_lists.fetch(LEADING, [A, B, C, D], lost_at_c)
    assert isinstance(got[A], Dataset) and isinstance(got[B], Dataset)
    assert str(got[C]) == str(got[D]) == "gone"
    assert archive.asked == [(A,), (B,)]
