from __future__ import annotations

import errno
import os
from datetime import datetime
from pathlib import Path
from typing import NoReturn

import pytest

from dcm4py_leading.archive.file_storage import FileStorage
from dcm4py_leading.archive.storage import Location
from dcm4py_leading.errors import ConfigInvalid, StorageUnavailable
from tests.fixtures.archive import make_descriptor, make_header


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def put(storage: FileStorage, data: bytes = b"abc", sop: str = "1.2.3") -> Location:
    with storage.receive() as incoming:
        incoming.write(data)
        location = incoming.finish(make_header(sop=sop))
        incoming.keep()
    return location


@pytest.mark.ldap("dcmStoragePathFormat")
def test_file_is_where_the_path_format_says(tmp_path: Path) -> None:
    descriptor = make_descriptor(tmp_path / "with space", storage_path_format="{now,date,yyyy/MM/dd}/{00080018}")
    location = put(FileStorage(descriptor, now=lambda: datetime(2024, 3, 9)))
    assert location.path == "2024/03/09/1.2.3"
    assert (tmp_path / "with space/2024/03/09/1.2.3").read_bytes() == b"abc"


def test_directories_that_become_empty_go(tmp_path: Path) -> None:
    storage = FileStorage(make_descriptor(tmp_path, storage_path_format="a/{0020000D}/{00080018}"))
    first, second = put(storage, sop="1.1"), put(storage, sop="1.2")
    storage.delete(first)
    assert (tmp_path / "a").is_dir()
    storage.delete(second)
    assert not (tmp_path / "a").exists()
    assert tmp_path.is_dir()


def test_leftovers_of_a_crash_are_removed_but_not_what_another_process_receives(tmp_path: Path) -> None:
    running = FileStorage(make_descriptor(tmp_path))
    (tmp_path / ".incoming" / "leftover").write_bytes(b"half an object")
    with running.receive() as incoming:
        incoming.write(b"abc")
        FileStorage(make_descriptor(tmp_path))
        assert len(files(tmp_path)) == 1
        with incoming.reader() as file:
            assert file.read() == b"abc"


def disk_full(*args: object, **kwargs: object) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/SECRET^NAME")


@pytest.mark.parametrize(
    ("step", "does"),
    [("write", disk_full), ("fsync", disk_full), ("link", disk_full), ("mkdir", disk_full)],
    ids=["write", "fsync", "link", "mkdir"],
)
def test_full_disk_is_told_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, does: object
) -> None:
    storage = FileStorage(make_descriptor(tmp_path))
    monkeypatch.setattr(Path if step == "mkdir" else os, step, does)
    with pytest.raises(StorageUnavailable) as caught:
        put(storage)
    monkeypatch.undo()
    assert caught.value.status == 0xA700
    assert str(caught.value) == "storage fs1: No space left on device"
    assert files(tmp_path) == []


def test_root_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageUnavailable, match="fs1"):
        FileStorage(make_descriptor(tmp_path / "file" / "below"))


@pytest.mark.parametrize(
    ("setting", "value", "attribute"),
    [
        ("uri", "s3://bucket/x", "dcmURI"),
        ("uri", "file:relative", "dcmURI"),
        ("uri", "file://elsewhere/data", "dcmURI"),
        ("storage_path_format", "{00080018,nosuch}", "dcmStoragePathFormat"),
        ("digest_algorithm", "CRC32", "dcmDigestAlgorithm"),
    ],
)
def test_wrong_configuration_names_the_attribute(tmp_path: Path, setting: str, value: str, attribute: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        FileStorage(make_descriptor(tmp_path, **{setting: value}))
    (problem,) = caught.value.problems
    assert (problem.attribute, problem.value, problem.dn) == (attribute, value, "dcmStorageID=fs1")


@pytest.mark.parametrize("form", ["file://{}", "file:{}", "file://localhost{}"])
def test_forms_of_file_uri(tmp_path: Path, form: str) -> None:
    put(FileStorage(make_descriptor(tmp_path, uri=form.format(tmp_path / "s" / ""))))
    assert len(files(tmp_path / "s")) == 1
