from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from pydicom import Dataset

from dcm4py_leading.coercion.question import LeadingAnswer
from dcm4py_leading.errors import LeadingUnavailable
from dcm4py_leading.leading.cache import LeadingCache, LeadingCacheCounts
from dcm4py_leading.leading.outcome import LookupOutcome, LookupResult
from dcm4py_leading.model.values import UID
from tests.fixtures.clock import Clock
from tests.fixtures.rules import data_set

UIDS = [UID(f"1.2.{n}") for n in range(1, 41)]
A, B, C = UIDS[:3]
WAIT = 60.0
"""Seconds until a test that hangs fails."""


class Archive:
    """A leading archive that knows every study but those in ``unknown``, and writes down what it is asked."""

    def __init__(self, *, unknown: Sequence[UID] = (), before: Callable[[], None] = lambda: None) -> None:
        self.unknown = unknown
        self.before = before
        self.asked: list[tuple[UID, ...]] = []
        self.failure: Exception | None = None

    def __call__(self, uids: Sequence[UID]) -> Mapping[UID, Dataset]:
        self.asked.append(tuple(uids))
        self.before()
        if self.failure is not None:
            raise self.failure
        return {uid: data_set(StudyInstanceUID=uid) for uid in uids if uid not in self.unknown}


class Asking:
    """A cache, asked for answers without their outcomes."""

    def __init__(self, of: LeadingCache, join_timeout: timedelta) -> None:
        self.cache = of
        self._join_timeout = join_timeout

    @property
    def counts(self) -> LeadingCacheCounts:
        return self.cache.counts

    def look_up(self, source: str, uids: Sequence[UID], archive: Archive) -> dict[UID, LookupResult]:
        return self.cache.get_many(source, uids, archive, join_timeout=self._join_timeout)

    def get_many(self, source: str, uids: Sequence[UID], archive: Archive) -> dict[UID, LeadingAnswer]:
        return {uid: looked.answer for uid, looked in self.look_up(source, uids, archive).items()}


def cache(
    *,
    max_size: int = 10,
    stale_after: timedelta | None = None,
    clock: Callable[[], float] | None = None,
    page_size: int = 50,
    join_timeout: timedelta = timedelta(seconds=WAIT),
) -> Asking:
    clock = clock or Clock(100.0)
    return Asking(
        LeadingCache(max_size=max_size, stale_after=stale_after, clock=clock, page_size=page_size), join_timeout
    )


def test_second_question_is_answered_from_the_cache() -> None:
    archive, answers = Archive(), cache()
    first = answers.get_many("QRSCP", [A, B], archive)
    assert answers.get_many("QRSCP", [B, A], archive) == first
    assert archive.asked == [(A, B)]
    assert answers.counts == LeadingCacheCounts(hits=2, misses=2)


def test_other_archive_is_another_question() -> None:
    archive, answers = Archive(), cache()
    answers.get_many("QRSCP", [A], archive)
    answers.get_many("OTHER", [A], archive)
    assert archive.asked == [(A,), (A,)]


def test_only_what_is_missing_is_asked_for() -> None:
    archive, answers = Archive(), cache()
    answers.get_many("QRSCP", [A], archive)
    answers.get_many("QRSCP", [A, B, B], archive)
    assert archive.asked == [(A,), (B,)]


def test_questions_are_split_into_pages_of_what_is_missing() -> None:
    archive, answers = Archive(), cache(max_size=0, page_size=10)
    answers.get_many("QRSCP", UIDS[:5], archive)
    answers.get_many("QRSCP", UIDS[:30], archive)
    assert [len(page) for page in archive.asked] == [5, 10, 10, 5]


def test_unknown_study_is_an_answer_and_is_remembered() -> None:
    archive, answers = Archive(unknown=[A]), cache()
    assert answers.get_many("QRSCP", [A], archive) == {A: None}
    assert answers.get_many("QRSCP", [A], archive) == {A: None}
    assert archive.asked == [(A,)]


def test_failure_is_not_remembered() -> None:
    archive, answers = Archive(), cache()
    archive.failure = LeadingUnavailable("down")
    assert answers.get_many("QRSCP", [A, B], archive) == {A: archive.failure, B: archive.failure}
    archive.failure = None
    assert isinstance(answers.get_many("QRSCP", [A], archive)[A], Dataset)
    assert archive.asked == [(A, B), (A,)]
    assert answers.counts == LeadingCacheCounts(misses=3, failures=2)


