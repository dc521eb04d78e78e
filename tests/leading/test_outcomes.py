"""What a lookup delivers and counts while the leading archive fails and recovers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from pydicom import Dataset

from dcm4py_leading.coercion.question import LeadingQuestion
from dcm4py_leading.errors import LeadingMismatch, LeadingQueryFailed, LeadingRefused, LeadingUnavailable
from dcm4py_leading.leading.breaker import BreakerState
from dcm4py_leading.leading.last_known import LastKnown
from dcm4py_leading.leading.lookup import LeadingLookup
from dcm4py_leading.leading.outcome import LookupOutcome
from dcm4py_leading.leading.settings import LeadingSettings
from dcm4py_leading.model.archive import AttributeSet, AttributeSetType
from dcm4py_leading.model.values import UID, Tag
from tests.fixtures.rules import LEADING, application_entity, data_set, device
from tests.fixtures.scripted_query import ScriptedQuery

A, B, C = UID("1.2.3"), UID("1.2.4"), UID("1.2.5")
AE = application_entity()
UIDS = [UID(f"1.3.{n}") for n in range(1000)]


class Scene:
    """A lookup, its clock, its last known answers, and an archive that knows all studies unless told otherwise."""

    def __init__(self, directory: Path, *, cache_size: int = 10, **settings: object) -> None:
        self.seconds = 0.0
        self.archive = ScriptedQuery(self._respond)
        self.failure: LeadingUnavailable | None = None
        self.takes = 0.0
        self.looks: Callable[[], float] = lambda: 0.0
        """Called while the archive is asked."""
        self.background: list[Callable[[], None]] = []
        self.reached = 0
        self.last_known = LastKnown(directory / "known.sqlite", max_rows=1000, now=lambda: self.seconds)
        self.settings = LeadingSettings(**settings)  # type: ignore[arg-type]
        keys = AttributeSet(
            dn="set",
            attribute_set_type=AttributeSetType.LEADING_CFIND_SCP,
            attribute_set_id="*",
            tags=(Tag(0x00100010),),
        )
        self.device = device(cache_size=cache_size, stale_timeout=timedelta(seconds=60), attribute_sets=(keys,))
        self.start()

    def start(self) -> None:
        """As after a reload."""
        self.lookup = LeadingLookup(
            self.device,
            self.archive,
            clock=lambda: self.seconds,
            settings=self.settings,
            last_known=self.last_known,
            in_background=self.background.append,
        )

    def _respond(self, uids: Sequence[UID]) -> list[Dataset]:
        if not uids:
            self.reached += 1
        else:
            self.seconds += self.takes + self.looks()
        if self.failure is not None:
            raise self.failure
        return [data_set(StudyInstanceUID=uid, PatientName="Right^Name") for uid in uids]

    @property
    def asked(self) -> list[tuple[UID, ...]]:
        return [asked.uids for asked in self.archive.asked]

    @property
    def timeouts(self) -> list[float]:
        return [asked.timeout.total_seconds() for asked in self.archive.asked if asked.timeout is not None]

    def outcomes(self, *uids: UID) -> list[str]:
        looked = self.lookup.look_up([LeadingQuestion(LEADING, uid) for uid in uids], AE)
        return [looked[LeadingQuestion(LEADING, uid)].outcome.value for uid in uids]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


DOWN = LeadingUnavailable("QRSCP at localhost:1: cannot connect")


def test_thousand_studies_cost_ten_queries_cold_and_none_warm(tmp_path: Path) -> None:
    scene = Scene(tmp_path, cache_size=2000)
    assert set(scene.outcomes(*UIDS)) == {"miss"}
    assert len(scene.asked) == 10
    assert set(scene.outcomes(*UIDS)) == {"hit"}
    assert len(scene.asked) == 10


def test_studies_wait_until_their_page_is_answered(tmp_path: Path) -> None:
    scene = Scene(tmp_path, cache_size=2000)
    seen: list[tuple[int, int]] = []

    def look() -> float:
        counts = scene.lookup.counts
        seen.append((counts.under_way.get(LEADING, 0), counts.waiting.get(LEADING, 0)))
        return 0.0

    scene.looks = look
    scene.outcomes(*UIDS[:250])
    assert seen == [(1, 250), (1, 150), (1, 50)]
    assert (scene.lookup.counts.under_way, scene.lookup.counts.waiting) == ({}, {})


def test_a_question_that_fails_is_under_way_no_more(scene: Scene) -> None:
    scene.failure = DOWN
    scene.outcomes(A)
    assert (scene.lookup.counts.under_way, scene.lookup.counts.waiting) == ({}, {})


def test_rows_that_stream_cost_one_more_query_for_a_small_first_page(tmp_path: Path) -> None:
    scene = Scene(tmp_path, cache_size=2000)
    for page in scene.settings.pages(UIDS):
        scene.outcomes(*page)
    assert [len(asked) for asked in scene.asked] == [20, *[100] * 9, 80]


def test_last_known_answer_serves_while_the_archive_is_down(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    assert scene.outcomes(A) == ["miss"]
    scene.seconds = 60.0
    scene.failure = DOWN
    with caplog.at_level(logging.WARNING):
        looked = scene.lookup.look_up([LeadingQuestion(LEADING, uid) for uid in (A, B)], AE)
    stale, lost = looked.values()
    assert stale.outcome is LookupOutcome.STALE_SERVED
    assert isinstance(stale.answer, Dataset) and stale.answer.PatientName == "Right^Name"
    assert lost.outcome is LookupOutcome.FAILED and lost.answer is scene.failure
    (record,) = caplog.records
    assert "the last known answer serves for 1" in record.getMessage()


def test_last_known_answer_survives_a_reload_and_grows_too_old(scene: Scene) -> None:
    scene.outcomes(A)
    scene.failure = DOWN
    scene.start()
    assert scene.outcomes(A) == ["stale-served"]
    scene.seconds = 24 * 3600 + 1.0
    assert scene.outcomes(A) == ["failed"]


def test_last_known_answer_is_not_taken_for_a_fresh_one(scene: Scene) -> None:
    scene.outcomes(A)
    scene.seconds, scene.failure = 60.0, DOWN
    assert scene.outcomes(A) == ["stale-served"]
    scene.failure = None
    assert scene.outcomes(A) == ["miss"]


def test_dropped_study_has_no_last_known_answer(scene: Scene) -> None:
    scene.outcomes(A, B)
    assert scene.lookup.drop(A) == 1
    scene.seconds, scene.failure = 60.0, DOWN
    assert scene.outcomes(A, B) == ["failed", "stale-served"]
    scene.lookup.drop(None)
    assert scene.outcomes(B) == ["failed"]


def test_mismatch_is_never_covered_by_the_last_known_answer_and_opens_no_breaker(scene: Scene) -> None:
    scene.outcomes(A)
    scene.seconds, scene.failure = 60.0, LeadingMismatch("QRSCP answered with more studies than it was asked for")
    for _ in range(2):
        assert scene.outcomes(A) == ["mismatch"]
    for uid in UIDS[:5]:
        assert scene.outcomes(uid) == ["mismatch"]
    scene.failure = None
    assert scene.outcomes(B) == ["miss"]


def test_study_that_failed_twice_rests_and_others_are_asked_for(tmp_path: Path) -> None:
    scene = Scene(tmp_path, breaker_threshold=100)
    scene.failure = DOWN
    for _ in range(5):
        assert scene.outcomes(A) == ["failed"]
    assert scene.asked == [(A,), (A,)]
    scene.failure = None
    assert scene.outcomes(B) == ["miss"]
    scene.seconds = 2.0
    assert scene.outcomes(A) == ["miss"]


def test_archive_that_fails_in_a_row_is_not_asked_and_recovery_is_noticed_in_seconds(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.outcomes(C)
    scene.failure = DOWN
    assert [scene.outcomes(uid) for uid in UIDS[:3]] == [["failed"]] * 3
    asked = len(scene.asked)
    assert scene.lookup.counts.breakers == {("DCM4CHEE", LEADING): BreakerState.OPEN}
    assert scene.outcomes(B) == ["refused-by-breaker"]
    assert scene.outcomes(C) == ["hit"]
    scene.seconds = 60.0
    assert scene.outcomes(C, B) == ["stale-served", "refused-by-breaker"]
    assert len(scene.asked) == asked

    (probing,) = scene.background
    scene.failure = None
    scene.lookup.close()  # the real wait between probes ends at once
    probing()
    with caplog.at_level(logging.INFO):
        assert scene.outcomes(B) == ["miss"]
    assert "QRSCP answers again" in caplog.text
    assert scene.lookup.counts.breakers == {("DCM4CHEE", LEADING): BreakerState.CLOSED}


def test_without_a_probe_the_next_question_after_the_pause_is_the_trial(tmp_path: Path) -> None:
    scene = Scene(tmp_path, probe_for=timedelta(0))
    scene.failure = DOWN
    for uid in UIDS[:3]:
        scene.outcomes(uid)
    assert scene.outcomes(B) == ["refused-by-breaker"]
    scene.seconds = 2.0
    assert scene.outcomes(B) == ["failed"]
    scene.failure = None
    assert scene.outcomes(B) == ["refused-by-breaker"]
    scene.seconds = 4.0
    assert scene.outcomes(B) == ["miss"]
    assert scene.background == []


def test_refused_question_is_asked_again_as_soon_as_the_breaker_closes(tmp_path: Path) -> None:
    scene = Scene(tmp_path, probe_for=timedelta(0))
    scene.failure = DOWN
    for uid in UIDS[:3]:
        scene.outcomes(uid)
    for _ in range(4):
        answer = scene.lookup.answers([LeadingQuestion(LEADING, B)], AE)[LeadingQuestion(LEADING, B)]
        assert isinstance(answer, LeadingRefused)
    scene.failure, scene.seconds = None, 2.0
    assert scene.outcomes(B) == ["miss"]


def test_error_status_costs_two_queries_and_counts_as_one_failure(scene: Scene) -> None:
    scene.failure = LeadingQueryFailed("QRSCP: C-FIND ended with status 0xA700")
    assert scene.outcomes(A, B) == ["failed", "failed"]
    assert scene.asked == [(A, B), (A,)]
    assert scene.lookup.counts.breakers == {("DCM4CHEE", LEADING): BreakerState.CLOSED}
    assert scene.lookup.counts.one_by_one == frozenset()


def test_deadline_bounds_all_pages_of_a_lookup(tmp_path: Path) -> None:
    scene = Scene(tmp_path, cache_size=2000, page_size=100, deadline=timedelta(seconds=10))
    scene.takes = 4.0
    looked = scene.lookup.look_up([LeadingQuestion(LEADING, uid) for uid in UIDS], AE)
    assert scene.timeouts == [10.0, 6.0, 2.0]
    outcomes = [one.outcome for one in looked.values()]
    assert outcomes.count(LookupOutcome.MISS) == 300
    assert outcomes.count(LookupOutcome.FAILED) == 700


def test_deadline_can_be_given_by_the_request(scene: Scene) -> None:
    scene.lookup.look_up([LeadingQuestion(LEADING, A)], AE, deadline=timedelta(seconds=3))
    assert scene.timeouts == [3.0]


def test_every_question_is_counted_once_and_every_query_timed(scene: Scene) -> None:
    scene.takes = 0.2
    scene.outcomes(A, B)
    scene.outcomes(A, C)
    assert scene.lookup.counts.cache_size == 3
    scene.seconds, scene.failure = 61.0, DOWN
    scene.outcomes(A, UIDS[0])
    counts = scene.lookup.counts
    assert counts.outcomes == {
        LEADING: {
            LookupOutcome.MISS: 3,
            LookupOutcome.HIT: 1,
            LookupOutcome.STALE_SERVED: 1,
            LookupOutcome.FAILED: 1,
        }
    }
    assert sum(map(counts.total, LookupOutcome)) == 6
    latency = counts.latency[LEADING]
    assert latency.count == len(scene.asked) == 3
    assert latency.buckets[5] == 3
    assert latency.total_seconds == pytest.approx(0.6)


def test_cached_studies_are_listed(scene: Scene) -> None:
    scene.outcomes(A)
    scene.seconds = 5.0
    (listed,) = scene.lookup.entries()
    assert (listed.leading_cfind_scp, listed.study_instance_uid, listed.is_found) == (LEADING, A, True)
    assert listed.age == timedelta(seconds=5)
