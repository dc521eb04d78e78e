"""Pages of studies, the newest first: nothing twice, nothing left out, and by indexes alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.dialects import sqlite

from dcm4py_leading.archive.index.index import Index
from dcm4py_leading.archive.index.keys import KEY_OF
from dcm4py_leading.archive.index.querying import newest
from dcm4py_leading.archive.index.querying.newest import Candidates, Position
from dcm4py_leading.archive.index.querying.query import Query, parse_query
from dcm4py_leading.model.values import InformationModel
from tests.fixtures.archive import make_header, make_identifier, store

STUDIES = 60


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of `index`."""
    return tmp_path_factory.mktemp("newest") / "index.sqlite"


@pytest.fixture(scope="module")
def index(file: Path) -> Iterator[Index]:
    """Studies of 20 patients; every fourth has no date, and the others lie on 10 days in no order; nobody writes."""
    index = Index.open(f"sqlite:///{file}")
    for number in range(STUDIES):
        date = None if number % 4 == 0 else f"202401{1 + number * 7 % 10:02}"
        header = make_header(
            study=f"1.2.{number}",
            series=f"1.2.{number}.1",
            sop=f"1.2.{number}.1.1",
            StudyDate=date,
            PatientID=f"P{number % 20}",
            PatientName=("Smith^Ann", "Smythe^Bob", "Jones^Eve")[number % 20 % 3],
            AccessionNumber=f"A{number}",
            Modality=("CT", "MR")[number % 2],
        )
        store(index, header)
    yield index
    index.close()


def query_of(**keys: Any) -> Query:
    return parse_query(make_identifier(**keys), InformationModel.STUDY_ROOT, relational=False)


def walked(index: Index, query: Query, most: int) -> list[str]:
    """UIDs of all studies, a page at a time."""
    found: list[str] = []
    after: Position | None = None
    while True:
        page, after = index.newest_studies(query, after, most)
        assert len(page) <= most
        found += [match.attributes.StudyInstanceUID for match in page]
        if after is None:
            return found


