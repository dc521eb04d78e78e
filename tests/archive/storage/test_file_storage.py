from __future__ import annotations

import errno
import fcntl
import os
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import NoReturn

import pytest

from dcm4py_leading.archive.storage import file_system
from dcm4py_leading.archive.storage.file_storage import FileStorage
from dcm4py_leading.archive.storage.storage import Location
from dcm4py_leading.dataset.part10 import encode_header
from dcm4py_leading.errors import ConfigInvalid, StorageUnavailable
from dcm4py_leading.model.archive import OnStoragePathAlreadyExists
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
    (tmp_path / ".incoming" / ("0" * 16)).write_bytes(b"half an object")
    with running.receive() as incoming:
        incoming.write(b"abc")
        FileStorage(make_descriptor(tmp_path))
        assert len(files(tmp_path)) == 1
        with incoming.reader() as file:
            assert file.read() == b"abc"


def crash_after_finish(root: Path, **settings: object) -> Path:
    """Leave behind what a process leaves that is killed when the object has its place; the file."""
    storage = FileStorage(make_descriptor(root, **settings))
    context = storage.receive()
    incoming = context.__enter__()
    incoming.write(
        encode_header(sop_class_uid="1", sop_instance_uid="1.2.3", transfer_syntax_uid="1.2", sending_ae_title="")
    )
    location = incoming.finish(make_header(sop="1.2.3", PatientName="N" * 100))
    os.close(incoming._file)  # which unlocks it, as the end of the process does
    incoming._file = os.open(os.devnull, os.O_RDONLY)
    CRASHED.append(context)  # so that it is not cleaned up
    return root / location.path


CRASHED: list[object] = []
LONG = "{00100010}/" * 4 + "{00080018}"


@pytest.mark.parametrize("form", ["{00080018}", "a/{00080018,hash}%2F/=.to", LONG], ids=["short", "odd", "long"])
@pytest.mark.parametrize("is_indexed", [True, False])
def test_object_that_a_crash_left_named_stays_if_it_is_indexed(tmp_path: Path, form: str, is_indexed: bool) -> None:
    root = tmp_path / "a=b"
    file = crash_after_finish(root, storage_path_format=form)
    asked = []

    def index(*location: str) -> bool:
        asked.append(location)
        return is_indexed

    FileStorage(make_descriptor(root), is_indexed=index)
    assert asked == [("1.2.3", "fs1", file.relative_to(root).as_posix())]
    assert files(root) == ([file] if is_indexed else [])
    assert list((root / ".incoming").iterdir()) == []


def test_file_of_another_object_at_the_place_of_a_leftover_stays(tmp_path: Path) -> None:
    file = crash_after_finish(tmp_path, storage_path_format="{00080018}")
    file.unlink()
    file.write_bytes(b"another")
    FileStorage(make_descriptor(tmp_path), is_indexed=lambda *location: False)
    assert files(tmp_path) == [file]


def test_leftover_whose_place_is_gone_is_removed(tmp_path: Path) -> None:
    crash_after_finish(tmp_path, storage_path_format="{00080018}").unlink()
    FileStorage(make_descriptor(tmp_path), is_indexed=lambda *location: False)
    assert files(tmp_path) == []


def test_leftover_that_did_not_reach_the_disk_is_removed(tmp_path: Path) -> None:
    file = crash_after_finish(tmp_path, storage_path_format="{00080018}")
    file.write_bytes(bytes(500))
    FileStorage(make_descriptor(tmp_path))
    assert files(tmp_path) == []


def test_object_that_a_living_process_is_about_to_index_stays(tmp_path: Path) -> None:
    storage = FileStorage(make_descriptor(tmp_path))
    with storage.receive() as incoming:
        incoming.write(b"abc")
        location = incoming.finish(make_header())
        FileStorage(make_descriptor(tmp_path), is_indexed=lambda *location: False)
        incoming.keep()
    assert files(tmp_path) == [tmp_path / location.path]


