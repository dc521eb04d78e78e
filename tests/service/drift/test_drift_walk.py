"""The index is walked page by page, each study is asked for once, and a killed comparison goes on where it was."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from pydicom import Dataset

from dcm4py_leading.archive.index.index import Index, IndexedStudy
from dcm4py_leading.coercion.question import LeadingAnswer
from dcm4py_leading.errors import DriftNotResumed
from dcm4py_leading.model.archive import Entity
from dcm4py_leading.model.coercion import UpdatePolicy
from dcm4py_leading.model.values import UID
from dcm4py_leading.service.drift.comparison import Compared, Measure, Outcome
from dcm4py_leading.service.drift.pages import IndexStudies
from dcm4py_leading.service.drift.report import Report
from dcm4py_leading.service.drift.state import SavedState, State, beginning, load, save
from dcm4py_leading.service.drift.summary import HERE
from dcm4py_leading.service.drift.walk import walk
from tests.fixtures.archive import empty_index, make_filter, make_header, store

STUDIES = 23
PAGE = 5
NAME, STUDY_DATE = 0x00100010, 0x00080020
FILTERS = {Entity.PATIENT: make_filter(Entity.PATIENT, NAME), Entity.STUDY: make_filter(Entity.STUDY, STUDY_DATE)}
MEASURE = Measure(tags=frozenset({NAME}), policy=UpdatePolicy.MERGE)
SUBJECT = {"ae": "DCM4CHEE", "since": None}


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    """Studies of three months."""
    (tmp_path / "index.sqlite").write_bytes(empty_index())
    index = Index.open(f"sqlite:///{tmp_path / 'index.sqlite'}")
    for number in range(1, STUDIES + 1):
        date = f"2026{number % 3 + 1:02}15"
        uid = f"1.2.{number}"
        header = make_header(uid, f"{uid}.1", f"{uid}.1.1", PatientID=f"P{number}", StudyDate=date)
        store(index, header, filters=FILTERS)
    yield index
    index.close()


class Leading:
    """Every second study has another name, every seventh is unknown; ``most`` pages are answered."""

    def __init__(self, most: int = 1000) -> None:
        self.asked: list[UID] = []
        self._most = most

    def answers(self, uids: Sequence[UID]) -> Mapping[UID, LeadingAnswer]:
        if not self._most:
            raise KeyboardInterrupt
        self._most -= 1
        self.asked += uids
        return {uid: self.answer(uid) for uid in uids}

    @staticmethod
    def answer(uid: UID) -> Dataset | None:
        number = int(uid.rpartition(".")[2])
        answer = Dataset()
        answer.StudyInstanceUID = uid
        answer.PatientName = "Doe^John" if number % 2 else "Roe^Jane"
        return answer if number % 7 else None


class Counted:
    """The index, and how many studies it was asked for at once."""

    def __init__(self, index: Index) -> None:
        self.pages: list[int] = []
        self._index = index

    def studies_after(self, pk: int, most: int, *, since: str | None) -> Sequence[IndexedStudy]:
        page = self._index.studies_after(pk, most, since=since)
        self.pages.append(len(page))
        return page


def run(
    index: Index | Counted,
    leading: Leading,
    *,
    state: State | None = None,
    since: str | None = None,
    report: Report | None = None,
) -> Iterator[State]:
    begun = state or beginning()
    archives = {HERE: IndexStudies(index, PAGE, since=since)}
    return walk(archives, leading, MEASURE, state=begun, page_size=PAGE, report=report)


def kept(state: State) -> SavedState:
    """As it is kept in a file."""
    return SavedState(subject=SUBJECT, state=state, begun_at="2026-11-30", saved_at="2026-11-30", is_complete=False)


def expected(number: int) -> str:
    """The naive comparison."""
    return "unknown" if number % 7 == 0 else "stale" if number % 2 == 0 else "current"


def test_counts_are_those_of_a_naive_comparison(index: Index) -> None:
    *_, last = run(index, Leading())
    outcomes = [expected(number) for number in range(1, STUDIES + 1)]
    assert {outcome.value: count for outcome, count in last.summary.outcomes.items()} == {
        name: outcomes.count(name) for name in set(outcomes)
    }
    stale = [number for number in range(1, STUDIES + 1) if expected(number) == "stale"]
    by_month = {f"2026-{month:02}": sum(n % 3 + 1 == month for n in stale) for month in (1, 2, 3)}
    assert last.summary.stale_by_month == by_month
    assert last.summary.stale_by_attribute == {"PatientName": by_month}
    assert any(line.split() == ["PatientName", str(len(stale)), "2026-01", "to", "2026-03"] for line in _lines(last))


def _lines(state: State) -> list[str]:
    return list(state.summary.lines())


def test_index_is_read_a_page_at_a_time(index: Index) -> None:
    counted = Counted(index)
    walked = run(counted, Leading())
    next(walked)
    assert counted.pages == [PAGE]
    list(walked)
    assert counted.pages == [5, 5, 5, 5, 3, 0]


def test_since_leaves_out_what_is_older(index: Index) -> None:
    leading = Leading()
    list(run(index, leading, since="20260301"))
    assert leading.asked == [f"1.2.{number}" for number in range(1, STUDIES + 1) if number % 3 == 2]


@pytest.mark.parametrize("pages", range(5))
def test_killed_and_resumed_asks_for_no_study_twice_and_leaves_the_same_csv(
    index: Index, tmp_path: Path, pages: int
) -> None:
    whole, parts, state_file = tmp_path / "whole.csv", tmp_path / "parts.csv", tmp_path / "state"
    with Report(whole, has_values=False, at=0) as report:
        *_, complete = run(index, Leading(), report=report)

    first, second = Leading(most=pages), Leading()
    with Report(parts, has_values=False, at=0) as report, pytest.raises(KeyboardInterrupt):
        for state in run(index, first, report=report):
            save(state_file, kept(state))
    with parts.open("ab") as file:
        file.write(b"half a row that the state does not kn")
    found = load(state_file, SUBJECT)
    state = beginning() if found is None else found.state
    with Report(parts, has_values=False, at=state.report_bytes) as report:
        *_, resumed = run(index, second, state=state, report=report)

    assert first.asked + second.asked == [f"1.2.{number}" for number in range(1, STUDIES + 1)]
    assert parts.read_bytes() == whole.read_bytes()
    assert resumed.summary.to_json() == complete.summary.to_json()


def test_csv_is_that_of_a_naive_comparison_and_tells_no_values(index: Index, tmp_path: Path) -> None:
    path = tmp_path / "drift.csv"
    with Report(path, has_values=False, at=0) as report:
        list(run(index, Leading(), report=report))
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["StudyInstanceUID"], row["outcome"], row["attributes"]) for row in rows] == [
        (f"1.2.{n}", expected(n), "PatientName" if expected(n) == "stale" else "") for n in range(1, STUDIES + 1)
    ]
    assert b"Doe" not in path.read_bytes() and b"Roe" not in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600


def test_values_are_in_the_csv_when_they_are_wanted(index: Index, tmp_path: Path) -> None:
    path = tmp_path / "drift.csv"
    with Report(path, has_values=True, at=0) as report:
        list(run(index, Leading(), report=report))
    with path.open(newline="") as file:
        by_uid = {row["StudyInstanceUID"]: row for row in csv.DictReader(file)}
    assert by_uid["1.2.2"]["archived"] == '{"PatientName": "Doe^John"}'
    assert by_uid["1.2.2"]["leading"] == '{"PatientName": "Roe^Jane"}'
    assert by_uid["1.2.1"]["archived"] == ""


def test_no_cell_of_the_csv_is_a_formula(tmp_path: Path) -> None:
    compared = Compared(outcome=Outcome.UNASKED)
    uids = ["=1+1", "@SUM(1)", "+1", "-1", "\t=1", "1.2"]
    path = tmp_path / "drift.csv"
    with Report(path, has_values=True, at=0) as report:
        report.add([(uid, compared) for uid in uids], "-PACS")
    with path.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    assert [row[1] for row in rows] == ["'=1+1", "'@SUM(1)", "'+1", "'-1", "'\t=1", "1.2"]
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


def test_state_of_another_comparison_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state"
    save(path, kept(beginning()))
    with pytest.raises(DriftNotResumed, match="another comparison: since None"):
        load(path, {**SUBJECT, "since": "20260101"})


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"subject": {"ae": "DCM4CHEE", "since": null}, "at": ""}'])
def test_file_that_is_no_state_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "state"
    path.write_text(text)
    with pytest.raises(DriftNotResumed, match="not the state"):
        load(path, SUBJECT)


def test_csv_that_is_gone_or_shorter_than_the_state_says_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "drift.csv"
    with pytest.raises(DriftNotResumed, match="no such file"):
        Report(path, has_values=False, at=100)
    path.write_bytes(b"short")
    with pytest.raises(DriftNotResumed, match="less than"):
        Report(path, has_values=False, at=100)
    assert path.read_bytes() == b"short"


def test_study_whose_uid_is_none_is_counted_as_not_asked(tmp_path: Path) -> None:
    ds = Dataset()
    ds.StudyInstanceUID = "not a UID"

    class One:
        def studies_after(self, pk: int, most: int, *, since: str | None) -> Sequence[IndexedStudy]:
            return [] if pk else [_Odd(1, ())]

    class _Odd(IndexedStudy):
        @property
        def attributes(self) -> Dataset:
            return ds

    leading = Leading()
    archives = {HERE: IndexStudies(One(), PAGE, since=None)}
    (last,) = walk(archives, leading, MEASURE, state=beginning(), page_size=PAGE, report=None)
    assert leading.asked == []
    assert last.summary.outcomes == {Outcome.UNASKED: 1}
