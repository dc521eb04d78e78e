"""The breaker before questions by keys."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import Any

import pytest
from pydicom import Dataset

from dcm4py_leading.errors import LeadingQueryFailed, LeadingRefused, LeadingTooManyMatches, LeadingUnavailable
from dcm4py_leading.leading.keys_query import GuardedKeysQuery
from dcm4py_leading.leading.outcome import LookupOutcome
from dcm4py_leading.leading.settings import LeadingSettings
from dcm4py_leading.model.values import Tag
from tests.fixtures.rules import LEADING, application_entity, data_set

SETTINGS = LeadingSettings(breaker_threshold=2, breaker_pause=timedelta(seconds=5))
RETURN_KEYS = frozenset({Tag(0x0020000D)})


class Archive:
    """A leading archive that answers ``answer``, or raises it; and the clock."""

    def __init__(self) -> None:
        self.answer: list[Dataset] | LeadingUnavailable = []
        self.asked = 0
        self.now = 0.0
        self.guarded = GuardedKeysQuery(self, SETTINGS, clock=lambda: self.now)

    def find_by_keys(self, *_: Any, **__: Any) -> list[Dataset]:
        self.asked += 1
        if isinstance(self.answer, LeadingUnavailable):
            raise self.answer
        return self.answer

    def ask(self, local_ae: str = "DCM4CHEE") -> list[Dataset]:
        keys = data_set(PatientID="P")
        return self.guarded.find_by_keys(LEADING, application_entity(local_ae), keys, RETURN_KEYS, limit=5)


def test_an_archive_that_fails_in_a_row_is_not_asked_until_a_trial_succeeds() -> None:
    archive = Archive()
    archive.answer = LeadingUnavailable("down")
    for _ in range(2):
        with pytest.raises(LeadingUnavailable, match="down"):
            archive.ask()
    with pytest.raises(LeadingRefused, match="QRSCP"):
        archive.ask()
    assert archive.asked == 2
    archive.now = 5.0
    archive.answer = []
    assert archive.ask() == archive.ask() == []


def test_each_local_ae_has_its_own_breaker() -> None:
    archive = Archive()
    archive.answer = LeadingUnavailable("rejected")
    for _ in range(2):
        with pytest.raises(LeadingUnavailable):
            archive.ask("ONE")
    archive.answer = []
    assert archive.ask("TWO") == []


@pytest.mark.parametrize("answer", [LeadingTooManyMatches("many"), LeadingQueryFailed("0xA900")])
def test_rejected_query_is_not_a_failure_of_the_archive(answer: LeadingUnavailable) -> None:
    archive = Archive()
    archive.answer = answer
    for _ in range(4):
        with pytest.raises(type(answer)):
            archive.ask()
    assert archive.asked == 4


def test_every_question_is_counted_by_its_outcome() -> None:
    archive = Archive()
    ends: list[list[Dataset] | LeadingUnavailable] = [
        [data_set(StudyInstanceUID="1.2")],
        [],
        LeadingTooManyMatches("6"),
        LeadingUnavailable("down"),
        LeadingUnavailable("down"),
        LeadingUnavailable("not asked any more"),
    ]
    for archive.answer in ends:
        with contextlib.suppress(LeadingUnavailable):
            archive.ask()
    assert archive.guarded.outcomes() == {
        LEADING: {
            LookupOutcome.MISS: 1,
            LookupOutcome.NOT_FOUND: 1,
            LookupOutcome.FAILED: 3,
            LookupOutcome.REFUSED_BY_BREAKER: 1,
        }
    }