def test_odd_file_among_those_in_flight_is_left_alone_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    incoming = tmp_path / ".incoming"
    (incoming / "1.2.3").mkdir(parents=True)
    (incoming / "1.2.3" / "4").write_bytes(b"stored by an older version")
    (incoming / "1.2.4").write_bytes(b"stored by an older version")
    FileStorage(make_descriptor(tmp_path), is_indexed=lambda *location: False)
    assert sorted(files(tmp_path)) == [incoming / "1.2.3" / "4", incoming / "1.2.4"]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "2 files or directories" in caplog.text


@pytest.mark.ldap("dcmStoragePathFormat")
@pytest.mark.parametrize("form", ["{00100020}/{00080018}", "{00100020}/{0020000D}/{00080018}", "{00100020}"])
def test_no_value_puts_an_object_among_those_in_flight(tmp_path: Path, form: str) -> None:
    descriptor = make_descriptor(tmp_path, storage_path_format=form)
    storage = FileStorage(descriptor)
    with storage.receive() as incoming:
        incoming.write(b"abc")
        location = incoming.finish(make_header(PatientID=".incoming"))
        incoming.keep()
    FileStorage(descriptor, is_indexed=lambda *location: False)
    assert location.path.startswith("_incoming")
    assert (tmp_path / location.path).read_bytes() == b"abc"


@pytest.mark.ldap("dcmOnStoragePathAlreadyExists")
@pytest.mark.parametrize("values", [("", "B"), ("B", "")], ids=["through a file", "to a directory"])
@pytest.mark.parametrize("policy", OnStoragePathAlreadyExists)
def test_a_path_that_is_both_a_file_and_a_directory(
    tmp_path: Path, values: tuple[str, str], policy: OnStoragePathAlreadyExists
) -> None:
    descriptor = make_descriptor(
        tmp_path, storage_path_format="{00100020}/{00100010}", on_storage_path_already_exists=policy
    )
    storage = FileStorage(descriptor)

    def stored(name: str) -> Location:
        with storage.receive() as incoming:
            incoming.write(name.encode())
            location = incoming.finish(make_header(PatientID="A", PatientName=name))
            incoming.keep()
        return location

    first = stored(values[0])
    if policy is OnStoragePathAlreadyExists.RANDOM_PATH:
        second = stored(values[1])
        assert (tmp_path / second.path).read_bytes() == values[1].encode()
    else:
        with pytest.raises(StorageUnavailable):
            stored(values[1])
        assert len(files(tmp_path)) == 1
    assert (tmp_path / first.path).read_bytes() == values[0].encode()


def test_file_that_another_association_takes_away_again_is_not_taken_for_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = OnStoragePathAlreadyExists.NOOP
    descriptor = make_descriptor(tmp_path, storage_path_format="{00080018}", on_storage_path_already_exists=policy)
    with ExitStack() as other, FileStorage(descriptor).receive() as ours:
        theirs = other.enter_context(FileStorage(descriptor).receive())
        theirs.write(b"abc")
        theirs.finish(make_header(sop="1.2.3"))
        waits = fcntl.flock

        def wait(file: int, operation: int) -> None:
            other.close()  # what is waited for: it is ignored, as the object is stored already
            waits(file, operation)

        ours.write(b"abc")
        monkeypatch.setattr(fcntl, "flock", wait)
        location = ours.finish(make_header(sop="1.2.3"))
        ours.keep()
    assert files(tmp_path) == [tmp_path / location.path]


def test_longest_possible_path_is_recorded(tmp_path: Path) -> None:
    storage = FileStorage(make_descriptor(tmp_path, storage_path_format=LONG))
    with storage.receive() as incoming:
        incoming.write(b"abc")
        incoming.finish(make_header(PatientName="N" * 100))
        assert len(list((tmp_path / ".incoming").iterdir())) == 2
    assert list((tmp_path / ".incoming").iterdir()) == []
    assert files(tmp_path) == []


def test_object_costs_one_sync_where_names_reach_the_disk_with_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    for kind, expected in (("ext4", 1), ("btrfs", 2), (None, 2)):
        monkeypatch.setattr(file_system, "type_of", lambda root, name=kind: name)
        storage = FileStorage(make_descriptor(tmp_path, storage_path_format="{00080018}"))
        synced.clear()
        put(storage, sop=f"1.2.{expected}.{kind}")
        assert len(synced) == expected


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