def test_no_page_is_asked_for_after_one_that_fails() -> None:
    archive, answers = Archive(), cache(max_size=0, page_size=1)

    def fail_at_the_second() -> None:
        archive.failure = LeadingUnavailable("down") if len(archive.asked) == 2 else None

    archive.before = fail_at_the_second
    got = answers.get_many("QRSCP", [A, B, C], archive)
    assert archive.asked == [(A,), (B,)]
    assert isinstance(got[A], Dataset)
    assert isinstance(got[B], LeadingUnavailable) and got[B] is got[C]


def test_unforeseen_exception_ends_the_flight() -> None:
    archive, answers = Archive(), cache()
    archive.failure = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        answers.get_many("QRSCP", [A], archive)
    archive.failure = None
    assert isinstance(answers.get_many("QRSCP", [A], archive)[A], Dataset)


@pytest.mark.ldap("dcmLeadingCFindSCPQueryCacheStaleTimeout")
def test_answer_is_asked_for_anew_when_it_is_stale() -> None:
    clock, archive = Clock(100.0), Archive()
    answers = cache(stale_after=timedelta(minutes=5), clock=clock)
    answers.get_many("QRSCP", [A], archive)
    clock.now += 299
    answers.get_many("QRSCP", [A], archive)
    assert len(archive.asked) == 1
    clock.now += 1
    answers.get_many("QRSCP", [A], archive)
    assert len(archive.asked) == 2


def test_without_stale_timeout_an_answer_never_becomes_stale() -> None:
    clock, archive = Clock(100.0), Archive()
    answers = cache(clock=clock)
    answers.get_many("QRSCP", [A], archive)
    clock.now += 1e9
    answers.get_many("QRSCP", [A], archive)
    assert len(archive.asked) == 1


@pytest.mark.ldap("dcmLeadingCFindSCPQueryCacheSize")
@pytest.mark.parametrize("stale_after", [None, timedelta(minutes=5)])
def test_least_recently_used_answer_goes_first(stale_after: timedelta | None) -> None:
    archive, answers = Archive(), cache(max_size=2, stale_after=stale_after)
    for uid in (A, B, A, C):
        answers.get_many("QRSCP", [uid], archive)
    archive.asked.clear()
    answers.get_many("QRSCP", [A], archive)
    answers.get_many("QRSCP", [B], archive)
    assert archive.asked == [(B,)]


def test_size_0_is_unlimited() -> None:
    archive, answers = Archive(), cache(max_size=0, stale_after=timedelta(minutes=5))
    answers.get_many("QRSCP", UIDS, archive)
    answers.get_many("QRSCP", UIDS, archive)
    assert len(archive.asked) == 1


def test_cache_that_is_smaller_than_a_request_answers_all_of_it() -> None:
    archive, answers = Archive(), cache(max_size=2)
    assert list(answers.get_many("QRSCP", UIDS, archive)) == UIDS


def test_fifty_threads_cost_one_question() -> None:
    threads = 50
    answers = cache()
    everybody = threading.Semaphore(0)

    def wait_for_everybody() -> None:
        for _ in range(threads - 1):
            assert everybody.acquire(timeout=WAIT)

    archive = Archive(before=wait_for_everybody)
    together = threading.Barrier(threads)

    def ask(_: int) -> object:
        together.wait(WAIT)
        # The one that asks holds its answer back until every other is about to wait for it.
        if not first.acquire(blocking=False):
            everybody.release()
        return answers.get_many("QRSCP", [A, B], archive)

    first = threading.Semaphore(1)
    with ThreadPoolExecutor(threads) as pool:
        got = list(pool.map(ask, range(threads), timeout=WAIT))
    assert archive.asked == [(A, B)]
    assert all(answer == got[0] for answer in got)
    counts = answers.counts
    assert (counts.misses, counts.hits + counts.joined) == (2, 2 * (threads - 1))


def asking_in_the_background(
    pool: ThreadPoolExecutor, answers: Asking, uids: Sequence[UID], **archive: object
) -> tuple[threading.Event, object]:
    """Let another thread ask, up to where the archive is about to answer; set the event to let it."""
    reached, go = threading.Event(), threading.Event()

    def hold() -> None:
        reached.set()
        assert go.wait(WAIT)

    slow = Archive(before=hold)
    slow.failure = archive.get("failure")  # type: ignore[assignment]
    future = pool.submit(answers.get_many, "QRSCP", uids, slow)
    assert reached.wait(WAIT)
    return go, future


def test_failure_reaches_all_who_wait_for_it() -> None:
    answers, failure = cache(), LeadingUnavailable("down")
    with ThreadPoolExecutor(5) as pool:
        go, _ = asking_in_the_background(pool, answers, [A], failure=failure)
        waiting = [pool.submit(answers.get_many, "QRSCP", [A], Archive()) for _ in range(4)]
        _until(lambda: answers.counts.joined == 4)
        go.set()
        assert all(future.result(WAIT) == {A: failure} for future in waiting)
    assert answers.counts.failures == 1


