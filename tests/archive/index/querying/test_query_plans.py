"""Queries go by an index: SQLite says how it would carry them out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, inspect
from sqlalchemy.dialects import sqlite

from dcm4py_leading.archive.index import database
from dcm4py_leading.archive.index.keys import MODALITIES_IN_STUDY
from dcm4py_leading.archive.index.querying import statements
from dcm4py_leading.archive.index.querying.query import parse_query, parse_retrieve
from dcm4py_leading.model.values import InformationModel, Level
from tests.fixtures.archive import empty_index, make_identifier

MIGRATIONS = Path(database.__file__).parents[1] / "migrations"


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    """An empty index."""
    url = f"sqlite:///{tmp_path / 'index.sqlite'}"
    (tmp_path / "index.sqlite").write_bytes(empty_index())
    engine = create_engine(url)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA case_sensitive_like = ON")
        yield connection
    engine.dispose()


def plan(connection: Connection, statement: Any, values: Mapping[str, object] | None = None) -> list[str]:
    """What SQLite would do, with the values as parameters, as they are in earnest."""
    state = statement.compile(dialect=sqlite.dialect()).construct_expanded_state(values or {})
    explained = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {state.statement}", tuple(state.positional_parameters))
    return [row[3] for row in explained]


def is_scan(step: str) -> bool:
    return any(step.startswith(f"SCAN {table}") for table in ("patient", "study", "series", "instance"))


@pytest.mark.parametrize(
    ("level", "keys", "by"),
    [
        ("STUDY", {"StudyInstanceUID": "1.2"}, "study_instance_uid=?"),
        ("STUDY", {"PatientID": "P1"}, "patient_id=?"),
        ("STUDY", {"PatientID": "P1", "StudyDate": "20240101-20240107"}, "patient_id=?"),
        ("STUDY", {"PatientID": "P*"}, "patient_id>?"),
        ("STUDY", {"AccessionNumber": "A1"}, "ix_study_accession_number"),
        ("STUDY", {"PatientName": "SMITH*"}, "ix_patient_patient_name (patient_name>?"),
        ("STUDY", {"PatientName": "SMITH*"}, "ix_patient_patient_name_phonetic (patient_name_phonetic>?"),
        ("STUDY", {"PatientName": "SMITH^J*"}, "ix_patient_patient_name (patient_name>?"),
        ("STUDY", {"PatientName": "SMITH^J*", "StudyDate": "20240101-"}, "ix_patient_patient_name (patient_name>?"),
        ("STUDY", {"PatientName": "SMITH^J*", "StudyDate": "20240101"}, "ix_study_study_date (study_date=?"),
        ("STUDY", {"StudyDate": "20240101"}, "ix_study_study_date (study_date=?"),
        ("STUDY", {"StudyDate": "20240101-20240107"}, "ix_study_study_date (study_date>? AND study_date<?"),
        ("STUDY", {"StudyDate": "20240101", "ModalitiesInStudy": "CT"}, "ix_study_study_date (study_date=?"),
        ("STUDY", {"StudyDate": "20240101", "ModalitiesInStudy": "CT"}, "(study_fk=? AND modality=?)"),
        ("SERIES", {"StudyInstanceUID": "1.2"}, "study_fk=?"),
        ("IMAGE", {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.3"}, "series_fk=?"),
    ],
)
def test_queries_go_by_an_index(connection: Connection, level: str, keys: dict[str, str], by: str) -> None:
    query = parse_query(make_identifier(level, **keys), InformationModel.STUDY_ROOT, relational=False)
    for statement in (statements.matches(query), statements.count(query, 101)):
        steps = plan(connection, statement)
        assert any(by in step for step in steps), steps
        assert not [step for step in steps if is_scan(step)], steps


@pytest.mark.parametrize(
    ("level", "keys"),
    [
        ("PATIENT", {"PatientName": "SMITH*"}),
        ("STUDY", {"PatientName": "SMITH*"}),
        ("STUDY", {"PatientName": "SMITH^*=X*"}),
        ("STUDY", {"StudyDate": "20240101"}),
        ("STUDY", {"StudyDate": "20240101-"}),
        ("STUDY", {"StudyDate": "20240101", "PatientName": "*MITH*"}),
        ("STUDY", {"StudyDate": "20240101-20240107", "PatientName": "SMITH*", "PatientSex": "F"}),
        ("STUDY", {"StudyDate": "20240101-20240107", "ModalitiesInStudy": "CT"}),
        ("SERIES", {"StudyDate": "20240101-20240107", "PatientName": "SMITH*", "Modality": "CT"}),
        ("IMAGE", {"StudyDate": "20240101-20240107"}),
    ],
)
def test_first_page_needs_no_sort_and_no_rows_behind_it(
    connection: Connection, level: str, keys: dict[str, str]
) -> None:
    query = parse_query(make_identifier(level, **keys), InformationModel.PATIENT_ROOT, relational=True)
    steps = plan(connection, statements.matches(query))
    assert not [step for step in steps if is_scan(step) or "ORDER BY" in step], steps
    own = "instance" if level == "IMAGE" else level.lower()
    assert steps[0] == f"SEARCH {own} USING INTEGER PRIMARY KEY (rowid=?)", steps
    assert any(step.startswith("LIST SUBQUERY") for step in steps), steps


@pytest.mark.parametrize(
    ("level", "keys"),
    [
        ("PATIENT", {"PatientID": "P1"}),
        ("STUDY", {"StudyInstanceUID": "1.2"}),
        ("SERIES", {"SeriesInstanceUID": "1.2"}),
        ("IMAGE", {"SOPInstanceUID": ["1.2", "1.3"]}),
    ],
)
def test_retrieves_go_by_an_index(connection: Connection, level: str, keys: dict[str, object]) -> None:
    wanted = parse_retrieve(make_identifier(level, **keys), InformationModel.PATIENT_ROOT, relational=True)
    steps = plan(connection, statements.instances(wanted))
    assert not [step for step in steps if is_scan(step)], steps


@pytest.mark.parametrize(
    "statement", [statements.retrieve_ae_titles(Level.STUDY), statements.collected(MODALITIES_IN_STUDY)]
)
def test_series_values_of_a_page_of_studies_stand_in_the_index(connection: Connection, statement: Any) -> None:
    steps = plan(connection, statement, {statements.PKS: [1, 2]})
    assert "USING COVERING INDEX ix_series_study_fk_modality_retrieve_ae_titles" in steps[0], steps


@pytest.mark.parametrize(
    ("before", "table", "name"),
    [
        ("0001", "patient", "ix_patient_patient_name_phonetic"),
        ("0002", "series", "ix_series_study_fk_modality_retrieve_ae_titles"),
    ],
)
def test_indexes_go_and_come_again(connection: Connection, before: str, table: str, name: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection

    def names() -> set[str | None]:
        return {index["name"] for index in inspect(connection).get_indexes(table)}

    assert name in names()
    command.downgrade(config, before)
    assert name not in names()
    command.upgrade(config, "head")
    assert name in names()


def test_the_storages_of_all_instances_are_read_from_an_index(connection: Connection) -> None:
    (step,) = [step for step in plan(connection, statements.NEXT_STORAGE, {"last": ""}) if "instance" in step]
    assert "COVERING INDEX ix_instance_storage_id (storage_id>?)" in step


@pytest.mark.parametrize("level", list(Level))
def test_matches_that_come_late_are_read_by_their_primary_keys(connection: Connection, level: Level) -> None:
    keys = make_identifier(level.value, PatientName="SMITH*")
    query = parse_query(keys, InformationModel.PATIENT_ROOT, relational=True)
    assert query.conditions
    for statement in (statements.rows_of(level), statements.matches_among(query)):
        steps = plan(connection, statement, {statements.PKS: [1, 2]})
        assert not any(map(is_scan, steps))


@pytest.mark.parametrize("since", [None, "20260101"])
def test_page_of_a_walk_over_all_studies_begins_where_the_last_one_ended(
    connection: Connection, since: str | None
) -> None:
    steps = plan(connection, statements.studies_after(5, 100, since))
    assert steps[0] == "SEARCH study USING INTEGER PRIMARY KEY (rowid>?)"
    assert not any(is_scan(step) or "TEMP B-TREE" in step for step in steps)
