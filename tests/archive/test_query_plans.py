"""Queries go by an index: SQLite says how it would carry them out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, inspect
from sqlalchemy.dialects import sqlite

from dcm4py_leading.archive import database, statements
from dcm4py_leading.archive.index import Index
from dcm4py_leading.archive.query import parse_query
from dcm4py_leading.model.values import InformationModel
from tests.fixtures.archive import make_identifier

MIGRATIONS = Path(database.__file__).parent / "migrations"


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    """An empty index."""
    url = f"sqlite:///{tmp_path / 'index.sqlite'}"
    Index.open(url).close()
    engine = create_engine(url)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA case_sensitive_like = ON")
        yield connection
    engine.dispose()


def plan(connection: Connection, statement: Any) -> list[str]:
    compiled = statement.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
    return [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}")]


@pytest.mark.parametrize(
    ("level", "keys", "by"),
    [
        ("STUDY", {"StudyInstanceUID": "1.2"}, "study_instance_uid=?"),
        ("STUDY", {"PatientID": "P1"}, "patient_id=?"),
        ("STUDY", {"AccessionNumber": "A1"}, "ix_study_accession_number"),
        ("STUDY", {"PatientName": "SMITH*"}, "ix_patient_patient_name"),
        ("STUDY", {"PatientName": "SMITH^J*"}, "ix_patient_patient_name"),
        ("STUDY", {"StudyDate": "20240101"}, "ix_study_study_date"),
        ("STUDY", {"StudyDate": "20240101", "ModalitiesInStudy": "CT"}, "ix_study_study_date"),
        ("SERIES", {"StudyInstanceUID": "1.2"}, "study_fk=?"),
        ("IMAGE", {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.3"}, "series_fk=?"),
    ],
)
def test_queries_go_by_an_index(connection: Connection, level: str, keys: dict[str, str], by: str) -> None:
    query = parse_query(make_identifier(level, **keys), InformationModel.STUDY_ROOT, relational=False)
    for statement in (statements.matches(query), statements.count(query, 101)):
        steps = plan(connection, statement)
        assert any(by in step for step in steps), steps
        tables = {f"SCAN {table}" for table in ("patient", "study", "series", "instance")}
        assert not [step for step in steps if any(step.startswith(scan) for scan in tables)], steps


def test_the_indexes_of_names_go_and_come_again(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection

    def names() -> set[str | None]:
        return {index["name"] for index in inspect(connection).get_indexes("patient")}

    assert "ix_patient_patient_name_phonetic" in names()
    command.downgrade(config, "0001")
    assert names() == set()
    command.upgrade(config, "head")
    assert "ix_patient_patient_name_phonetic" in names()