def _until(condition: Callable[[], bool]) -> None:
    patience = threading.Event()
    for _ in range(int(WAIT * 1000)):
        if condition():
            return
        patience.wait(0.001)
    raise AssertionError("it never came to this")


def test_own_answers_are_there_for_others_before_another_request_is_waited_for() -> None:
    answers = cache()
    with ThreadPoolExecutor(2) as pool:
        go, _ = asking_in_the_background(pool, answers, [A])
        waiting = pool.submit(answers.get_many, "QRSCP", [A, B], Archive())
        _until(lambda: answers.counts.joined == 1)
        got = answers.get_many("QRSCP", [B], Archive(unknown=[B]))
        assert not waiting.done()
        go.set()
    assert isinstance(got[B], Dataset)


def test_waiting_for_another_request_has_an_end() -> None:
    answers, archive = cache(join_timeout=timedelta(0)), Archive()
    with ThreadPoolExecutor(1) as pool:
        go, _ = asking_in_the_background(pool, answers, [A])
        got = answers.get_many("QRSCP", [A, B], archive)
        go.set()
    assert isinstance(got[A], LeadingUnavailable)
    assert isinstance(got[B], Dataset)
    assert archive.asked == [(B,)]


def test_threads_with_overlapping_questions_get_right_answers_without_a_deadlock() -> None:
    answers, unknown = cache(max_size=3, page_size=4), UIDS[::7]

    def ask(seed: int) -> None:
        chance, archive = random.Random(seed), Archive(unknown=unknown)
        for _ in range(60):
            uids = chance.sample(UIDS, chance.randint(1, 12))
            got = answers.get_many("QRSCP", uids, archive)
            assert got.keys() == set(uids)
            for uid, answer in got.items():
                if uid in unknown:
                    assert answer is None
                else:
                    assert isinstance(answer, Dataset) and answer.StudyInstanceUID == uid

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(ask, range(16), timeout=60))


def test_outcome_tells_how_an_answer_came_about() -> None:
    answers, archive = cache(), Archive(unknown=[B])
    first = answers.look_up("QRSCP", [A, B], archive)
    assert [first[uid].outcome for uid in (A, B)] == [LookupOutcome.MISS, LookupOutcome.NOT_FOUND]
    again = answers.look_up("QRSCP", [A, B], archive)
    assert {looked.outcome for looked in again.values()} == {LookupOutcome.HIT}
    archive.failure = LeadingUnavailable("down")
    assert answers.look_up("QRSCP", [C], archive)[C].outcome is LookupOutcome.FAILED
    with ThreadPoolExecutor(2) as pool:
        go, _ = asking_in_the_background(pool, answers, [UIDS[5]])
        waiting = pool.submit(answers.look_up, "QRSCP", [UIDS[5]], Archive())
        _until(lambda: answers.counts.joined == 1)
        go.set()
        assert waiting.result(WAIT)[UIDS[5]].outcome is LookupOutcome.JOINED


def test_dropped_study_is_asked_for_again_and_others_are_not() -> None:
    answers, archive = cache(), Archive()
    answers.get_many("QRSCP", [A, B], archive)
    assert answers.cache.drop(A) == 1
    answers.get_many("QRSCP", [A, B], archive)
    assert archive.asked == [(A, B), (A,)]
    assert answers.cache.drop(None) == 2
    assert len(answers.cache) == 0


def test_answer_that_was_on_its_way_when_it_was_dropped_is_not_remembered() -> None:
    answers, archive = cache(), Archive()
    with ThreadPoolExecutor(1) as pool:
        go, on_its_way = asking_in_the_background(pool, answers, [A])
        answers.cache.drop(A)
        answers.get_many("QRSCP", [A], archive)
        go.set()
        assert isinstance(on_its_way.result(WAIT)[A], Dataset)  # type: ignore[attr-defined]
    assert archive.asked == [(A,)]
    assert len(answers.cache) == 1


def test_entries_are_listed_with_their_age() -> None:
    clock = Clock(100.0)
    answers = cache(clock=clock)
    answers.get_many("QRSCP", [A], Archive())
    clock.now += 5
    answers.get_many("QRSCP", [B], Archive(unknown=[B]))
    listed = [(e.study_instance_uid, e.age, e.answer is None) for e in answers.cache.entries()]
    assert listed == [(A, timedelta(seconds=5), False), (B, timedelta(0), True)]