@pytest.mark.parametrize("most", [1, 7, STUDIES, 1000])
@pytest.mark.parametrize(
    ("narrow", "walk"),
    [(0, newest.WALK), (0, 1), (0, 13), (newest.NARROW, newest.WALK)],
    ids=["walk", "step", "steps", "candidates"],
)
@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"PatientName": "SM*"},
        {"PatientName": "*ith*"},
        {"PatientName": "SMITH^ANN", "StudyDate": "20240103-20240108"},
        {"PatientID": "P3"},
        {"PatientID": "P1*", "ModalitiesInStudy": "MR"},
        {"StudyDate": "20240105"},
        {"StudyDate": "-20240105", "AccessionNumber": "A1*"},
        {"AccessionNumber": "A7"},
        {"StudyInstanceUID": "1.2.8"},
        {"PatientName": "NOBODY*"},
    ],
    ids=repr,
)
def test_pages_together_are_all_matches_newest_first(
    index: Index, keys: dict[str, str], narrow: int, walk: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(newest, "NARROW", narrow)
    monkeypatch.setattr(newest, "WALK", walk)
    query = query_of(**keys)
    dates = {match.attributes.StudyInstanceUID: match.attributes.get("StudyDate") for match in index.matches(query)}
    found = walked(index, query, most)
    assert sorted(found) == sorted(dates)
    shown = [dates[uid] or "" for uid in found]
    assert shown == sorted(shown, reverse=True)


@pytest.mark.usefixtures("index")
def test_number_of_statements_does_not_grow_with_the_page(file: Path) -> None:
    identifier = {"ModalitiesInStudy": "", "NumberOfStudyRelatedSeries": "", "NumberOfStudyRelatedInstances": ""}
    query = query_of(PatientName="S*", PatientID="P1*", **identifier)
    seen: list[str] = []

    def trace(connection: Connection) -> None:
        connection.connection.driver_connection.set_trace_callback(seen.append)  # type: ignore[union-attr]

    index = Index.open(f"sqlite:///{file}")  # of its own, since it is traced from here on
    event.listen(index._database._reading_engine, "begin", trace)
    counts = []
    for most in (1, 5, 50):
        seen.clear()
        index.newest_studies(query, Position("20240106", 1000), most)
        counts.append(sum(sql.startswith("SELECT") for sql in seen))
    index.close()
    # Candidates for each of two conditions, the page, perhaps what comes undated, the rows, four computed attributes.
    assert set(counts) == {8, 9}, seen


def plan(connection: Connection, statement: object) -> list[str]:
    state = statement.compile(dialect=sqlite.dialect()).construct_expanded_state({})  # type: ignore[attr-defined]
    explained = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {state.statement}", tuple(state.positional_parameters))
    return [row[3] for row in explained]


@pytest.fixture
def connection(file: Path, index: Index) -> Iterator[Connection]:
    engine = create_engine(f"sqlite:///{file}")
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA case_sensitive_like = ON")
        yield connection
    engine.dispose()


@pytest.mark.parametrize(
    ("keys", "by"),
    [
        ({"PatientName": "SM*"}, "USING COVERING INDEX ix_patient_patient_name (patient_name>?"),
        ({"PatientName": "SM*"}, "USING COVERING INDEX ix_patient_patient_name_phonetic (patient_name_phonetic>?"),
        ({"PatientID": "P1"}, "patient_id=?"),
        ({"PatientID": "P1*"}, "patient_id>?"),
        ({"PatientBirthDate": "19700101"}, "patient_birth_date=?"),
        ({"AccessionNumber": "A1*"}, "USING COVERING INDEX ix_study_accession_number (accession_number>?"),
        ({"StudyInstanceUID": "1.2.3"}, "study_instance_uid=?"),
    ],
    ids=repr,
)
def test_candidates_are_read_from_an_index(connection: Connection, keys: dict[str, str], by: str) -> None:
    steps = plan(connection, newest.narrowing(query_of(**keys).conditions[0]))
    assert any(by in step for step in steps), steps
    assert not [step for step in steps if step.startswith(("SCAN patient", "SCAN study"))], steps


@pytest.mark.parametrize("after", [None, Position("20240106", 30), Position(None, 30)])
@pytest.mark.parametrize("keys", [{"PatientName": "SM*"}, {"StudyDate": "20240101-", "AccessionNumber": "A*"}, {}])
def test_where_many_match_the_newest_are_read_in_their_order(
    connection: Connection, keys: dict[str, str], after: Position | None
) -> None:
    end = Position("20240102", 3) if after is None or after.study_date else Position(None, 3)
    for statement in (
        newest.page(query_of(**keys), None, after, None, 50),
        newest.page(query_of(**keys), None, after, end, 50),
        newest.end_of_walk(query_of(**keys), after),
    ):
        steps = plan(connection, statement)
        assert "INDEX ix_study_study_date" in steps[0], steps
        assert not [step for step in steps if "TEMP B-TREE" in step or step.startswith("SCAN patient")], steps
    (step,) = steps
    assert "COVERING INDEX" in step


@pytest.mark.parametrize("after", [None, Position("20240106", 30)])
@pytest.mark.parametrize("tag", [0x00100020, 0x00080050])
def test_candidates_are_read_by_their_keys(connection: Connection, tag: int, after: Position | None) -> None:
    keys = {"PatientID": "P1", "AccessionNumber": "A1", "StudyDate": "20240101-20240110"}
    query = query_of(**keys)
    condition = next(one for one in query.conditions if one.tag == tag)
    steps = plan(connection, newest.page(query, Candidates(condition, [1, 2, 3]), after, None, 50))
    by = "ix_study_patient_fk" if KEY_OF[tag].column == "patient_id" else "INTEGER PRIMARY KEY"
    assert steps[0].startswith("SEARCH study") and by in steps[0], steps
    assert not [step for step in steps if step.startswith("SCAN")], steps
