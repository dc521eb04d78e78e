"""A data directory that several services use, and an index that is gone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from dcm4py_leading.archive import data_directory
from dcm4py_leading.archive.data_directory import DataDirectory, open_index
from dcm4py_leading.errors import IndexUnavailable, StorageUnavailable
from tests.fixtures.archive import make_descriptor

_HOLD = """
import pathlib, sys
from dcm4py_leading.archive.data_directory import DataDirectory
directory = DataDirectory(pathlib.Path(sys.argv[1]), "device other")
directory.open_index((), may_be_new=True).close()
if sys.argv[2] == "serving":
    directory.share()
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def another_service(directory: Path, what: str = "serving") -> Iterator[subprocess.Popen[str]]:
    """Another process that uses the directory: it is ``serving``, or still ``starting``."""
    command = [sys.executable, "-c", _HOLD, str(directory), what]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def make_outdated(directory: Path) -> None:
    """Let the index be of the revision before."""
    open_index(directory, may_upgrade=True).close()
    engine = create_engine(f"sqlite:///{directory / 'index.sqlite'}")
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0002'"))
    engine.dispose()


def revision(directory: Path) -> str:
    engine = create_engine(f"sqlite:///{directory / 'index.sqlite'}")
    with engine.connect() as connection:
        found = connection.scalar(text("SELECT version_num FROM alembic_version"))
    engine.dispose()
    return str(found)


def test_sole_service_is_told_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        with DataDirectory(tmp_path, "device a") as directory:
            directory.open_index((), may_be_new=False).close()
            directory.share()
    assert caplog.text == ""


def test_second_service_is_told_which_one_uses_the_directory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with another_service(tmp_path) as other, DataDirectory(tmp_path, "device a") as directory:
        directory.open_index((), may_be_new=False).close()
        assert f"device other, process {other.pid}" in caplog.text
        assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_an_index_in_use_is_not_brought_up_to_date(tmp_path: Path) -> None:
    with another_service(tmp_path):
        make_outdated(tmp_path)
        refused = pytest.raises(IndexUnavailable, match="stop the others first")
        with DataDirectory(tmp_path, "device a") as directory, refused:
            directory.open_index((), may_be_new=False)
        assert revision(tmp_path) == "0002"


def test_killed_process_holds_no_lock(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with another_service(tmp_path, "starting"):
        pass
    with DataDirectory(tmp_path, "device a"):
        assert caplog.text == ""


def test_service_that_hangs_at_start_is_waited_for_with_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_directory, "START_OF_ANOTHER_SERVICE_SECONDS", 0.2)
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    with another_service(tmp_path, "starting"), pytest.raises(StorageUnavailable, match="device other"):
        DataDirectory(tmp_path, "device a")
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


@pytest.mark.parametrize("is_emptied", [False, True], ids=["gone", "emptied"])
def test_an_index_that_vanished_is_not_made_anew_in_silence(tmp_path: Path, is_emptied: bool) -> None:
    descriptor = make_descriptor(tmp_path / "storage")
    (tmp_path / "storage/2024/03").mkdir(parents=True)
    (tmp_path / "storage/2024/03/1").write_bytes(b"an object")
    if is_emptied:
        (tmp_path / "index.sqlite").touch()
    with DataDirectory(tmp_path, "device a") as directory:
        with pytest.raises(IndexUnavailable, match=r"storage fs1 at file:.* --new-index"):
            directory.open_index([descriptor], may_be_new=False)
        directory.open_index([descriptor], may_be_new=True).close()
        directory.open_index([descriptor], may_be_new=False).close()


def test_an_index_is_made_where_nothing_is_stored(tmp_path: Path) -> None:
    (tmp_path / "storage/.incoming").mkdir(parents=True)
    (tmp_path / "storage/.incoming/0123456789abcdef").write_bytes(b"half an object")
    (tmp_path / "storage/2024").mkdir()
    with DataDirectory(tmp_path, "device a") as directory:
        directory.open_index([make_descriptor(tmp_path / "storage")], may_be_new=False).close()


def test_a_process_that_only_works_with_the_index_makes_none(tmp_path: Path) -> None:
    with pytest.raises(IndexUnavailable):
        open_index(tmp_path, may_upgrade=False)
    assert list(tmp_path.iterdir()) == []
    open_index(tmp_path, may_upgrade=True).close()
    with closing(open_index(tmp_path, may_upgrade=False)) as index:
        assert index.storage_ids() == frozenset()
