"""Questions keep to the rate, and outlast an archive that is down for a while. Time is the test's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from pydicom import Dataset

from dcm4py_leading.errors import LeadingQueryFailed, LeadingUnavailable
from dcm4py_leading.model.bounds import DRIFT_PATIENCE_SECONDS
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import UID, AETitle, Tag
from dcm4py_leading.service.drift.asking import LeadingInquiry, StudyQuery
from dcm4py_leading.service.drift.pace import DriftClock, RetryPauses, Throttle
from tests.fixtures import clock
from tests.fixtures.rules import data_set
from tests.fixtures.scripted_query import ScriptedQuery

LOCAL = ApplicationEntity(
    dn="dicomAETitle=DCM4CHEE", ae_title=AETitle("DCM4CHEE"), association_initiator=True, association_acceptor=True
)
UIDS = [UID(f"1.2.{number}") for number in range(1, 5)]


class Clock(clock.Clock):
    """The clock of an inquiry, and what it tells while it waits."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    @property
    def time(self) -> DriftClock:
        return DriftClock(clock=self, sleep=self.wait)


class Archive(ScriptedQuery):
    """A leading archive that knows every study; ``fails`` says by time and UIDs how it fails."""

    def __init__(
        self, time: Clock, fails: Callable[[float, Sequence[UID]], LeadingUnavailable | None] = lambda *_: None
    ) -> None:
        super().__init__(self._respond)
        self.asked_at: list[float] = []
        self._time, self._fails = time, fails

    def _respond(self, uids: Sequence[UID]) -> list[Dataset]:
        self.asked_at.append(self._time.now)
        failure = self._fails(self._time.now, uids)
        if failure is not None:
            raise failure
        return [data_set(StudyInstanceUID=uid) for uid in uids]


def asker(archive: Archive, time: Clock, rate: float = 1000.0) -> StudyQuery:
    asked = LeadingInquiry(
        leading_cfind_scp=AETitle("QRSCP"),
        local_ae=LOCAL,
        return_keys=frozenset({Tag(0x0020000D)}),
        timeout=timedelta(seconds=15),
    )
    return StudyQuery(archive, asked, Throttle(rate, time.time), RetryPauses("QRSCP", time.time, time.told.append))


def test_no_more_questions_a_second_than_the_rate() -> None:
    time = Clock()
    archive = Archive(time)
    asking = asker(archive, time, rate=2.0)
    for uid in UIDS:
        asking.answers([uid])
    time.now += 100.0  # what was not used is not made up for
    for uid in UIDS:
        asking.answers([uid])
    assert archive.asked_at == [0.0, 0.5, 1.0, 1.5, 101.5, 102.0, 102.5, 103.0]


def test_page_is_one_question() -> None:
    time = Clock()
    archive = Archive(time)
    assert set(asker(archive, time).answers(UIDS)) == set(UIDS)
    assert [asked.uids for asked in archive.asked] == [tuple(UIDS)]


def test_archive_that_is_down_for_a_while_is_asked_again_until_it_answers() -> None:
    time = Clock()
    back_at = DRIFT_PATIENCE_SECONDS / 2
    archive = Archive(time, lambda now, _: LeadingUnavailable("QRSCP: refused") if now < back_at else None)
    answers = asker(archive, time).answers(UIDS)
    assert all(isinstance(answers[uid], Dataset) for uid in UIDS)
    assert back_at <= time.now < back_at + 60
    assert time.told == ["QRSCP will be asked again: QRSCP: refused", "QRSCP answers again"]
    assert len(archive.asked) < 20


def test_archive_that_stays_down_ends_it() -> None:
    time = Clock()
    archive = Archive(time, lambda *_: LeadingUnavailable("QRSCP: refused"))
    with pytest.raises(LeadingUnavailable, match="QRSCP: refused"):
        asker(archive, time).answers(UIDS)
    assert DRIFT_PATIENCE_SECONDS <= time.now < DRIFT_PATIENCE_SECONDS + 60


def test_one_study_that_is_refused_costs_the_others_nothing() -> None:
    time = Clock()
    archive = Archive(time, lambda _, uids: LeadingQueryFailed("QRSCP: C001") if UIDS[1] in uids else None)
    answers = asker(archive, time).answers(UIDS)
    assert isinstance(answers[UIDS[1]], LeadingQueryFailed)
    assert all(isinstance(answers[uid], Dataset) for uid in UIDS if uid != UIDS[1])
    assert time.now < 1


def test_archive_that_refuses_everything_is_given_time_and_then_taken_at_its_word() -> None:
    time = Clock()
    archive = Archive(time, lambda *_: LeadingQueryFailed("QRSCP: A700"))
    answers = asker(archive, time).answers(UIDS)
    assert all(isinstance(answers[uid], LeadingQueryFailed) for uid in UIDS)
    assert time.now >= DRIFT_PATIENCE_SECONDS
