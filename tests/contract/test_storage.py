"""What every storage does."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dcm4py_leading.archive.storage.storage import Location, Storage
from dcm4py_leading.errors import StorageUnavailable
from dcm4py_leading.model.archive import OnStoragePathAlreadyExists, StorageDescriptor
from tests.fixtures.archive import make_descriptor, make_header

Open = Callable[[StorageDescriptor], Storage]


def put(storage: Storage, data: bytes, sop: str = "1.2.3") -> Location:
    with storage.receive() as incoming:
        incoming.write(data[:5])
        incoming.write(data[5:])
        location = incoming.finish(make_header(sop=sop))
        incoming.keep()
    return location


def get(storage: Storage, location: Location) -> bytes:
    with storage.open(location) as file:
        return file.read()


def test_stored_bytes_are_read_back(storage: Storage) -> None:
    location = put(storage, b"0123456789")
    assert get(storage, location) == b"0123456789"
    assert location == Location(
        storage_id="fs1",
        path="objects/1.2.3",
        size=10,
        digest=hashlib.md5(b"0123456789", usedforsecurity=False).hexdigest(),
    )


def test_object_can_be_read_while_it_is_received(storage: Storage) -> None:
    with storage.receive() as incoming:
        incoming.write(b"abc")
        with incoming.reader() as file:
            assert file.read() == b"abc"
        incoming.write(b"def")
        with incoming.reader() as file:
            assert file.read() == b"abcdef"


def test_object_that_is_not_kept_is_gone(storage: Storage) -> None:
    with storage.receive() as incoming:
        incoming.write(b"abc")
        location = incoming.finish(make_header())
        assert get(storage, location) == b"abc"
    with pytest.raises(StorageUnavailable):
        storage.open(location)


def test_failure_between_storage_and_index_leaves_no_object(storage: Storage) -> None:
    locations = []
    with pytest.raises(RuntimeError), storage.receive() as incoming:
        incoming.write(b"abc")
        locations.append(incoming.finish(make_header()))
        raise RuntimeError
    with pytest.raises(StorageUnavailable):
        storage.open(locations[0])


def test_deleted_object_is_gone_and_may_be_deleted_again(storage: Storage) -> None:
    location = put(storage, b"abc")
    assert storage.has(location)
    storage.delete(location)
    assert not storage.has(location)
    storage.delete(location)
    with pytest.raises(StorageUnavailable) as caught:
        storage.open(location)
    assert caught.value.status == 0xA700


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "", ".", "a/../../outside"])
def test_no_path_leads_out_of_the_storage(storage: Storage, path: str) -> None:
    location = Location(storage_id="fs1", path=path, size=0, digest=None)
    with pytest.raises(StorageUnavailable):
        storage.open(location)
    with pytest.raises(StorageUnavailable):
        storage.delete(location)


@pytest.mark.ldap("dcmOnStoragePathAlreadyExists")
def test_path_that_is_taken_gets_a_random_last_element(storage: Storage) -> None:
    first, second = put(storage, b"first"), put(storage, b"second")
    assert first.path != second.path
    assert second.path.startswith("objects/")
    assert (get(storage, first), get(storage, second)) == (b"first", b"second")


def test_path_that_is_taken_fails_if_so_configured(storage_kind: Open, tmp_path: Path) -> None:
    storage = storage_kind(
        make_descriptor(
            tmp_path / "s",
            storage_path_format="{00080018}",
            on_storage_path_already_exists=OnStoragePathAlreadyExists.FAILURE,
        )
    )
    first = put(storage, b"first")
    with pytest.raises(StorageUnavailable):
        put(storage, b"second")
    assert get(storage, first) == b"first"


@pytest.mark.parametrize("kept", [True, False])
def test_path_that_is_taken_stays_as_it_is_if_so_configured(storage_kind: Open, tmp_path: Path, kept: bool) -> None:
    storage = storage_kind(
        make_descriptor(
            tmp_path / "s",
            storage_path_format="{00080018}",
            on_storage_path_already_exists=OnStoragePathAlreadyExists.NOOP,
        )
    )
    first = put(storage, b"first")
    with storage.receive() as incoming:
        incoming.write(b"second")
        second = incoming.finish(make_header(sop="1.2.3"))
        if kept:
            incoming.keep()
    assert second.path == first.path
    assert get(storage, first) == b"first"


@pytest.mark.ldap("dcmDigestAlgorithm")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (None, None),
        ("MD5", "900150983cd24fb0d6963f7d28e17f72"),
        ("SHA-1", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        ("SHA-256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ],
)
def test_digest(storage_kind: Open, tmp_path: Path, name: str | None, expected: str | None) -> None:
    storage = storage_kind(make_descriptor(tmp_path / "s", digest_algorithm=name))
    assert put(storage, b"abc").digest == expected


@pytest.mark.ldap("dcmReadOnly")
def test_read_only_storage_receives_nothing(storage_kind: Open, tmp_path: Path) -> None:
    location = put(storage_kind(make_descriptor(tmp_path / "s")), b"abc")
    storage = storage_kind(make_descriptor(tmp_path / "s", read_only=True))
    assert get(storage, location) == b"abc"
    with pytest.raises(StorageUnavailable, match="dcmReadOnly"), storage.receive():
        pass


def test_many_threads_share_a_storage(storage: Storage) -> None:
    barrier = threading.Barrier(8)

    def work(number: int) -> None:
        barrier.wait()
        for round_number in range(10):
            data = f"{number}.{round_number}".encode()
            # Two threads want each path, and every other object goes, with the directory that it leaves empty.
            location = put(storage, data, sop=f"1.{number // 2}.{round_number}")
            assert get(storage, location) == data
            if round_number % 2:
                storage.delete(location)

    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(work, number) for number in range(8)]:
            future.result()
