from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from pydicom import Dataset
from sqlalchemy import create_engine, text

from dcm4py_leading.archive.index.attributes import encode
from dcm4py_leading.archive.index.database import _MIGRATIONS, HEAD
from dcm4py_leading.archive.index.index import Index
from dcm4py_leading.archive.index.tables import metadata
from dcm4py_leading.errors import IndexUnavailable


def test_migrations_make_the_tables_of_the_metadata(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'with %% sign.sqlite'}"
    Index.open(url).close()
    engine = create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_newest_revision_of_the_index_is_known() -> None:
    assert ScriptDirectory(str(_MIGRATIONS)).get_heads() == [HEAD]


def test_index_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'index.sqlite'}"
    Index.open(url).close()
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(IndexUnavailable, match="brought up to date"):
        Index.open(url)


def test_only_the_owner_may_read_the_index(tmp_path: Path) -> None:
    file = tmp_path / "index.sqlite"
    Index.open(f"sqlite:///{file}").close()
    assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("url", ["sqlite://", "nonsense", "nosuchdb://x", "sqlite:////nowhere/index.sqlite"])
def test_database_that_cannot_be_used_is_told(url: str) -> None:
    with pytest.raises(IndexUnavailable):
        Index.open(url)


def test_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    file = tmp_path / "index.sqlite"
    file.write_bytes(b"this is not a database" * 100)
    with pytest.raises(IndexUnavailable):
        Index.open(f"sqlite:///{file}")


def test_an_index_with_studies_is_brought_up_to_date_from_each_revision(tmp_path: Path) -> None:
    scripts = ScriptDirectory(str(_MIGRATIONS))
    for revision in ("0001", "0002", "0003", "0004", "0005", "0006"):
        engine = create_engine(f"sqlite:///{tmp_path / revision}.sqlite")
        config = Config()
        config.set_main_option("script_location", scripts.dir)
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
            for statement in (
                "INSERT INTO patient (pk, patient_id, issuer_of_patient_id, attributes) VALUES (7, 'P1', '', x'00')",
                "INSERT INTO study (pk, patient_fk, study_instance_uid, attributes) VALUES (8, 7, '1.2', x'00')",
                "INSERT INTO study (pk, patient_fk, study_instance_uid, attributes) VALUES (9, 7, '1.3', x'00')",
            ):
                connection.execute(text(statement))
        engine.dispose()
        Index.open(f"sqlite:///{tmp_path / revision}.sqlite").close()
        with engine.begin() as connection:
            rows = "SELECT patient.pk, study.pk, distinction FROM patient JOIN study ON patient_fk = patient.pk"
            assert connection.execute(text(rows)).all() == [(7, 8, 0), (7, 9, 0)]
            assert connection.execute(text("PRAGMA foreign_key_check")).all() == []
            named = connection.scalars(text("SELECT sql FROM sqlite_master WHERE name = 'study'")).one()
            assert "REFERENCES patient" in named.replace('"', "")
            indexes = "SELECT count(*) FROM sqlite_master WHERE type = 'index' AND name LIKE 'ix_patient_patient_name%'"
            assert connection.scalar(text(indexes)) == 3
        engine.dispose()


def test_rows_of_an_older_version_are_compared_as_new_ones(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'index.sqlite'}"
    Index.open(url).close()
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientName = "Straße^Anne"
    engine = create_engine(url)
    with engine.begin() as connection:
        insert = text("INSERT INTO patient (patient_name, patient_id, attributes) VALUES (:name, :id, :attributes)")
        connection.execute(insert, {"name": "strasse^anne", "id": "strasse", "attributes": encode(ds)})
        connection.execute(insert, {"name": "as it was", "id": "2", "attributes": b"plain"})
        connection.execute(text("DROP INDEX ix_instance_storage_id"))
        connection.execute(text("DROP TABLE deleted_file"))
        connection.execute(text("DROP TABLE deletion"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0003'"))
    engine.dispose()
    Index.open(url).close()
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT patient_name, patient_id FROM patient ORDER BY pk")).all()
    engine.dispose()
    assert [tuple(row) for row in rows] == [("straße^anne", "strasse"), ("as it was", "2")]


def test_index_upgrade_is_logged_and_creation_is_not(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    url = f"sqlite:///{tmp_path / 'index.sqlite'}"
    Index.open(url).close()
    assert "brought up to date" not in caplog.text
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP INDEX ix_patient_patient_birth_date"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0007'"))
    engine.dispose()
    Index.open(url).close()
    assert "the index is brought up to date" in caplog.text
