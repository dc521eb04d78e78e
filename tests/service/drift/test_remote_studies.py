"""Studies of another archive are found once each, in windows of their date, whatever it makes of a query."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from datetime import date
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset

from dcm4py_leading.archive.index.attributes import encode
from dcm4py_leading.archive.index.querying.match import Match
from dcm4py_leading.errors import ArchiveUnavailable, DriftEnded
from dcm4py_leading.leading.settings import Flush
from dcm4py_leading.model.bounds import DRIFT_PATIENCE_SECONDS
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import AETitle
from dcm4py_leading.service.drift.pace import DriftClock, RetryPauses
from dcm4py_leading.service.drift.pages import Page
from dcm4py_leading.service.drift.remote_studies import DatesNotMatched, RemoteArchive, RemoteStudies
from dcm4py_leading.service.drift.windows import key_range, time_range, windows
from dcm4py_leading.service.query_archive import EMPTY_VALUE, ArchiveQuery

TODAY = date(2026, 11, 30)
MOST = 6
LOCAL = ApplicationEntity(
    dn="dicomAETitle=DCM4CHEE", ae_title=AETitle("DCM4CHEE"), association_initiator=True, association_acceptor=True
)
OUT_OF_RESOURCES = 0xA700

Moment = tuple[str, str]
"""Study Date and Study Time."""


class Pacs:
    """An archive that compares texts; ``fails`` says by the number of a query, and its keys, how it fails."""

    gives_parts = False

    def __init__(
        self,
        moments: Sequence[Moment],
        *,
        fails: Callable[[int, Dataset], ArchiveUnavailable | None] = lambda *_: None,
        matches_empty: bool = True,
        limit: int = 1_000_000,
    ) -> None:
        self.studies = [study(number, *moment) for number, moment in enumerate(moments)]
        self.keys: list[tuple[str, str]] = []
        self.told = 0
        """Answers that were read."""
        self._fails, self._matches_empty, self._limit = fails, matches_empty, limit

    def count(self, asked: ArchiveQuery, *, most: int | None = None) -> int | None:
        return None

    def matches(self, asked: ArchiveQuery, *, fetch_size: int) -> Generator[Match | Flush]:
        keys = asked.identifier()
        self.keys.append((str(keys.StudyDate), str(keys.get("StudyTime") or "")))
        failure = self._fails(len(self.keys), keys)
        if failure is not None:
            raise failure
        for number, ds in enumerate(self._matching(*self.keys[-1])):
            if number == self._limit:
                raise ArchiveUnavailable("PACS: too many", status=OUT_OF_RESOURCES)
            self.told += 1
            yield Match(encoded_attributes=(encode(ds),), computed={})

    def _matching(self, days: str, times: str) -> Iterator[Dataset]:
        for ds in self.studies:
            if self._is_match(days, ds.StudyDate) and self._is_match(times, ds.StudyTime):
                yield ds

    def _is_match(self, key: str, value: str) -> bool:
        if key == EMPTY_VALUE and self._matches_empty:
            return not value
        if not key or key == EMPTY_VALUE:
            return True
        low, dash, high = key.partition("-")
        return low <= value <= (high or "~") if dash and value else value == key


def study(number: int, day: str, moment: str) -> Dataset:
    ds = Dataset()
    ds.StudyInstanceUID, ds.StudyDate, ds.StudyTime = f"1.2.{number}", day, moment
    return ds


class Walk:
    """A walk of an archive, in a time of its own."""

    def __init__(self, pacs: Pacs, *, since: date | None = None, rate: float = 1000.0, queries: int = 100_000) -> None:
        self.now = 0.0
        self.waits: list[float] = []
        self.told: list[str] = []
        self.time = DriftClock(clock=lambda: self.now, sleep=self._sleep, is_over=lambda: len(pacs.keys) > queries)
        walked = RemoteArchive(
            title=AETitle("PACS"), archive=pacs, local_ae=LOCAL, wanted=frozenset(), since=since, today=TODAY
        )
        self.studies = RemoteStudies(
            walked, rate, self.time, RetryPauses("archive PACS", self.time, self.told.append), most=MOST
        )

    def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    def pages(self, after: object = None) -> list[Page]:
        return list(self.studies.pages(after))


def found(pages: Sequence[Page]) -> list[str]:
    return [str(ds.StudyInstanceUID) for page in pages for ds in page.studies]


def everything(pacs: Pacs) -> list[str]:
    return [str(ds.StudyInstanceUID) for ds in pacs.studies]


def gaps(pages: Sequence[Page]) -> list[str]:
    return [page.gap for page in pages if page.gap is not None]


DAYS = st.dates(date(1, 1, 1), date(2027, 3, 1)) | st.dates(date(2026, 11, 1), date(2026, 11, 3))
TIMES = st.times().map(lambda at: at.strftime("%H%M%S")) | st.sampled_from(["", "10", "1000", "1015", "101530.5"])
MOMENTS = st.tuples(DAYS.map(lambda day: day.isoformat().replace("-", "")) | st.just(""), TIMES)


@settings(deadline=None, max_examples=60)
@given(st.lists(MOMENTS, max_size=40), st.integers(0, 30))
def test_every_study_is_found_once_also_when_it_is_resumed_at_any_page(moments: list[Moment], at: int) -> None:
    spread = [(day, moment) for day, moment in moments if moments.count((day, moment)) == 1]
    pacs = Pacs(spread)
    pages = Walk(pacs).pages()
    assert len({str(page.after) for page in pages}) == len(pages)
    too_many = {gap for gap in gaps(pages) if "more than" in gap}
    if not too_many:
        assert sorted(found(pages)) == sorted(everything(pacs))
    assert all(len(page.studies) <= MOST for page in pages)
    if at < len(pages):
        # Windows begin small again, so studies of one may come in another order.
        resumed = found(pages[: at + 1]) + found(Walk(pacs).pages(pages[at].after))
        assert sorted(resumed) == sorted(found(pages))


def test_windows_grow_and_shrink_with_what_is_in_them() -> None:
    moments = [(f"2020{month:02}{day:02}", "") for month in (1, 2) for day in range(1, 29) for _ in range(3)]
    pacs = Pacs([*moments, ("20261129", "")])
    pages = Walk(pacs).pages()
    assert sorted(found(pages)) == sorted(everything(pacs))
    assert pacs.told < 4 * len(moments)
    assert len(pacs.keys) < 120


def test_share_grows_from_the_oldest_study_to_the_end() -> None:
    pacs = Pacs([(f"{year}0601", "") for year in range(1990, 2026)])
    shares = [page.share for page in Walk(pacs).pages() if page.share is not None]
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.3 and shares[-1] == 1.0


def test_since_leaves_out_what_is_older_or_has_no_date() -> None:
    pacs = Pacs([("20200101", ""), ("20260101", ""), ("20270101", ""), ("", "")])
    assert found(Walk(pacs, since=date(2026, 1, 1)).pages()) == ["1.2.1", "1.2.2"]


def test_large_day_is_walked_by_time_and_then_studies_without_time() -> None:
    timed = [("20261101", f"10{minute:02}00") for minute in range(20)]
    pacs = Pacs([*timed, ("20261101", ""), ("20261102", "")])
    pages = Walk(pacs).pages()
    assert sorted(found(pages)) == sorted(everything(pacs))
    assert ("20261101", EMPTY_VALUE) in pacs.keys


def test_today_may_be_too_large_and_there_may_be_dates_to_come() -> None:
    timed = [("20261130", f"10{minute:02}00") for minute in range(20)]
    pacs = Pacs([*timed, ("20270101", ""), ("20991231", "")])
    assert sorted(found(Walk(pacs).pages())) == sorted(everything(pacs))


def test_second_with_too_many_studies_is_reported_and_the_walk_continues() -> None:
    pacs = Pacs([*[("20261101", "100000")] * (MOST + 1), ("20261102", "")])
    pages = Walk(pacs).pages()
    assert "PACS: more than 6 studies of one second of 20261101" in gaps(pages)
    assert found(pages) == [f"1.2.{MOST + 1}"]


def test_archive_that_gives_few_answers_is_asked_for_less_at_once() -> None:
    pacs = Pacs([(f"202611{day:02}", "") for day in range(1, 29)], limit=2)
    assert sorted(found(Walk(pacs).pages())) == sorted(everything(pacs))


@pytest.mark.parametrize("status", [0xA900, 0xC000])
def test_archive_without_empty_value_matching_is_reported(status: int) -> None:
    def fails(_: int, keys: Dataset) -> ArchiveUnavailable | None:
        return ArchiveUnavailable("PACS: refused", status=status) if keys.StudyDate == EMPTY_VALUE else None

    pages = Walk(Pacs([("20261101", "")], fails=fails)).pages()
    assert (found(pages), gaps(pages)) == (["1.2.0"], ["PACS cannot be asked for studies without a Study Date"])
    pages = Walk(Pacs([("20261101", "")], matches_empty=False)).pages()
    assert (found(pages), gaps(pages)) == (["1.2.0"], ["PACS cannot be asked for studies without a Study Date"])
    pages = Walk(Pacs([("20261101", ""), ("", "")])).pages()
    assert (found(pages), gaps(pages)) == (["1.2.0", "1.2.1"], [])
    pages = Walk(Pacs([("20261101", "")])).pages()
    assert gaps(pages) == ["PACS tells of no studies without a Study Date: it has none, or cannot be asked for them"]


def test_archive_that_does_not_match_dates_is_no_endless_walk() -> None:
    pacs = Pacs([("20261101", "")] * 100)
    pacs._is_match = lambda key, value: True  # type: ignore[method-assign]
    with pytest.raises(DatesNotMatched, match="PACS answers with studies of another StudyDate"):
        Walk(pacs).pages()
    assert len(pacs.keys) == 1


def test_archive_that_is_down_for_a_while_is_asked_again_and_costs_no_study() -> None:
    numbers = count()
    pacs = Pacs(
        [(f"2026{month:02}01", "") for month in range(1, 11)],
        fails=lambda number, _: ArchiveUnavailable("PACS: refused") if number > 8 and next(numbers) < 5 else None,
    )
    walk = Walk(pacs)
    assert sorted(found(walk.pages())) == sorted(everything(pacs))
    assert walk.told == ["archive PACS will be asked again: PACS: refused", "archive PACS answers again"]
    assert walk.now < 60


def test_archive_that_stays_down_ends_the_walk_and_it_goes_on_from_its_last_page() -> None:
    moments = [(f"2026{month:02}{day:02}", "") for month in range(1, 11) for day in (1, 15)]
    pacs = Pacs(moments, fails=lambda number, _: ArchiveUnavailable("PACS: refused") if number > 25 else None)
    walk, pages = Walk(pacs), []
    with pytest.raises(ArchiveUnavailable, match="PACS: refused"):
        for page in walk.studies.pages(None):
            pages.append(page)
    assert walk.now >= DRIFT_PATIENCE_SECONDS
    assert 0 < len(found(pages)) < len(moments)
    rest = Walk(Pacs(moments)).pages(pages[-1].after)
    assert sorted(found(pages) + found(rest)) == sorted(everything(pacs))


def test_no_more_queries_a_second_than_the_rate() -> None:
    pacs = Pacs([("20261101", "")])
    walk = Walk(pacs, rate=0.5)
    walk.pages()
    assert walk.now == 2.0 * (len(pacs.keys) - 1)


def test_walk_that_is_ended_gives_no_page_of_a_query_that_was_cut_short() -> None:
    pacs = Pacs([("20261101", "")])
    walk, pages = Walk(pacs, queries=0), []
    with pytest.raises(DriftEnded):
        for page in walk.studies.pages(None):
            pages.append(page)
    assert pages == []


@given(st.lists(st.integers(0, 50), max_size=60), st.integers(1, 5))
def test_windows_have_every_number_once(numbers: list[int], most: int) -> None:
    def ask(first: int, last: int) -> list[int] | None:
        inside = [number for number in numbers if first <= number <= last]
        return inside if len(inside) <= most else None

    seen: list[int] = []
    ends = [-1]
    for end, some in windows(0, 50, ask, 2):
        assert end > ends[-1]
        if some is None:
            assert end == ends[-1] + 1
        seen += numbers_of(numbers, ends[-1], end) if some is None else some
        ends.append(end)
    assert ends[-1] == 50
    assert sorted(seen) == sorted(numbers)


def numbers_of(numbers: Sequence[int], after: int, end: int) -> list[int]:
    return [number for number in numbers if after < number <= end]


def test_ranges_are_written_for_archives_that_compare_texts_too() -> None:
    assert [key_range("20260101", None), key_range(None, "20260101"), key_range("20260101", "20260101")] == [
        "20260101-",
        "-20260101",
        "20260101",
    ]
    assert [time_range(0, 35999), time_range(36000, 36000), time_range(36915, 86399)] == [
        "00-095959.999999",
        "10-100000.999999",
        "101515-235959.999999",
    ]
