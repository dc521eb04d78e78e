"""A query applied to a data set against the same query as SQL."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset

from dcm4py_leading.archive.index.index import Index
from dcm4py_leading.archive.index.querying.data_set_matching import limited_to_studies, matches, without
from dcm4py_leading.archive.index.querying.query import Query, parse_query
from dcm4py_leading.model.values import InformationModel
from tests.fixtures.archive import make_header, make_identifier, store

NAMES: list[str | None] = ["Doe^John", "DOE^JANE^^", "doe", "Doe^", "Do_^J%hn", "O'Brien^Ann"]
NAMES += ["Yamada^Tarou=山田^太郎=やまだ^たろう", "Müller^Ä", "mÜLLER", "A*B\\^C", "Doe^John^M^Dr", "", None]
TEXTS = ["A1", "a1", "A12", "A_1", "A%1", "B?", "Kopf", "A\\B", "", None]
DATES = ["20191231", "20200101", "20200115", "2020.02.01", "nonsense", "", None]
TIMES = ["00", "0930", "093000", "093015.5", "1015", "235959.999999", "", None]
NUMBERS = ["1", "01", "12", "-3", "", None]

KEYS: dict[str, list[object]] = {
    "PatientName": ["*^*^m", "=山田^太郎", "Yamada*=山田*=", "müller*", "o'brien^ann", "?*", "^", "Doe^*", "d??"],
    "PatientID": ["P1", "P*", "?1", ""],
    "ReferringPhysicianName": ["doe", "Do_^J%hn", "*john*", "A*"],
    "AccessionNumber": ["A1", "a*", "A_1", "A%*", "*1*", "A?1", ["A1", "B*"], "*", "*1**"],
    "StudyDescription": ["Kopf", "K*", "A", "B"],
    "StudyDate": ["20200101", "20200101-", "-20200131", "20200101-20200131", "2020.02.01", "20200201-20200101"],
    "StudyTime": ["0930", "09", "0930-1015", "10-", "-0929", "2300-0100", "093015.5"],
    "ModalitiesInStudy": ["CT", "C*", ["MR", "SR"], "ct"],
    "SOPClassesInStudy": ["1.2.840.10008.5.1.4.1.1.2", "1.2.3"],
    "Modality": ["CT", "C*", ["MR", "SR"]],
    "SeriesNumber": ["1", "001", "12", "-3"],
    "SeriesDescription": ["A*", "kopf"],
}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """Three dozen studies of values that differ in little."""
    path: Path = tmp_path_factory.mktemp("matching") / "index.sqlite"
    chosen = random.Random(7)
    opened = Index.open(f"sqlite:///{path}")
    for study in range(36):
        common = {
            "SpecificCharacterSet": "ISO_IR 192",
            "PatientID": f"P{study % 20}",
            "PatientName": chosen.choice(NAMES),
            "StudyDate": chosen.choice(DATES),
            "StudyTime": chosen.choice(TIMES),
            "AccessionNumber": chosen.choice(TEXTS),
            "StudyDescription": chosen.choice(TEXTS),
            "ReferringPhysicianName": chosen.choice(NAMES),
        }
        for series in range(chosen.randint(1, 3)):
            own = {
                "Modality": chosen.choice(["CT", "MR", "SR", None]),
                "SeriesNumber": chosen.choice(NUMBERS),
                "SeriesDescription": chosen.choice(TEXTS),
            }
            store(opened, make_header(f"1.{study}", f"1.{study}.{series}", f"1.{study}.{series}.1", **common, **own))
    yield opened
    opened.close()


@st.composite
def queries(draw: st.DrawFn) -> Query:
    """A relational query of some keys; its matching keys that are collected are return keys too, as always."""
    level = draw(st.sampled_from(["STUDY", "SERIES"]))
    names = draw(st.lists(st.sampled_from(sorted(KEYS)), max_size=3, unique=True))
    keys = {name: draw(st.sampled_from(KEYS[name])) for name in names}
    return parse_query(make_identifier(level, **keys), InformationModel.STUDY_ROOT, relational=True)


def rows(index: Index, query: Query) -> list[Dataset]:
    return [match.attributes for match in index.matches(query)]


def uids(rows: list[Dataset]) -> list[str]:
    return [str(row.get("SeriesInstanceUID", row.StudyInstanceUID)) for row in rows]


@settings(max_examples=60)
@given(query=queries())
def test_a_data_set_matches_exactly_when_the_sql_finds_it(index: Index, query: Query) -> None:
    everything = rows(index, without(query, {c.tag for c in query.conditions}))
    assert uids([row for row in everything if matches(query, row)]) == uids(rows(index, query))


@settings(max_examples=30)
@given(query=queries(), studies=st.lists(st.integers(0, 40).map(lambda n: f"1.{n}"), min_size=1, max_size=5))
def test_a_query_limited_to_studies_finds_those_of_them_that_matched(
    index: Index, query: Query, studies: list[str]
) -> None:
    limited = limited_to_studies(query, studies)
    found = uids(rows(index, limited))
    assert found == uids([row for row in rows(index, query) if row.StudyInstanceUID in studies])
    assert found == uids([row for row in rows(index, query) if matches(limited, row)])


def test_a_patient_query_matches_a_patient() -> None:
    query = parse_query(
        make_identifier("PATIENT", PatientID="N*", PatientName="new"), InformationModel.PATIENT_ROOT, relational=False
    )
    assert matches(query, make_identifier(PatientID="N1", PatientName="NEW"))
    assert not matches(query, make_identifier(PatientID="N1", PatientName="OLD"))
    assert not matches(query, make_identifier(PatientName="NEW"))


def test_many_wild_cards_cost_no_time() -> None:
    keys = make_identifier(StudyDescription="*a" * 30 + "*b")
    query = parse_query(keys, InformationModel.STUDY_ROOT, relational=False)
    before = time.process_time()
    assert not matches(query, make_identifier(StudyDescription="a" * 64))
    assert time.process_time() - before < 1
