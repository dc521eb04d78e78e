"""Deletion of a study from every index, with the files of every storage."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from dcm4py_leading.archive.deleting.deletions import DeletedCounts
from dcm4py_leading.archive.index.index import Index
from dcm4py_leading.archive.storage.storage import Location, Storage
from dcm4py_leading.errors import EditRefused, Refusal, StorageUnavailable
from dcm4py_leading.model.archive import OnStoragePathAlreadyExists, OverwritePolicy, StorageDescriptor
from tests.fixtures.archive import find, make_descriptor, make_header, store

STUDY = "1.2.1"


def put(index: Index, storage: Storage, study: str = STUDY, sop: str = "1.2.1.1.1", **attributes: object) -> Location:
    """Store an object with its file."""
    header = make_header(study, f"{study}.1", sop, **attributes)
    with storage.receive() as incoming:
        incoming.write(sop.encode())
        location = incoming.finish(header)
        assert store(index, header, location, overwrite=OverwritePolicy.ALWAYS).stored
        incoming.keep()
    return location


def delete(index: Index, storage: Storage, study: str = STUDY) -> DeletedCounts | None:
    """Delete a study to the end."""
    deleted = index.deletions.begin(study, storage.version)
    finish(index, storage)
    return deleted


def finish(index: Index, storage: Storage) -> None:
    index.deletions.delete_files(storage)
    assert all(index.deletions.end(one) for one in index.deletions.pending())
    assert index.deletions.pending() == []


def test_rows_and_files_of_the_study_are_gone_and_those_of_others_stay(index: Index, storage: Storage) -> None:
    doomed = [put(index, storage, sop=f"1.2.1.1.{number}") for number in range(3)]
    other = put(index, storage, "1.2.2", "1.2.2.1.1")
    assert delete(index, storage) == DeletedCounts(objects=3, files=3)
    assert [ds.StudyInstanceUID for ds in find(index)] == ["1.2.2"]
    assert [ds.SOPInstanceUID for ds in find(index, "IMAGE", relational=True)] == ["1.2.2.1.1"]
    assert [storage.has(location) for location in doomed] == [False] * 3
    assert storage.has(other)


def test_patient_goes_with_the_last_study(index: Index, storage: Storage) -> None:
    put(index, storage)
    put(index, storage, "1.2.2", "1.2.2.1.1")
    delete(index, storage)
    assert [ds.PatientID for ds in find(index, "PATIENT")] == ["P1"]
    delete(index, storage, "1.2.2")
    assert find(index, "PATIENT") == []


def test_unknown_study_is_not_begun(index: Index, storage: Storage) -> None:
    put(index, storage)
    assert index.deletions.begin("1.2.3", storage.version) is None
    assert index.deletions.pending() == []
    assert len(find(index)) == 1


def test_nothing_is_deleted_where_a_file_cannot_be(index: Index, storage: Storage) -> None:
    location = put(index, storage)

    def refuse(_: Location) -> str:
        raise EditRefused(Refusal.CONFLICT, "no")

    with pytest.raises(EditRefused):
        index.deletions.begin(STUDY, refuse)
    assert index.deletions.pending() == []
    assert len(find(index, "IMAGE", relational=True)) == 1
    assert storage.has(location)


def test_study_whose_files_are_gone_is_deleted(index: Index, storage: Storage) -> None:
    storage.delete(put(index, storage))
    assert delete(index, storage) == DeletedCounts(objects=1, files=0)
    assert find(index) == []


def test_deletion_is_brought_to_its_end_after_a_restart(index: Index, index_url: str, storage: Storage) -> None:
    location = put(index, storage)
    index.deletions.begin(STUDY, storage.version)
    index.close()
    again = Index.open(index_url)
    (one,) = again.deletions.pending()
    assert one.study_instance_uid == STUDY
    assert not again.deletions.end(one)
    finish(again, storage)
    assert not storage.has(location)
    again.close()


def test_object_that_is_stored_anew_in_the_same_place_stays(index: Index, storage: Storage) -> None:
    old = put(index, storage)
    index.deletions.begin(STUDY, storage.version)
    storage.delete(old)  # as the deletion does, and then the process ends
    new = put(index, storage)
    assert new.path == old.path
    finish(index, storage)
    assert storage.has(new)


def test_object_that_has_the_place_but_not_its_row_yet_stays(index: Index, storage: Storage) -> None:
    old = put(index, storage)
    index.deletions.begin(STUDY, storage.version)
    storage.delete(old)
    header = make_header()
    with storage.receive() as incoming:
        incoming.write(b"anew")
        new = incoming.finish(header)
        assert new.path == old.path
        finish(index, storage)
        store(index, header, new)
        incoming.keep()
    assert storage.has(new)


@pytest.fixture
def taking_over(storage_kind: Callable[[StorageDescriptor], Storage], tmp_path: Path) -> Storage:
    """A storage where an object takes over the file that is in its place."""
    return storage_kind(
        make_descriptor(
            tmp_path / "noop",
            storage_path_format="{00080018}",
            on_storage_path_already_exists=OnStoragePathAlreadyExists.NOOP,
        )
    )


def test_file_that_a_new_object_has_taken_over_stays(index: Index, taking_over: Storage) -> None:
    put(index, taking_over)
    index.deletions.begin(STUDY, taking_over.version)
    new = put(index, taking_over)
    finish(index, taking_over)
    assert taking_over.has(new)


def test_file_that_is_deleted_while_a_new_object_takes_it_over_is_there_again(
    index: Index, taking_over: Storage
) -> None:
    put(index, taking_over)
    index.deletions.begin(STUDY, taking_over.version)
    header = make_header()
    with taking_over.receive() as incoming:
        incoming.write(b"anew")
        new = incoming.finish(header)
        finish(index, taking_over)
        assert not taking_over.has(new)
        store(index, header, new)
        incoming.keep()
    with taking_over.open(new) as file:
        assert file.read() == b"anew"


def test_file_that_is_read_can_be_read_to_its_end(index: Index, storage: Storage) -> None:
    location = put(index, storage)
    with storage.open(location) as file:
        delete(index, storage)
        assert file.read() == b"1.2.1.1.1"
    with pytest.raises(StorageUnavailable):
        storage.open(location)


def test_study_is_there_or_gone_while_others_store_in_it(index: Index, storage: Storage) -> None:
    """Whatever the order is, no object has its row without its file, or its file without its row."""
    numbers = range(40)
    stored: dict[int, Location] = {}

    def storing() -> None:
        for number in numbers:
            stored[number] = put(index, storage, sop=f"1.2.1.1.{number}")

    thread = threading.Thread(target=storing)
    thread.start()
    while thread.is_alive():
        delete(index, storage)
    thread.join()
    assert len(stored) == len(numbers)
    there = {str(ds.SOPInstanceUID) for ds in find(index, "IMAGE", relational=True)}
    assert there == {f"1.2.1.1.{number}" for number in numbers if storage.has(stored[number])}


def test_several_bring_a_deletion_to_its_end_together(index: Index, index_url: str, storage: Storage) -> None:
    locations = [put(index, storage, sop=f"1.2.1.1.{number}") for number in range(250)]
    index.deletions.begin(STUDY, storage.version)
    others = [Index.open(index_url) for _ in range(3)]
    failures: list[BaseException] = []

    def finishing(other: Index) -> None:
        try:
            finish(other, storage)
        except BaseException as err:
            failures.append(err)

    threads = [threading.Thread(target=finishing, args=(other,)) for other in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for other in others:
        other.close()
    assert failures == []
    assert index.deletions.pending() == []
    assert not any(storage.has(location) for location in locations)
