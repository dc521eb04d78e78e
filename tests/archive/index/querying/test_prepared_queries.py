from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import event

from dcm4py_leading.archive.index.index import Index
from dcm4py_leading.archive.index.querying import prepared_queries as forms
from dcm4py_leading.archive.index.querying import statements
from dcm4py_leading.archive.index.querying.query import Query, RetrieveKeys, parse_query
from dcm4py_leading.model.values import InformationModel, Level
from tests.fixtures.archive import empty_index, make_header, make_identifier, store

COUNT = 5


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    (tmp_path / "index.sqlite").write_bytes(empty_index())
    with closing(Index.open(f"sqlite:///{tmp_path / 'index.sqlite'}")) as index:
        for n in range(COUNT):
            kept = {"PatientID": f"P{n}", "PatientName": f"Doe^J_{n}%", "Modality": "CT"}
            store(index, make_header(f"1.2.{n}", f"1.2.{n}.1", f"1.2.{n}.1.1", **kept))
        yield index


def asked(level: str = "STUDY", **keys: object) -> Query:
    return parse_query(make_identifier(level, **keys), InformationModel.STUDY_ROOT, relational=True)


QUERIES = [
    asked(),
    asked(StudyInstanceUID="1.2.3"),
    asked(StudyInstanceUID=["1.2.3", "1.2.4"]),
    asked(StudyInstanceUID=[f"1.2.{n}" for n in range(40)]),
    asked(PatientName="doe^*"),
    asked(PatientName="DOE^J_1%"),
    asked(PatientName="*=*x"),
    asked(PatientID="P?"),
    asked(PatientID="P_"),
    asked(StudyDate="20200101-"),
    asked(StudyDate="-20200101", StudyTime="2200-0100"),
    asked(ModalitiesInStudy="CT", SOPClassesInStudy="1.2"),
    asked("SERIES", PatientID="P1", Modality="C*"),
    asked("IMAGE", StudyInstanceUID="1.2.1", InstanceNumber="1"),
]


@pytest.mark.parametrize("query", QUERIES)
def test_prepared_query_text_finds_the_same_as_its_statement(index: Index, query: Query) -> None:
    with index._database.reading() as connection:
        expected = [tuple(row) for row in connection.execute(statements.matches(query))]
        assert [row for page in forms.pages(connection, query, 2) for row in page] == expected
        assert forms.count(connection, query, None) == len(expected)
        assert forms.count(connection, query, 1) == min(1, len(expected))


def test_queries_of_one_form_are_compiled_once(index: Index) -> None:
    forms._matches.cache_clear()
    for n in range(COUNT):
        (match,) = index.matches(asked(StudyInstanceUID=f"1.2.{n}", PatientName=f"Doe^J_{n}*"))
        assert match.attributes.PatientID == f"P{n}"
    assert forms._matches.cache_info().misses == 1


def test_a_query_costs_a_statement_a_page_for_each_computed_attribute_and_one_for_the_rows(index: Index) -> None:
    seen: list[str] = []

    def begun(connection: object) -> None:
        connection.connection.driver_connection.set_trace_callback(seen.append)  # type: ignore[attr-defined]

    event.listen(index._database._engine, "begin", begun)
    query = asked(StudyInstanceUID="1.2.1", NumberOfStudyRelatedInstances="", ModalitiesInStudy="")
    assert len(list(index.matches(query))) == 1
    assert [text.split()[0] for text in seen] == ["SELECT"] * 4 + ["COMMIT"]
    seen.clear()
    assert len(list(index.matches(asked(), fetch_size=2))) == COUNT
    assert sum(text.startswith("SELECT") for text in seen) == 1 + 3


RETRIEVES = [
    RetrieveKeys(level=Level.STUDY, study_instance_uids=("1.2.1",)),
    RetrieveKeys(level=Level.STUDY, study_instance_uids=("1.2.1", "1.2.3", "9.9")),
    RetrieveKeys(level=Level.STUDY, study_instance_uids=tuple(f"1.2.{n}" for n in range(40))),
    RetrieveKeys(level=Level.SERIES, study_instance_uids=("1.2.2",), series_instance_uids=("1.2.2.1", "1.2.2.9")),
    RetrieveKeys(level=Level.IMAGE, sop_instance_uids=("1.2.4.1.1",)),
    RetrieveKeys(level=Level.PATIENT, patient_id="P1"),
    RetrieveKeys(level=Level.PATIENT, patient_id="P1", issuer_of_patient_id=""),
    RetrieveKeys(level=Level.PATIENT, patient_id="P1", issuer_of_patient_id="else", study_instance_uids=("1.2.1",)),
    RetrieveKeys(level=Level.PATIENT),
]


@pytest.mark.parametrize("keys", RETRIEVES)
def test_prepared_retrieve_text_finds_the_same_as_its_statement(index: Index, keys: RetrieveKeys) -> None:
    with index._database.reading() as connection:
        expected = [tuple(row) for row in connection.execute(statements.instances(keys))]
        assert [tuple(row) for row in forms.instances(connection, keys)] == expected


def test_retrieves_of_one_form_are_compiled_once(index: Index) -> None:
    forms._instances.cache_clear()
    for n in range(COUNT):
        (found,) = index.instances(RetrieveKeys(level=Level.STUDY, study_instance_uids=(f"1.2.{n}",)))
        assert found.study_instance_uid == f"1.2.{n}"
    assert forms._instances.cache_info().misses == 1
