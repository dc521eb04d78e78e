"""Who may delete a study, what is refused, and what happens where not all of it can be deleted at once."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dcm4py_leading.archive.storage.file_storage import FileStorage
from dcm4py_leading.composition.check import check
from dcm4py_leading.composition.data import use_data_directory
from dcm4py_leading.errors import EditRefused, Refusal, StorageUnavailable
from dcm4py_leading.log import ref
from dcm4py_leading.service.deleting.delete import Deletion, delete_study, finish_deletions
from tests.fixtures.archive import find
from tests.fixtures.ingest import STUDY, Ingest, received
from tests.fixtures.proxy import stand_in_front_of
from tests.fixtures.service import AE, DEVICE, Seed

WANTED = Deletion(ae_title="DCM4CHEE", study_instance_uid=STUDY, author="anna")
STORAGE = f"dcmStorageID=fs1,{DEVICE}"


class Scene:
    """The archive of the seed, with a study of three objects."""

    def __init__(self, seed: Seed) -> None:
        self.seed = seed
        self.ingest = Ingest.of(seed.site)
        for number in range(3):
            self.ingest.store(received(number))

    def again(self) -> None:
        """Let it take its configuration anew, as after a restart."""
        self.ingest.close()
        self.ingest = Ingest.of(self.seed.site)

    def delete(self, wanted: Deletion = WANTED) -> None:
        delete_study(self.ingest.runtime, wanted)

    def refusal(self, wanted: Deletion = WANTED) -> Refusal:
        """Why nothing is deleted."""
        with pytest.raises(EditRefused) as refused:
            self.delete(wanted)
        assert self.objects == 3
        assert len(self.seed.objects) == 3
        return refused.value.refusal

    @property
    def objects(self) -> int:
        return len(find(self.ingest.index, "IMAGE", relational=True))


@pytest.fixture
def scene(seed: Seed) -> Iterator[Scene]:
    seed.set(DEVICE, dcmAllowDeleteStudyPermanently="ALWAYS")
    scene = Scene(seed)
    yield scene
    scene.ingest.close()


@pytest.mark.ldap("dcmAllowDeleteStudyPermanently")
def test_study_is_deleted_where_the_device_allows_it(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    scene.delete()
    assert scene.objects == 0
    assert scene.seed.objects == []
    assert f"study {ref(STUDY)} was deleted by anna: 3 objects, 3 files" in caplog.messages
    assert STUDY not in caplog.text


@pytest.mark.ldap("dcmAllowDeleteStudyPermanently")
@pytest.mark.parametrize("of_ae", ["REJECTED", None])
def test_nothing_is_deleted_where_only_rejected_studies_may_be(seed: Seed, of_ae: str | None) -> None:
    if of_ae is not None:
        seed.set(DEVICE, dcmAllowDeleteStudyPermanently="ALWAYS")
        seed.set(AE, dcmAllowDeleteStudyPermanently=of_ae)
    assert Scene(seed).refusal() is Refusal.FORBIDDEN


@pytest.mark.ldap("dcmAllowDeleteStudyPermanently")
def test_allowance_of_the_ae_comes_before_that_of_the_device(seed: Seed) -> None:
    seed.set(DEVICE, dcmAllowDeleteStudyPermanently="REJECTED")
    seed.set(AE, dcmAllowDeleteStudyPermanently="ALWAYS")
    scene = Scene(seed)
    scene.delete()
    assert scene.objects == 0


@pytest.mark.parametrize(
    "unknown", [{"ae_title": "OTHER"}, {"study_instance_uid": "1.2.3"}, {"study_instance_uid": "no UID"}]
)
def test_unknown_ae_and_unknown_study_are_told(scene: Scene, unknown: dict[str, str]) -> None:
    assert scene.refusal(replace(WANTED, **unknown)) is Refusal.UNKNOWN


def test_ae_in_front_of_another_archive_deletes_nothing(scene: Scene) -> None:
    stand_in_front_of(scene.seed, 1)
    scene.again()
    assert scene.refusal() is Refusal.CONFLICT


def test_nothing_is_deleted_from_a_storage_that_is_read_only(scene: Scene) -> None:
    scene.seed.set(STORAGE, dcmReadOnly="TRUE")
    scene.again()
    assert scene.refusal() is Refusal.CONFLICT


def test_nothing_is_deleted_from_a_storage_that_the_device_does_not_have(scene: Scene) -> None:
    scene.ingest = replace(scene.ingest, runtime=replace(scene.ingest.runtime, storages={}))
    assert scene.refusal() is Refusal.CONFLICT


def test_file_that_cannot_be_deleted_now_is_told_and_deleted_next_time(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise StorageUnavailable("storage fs1: Input/output error")

    with monkeypatch.context() as patched, pytest.raises(StorageUnavailable, match="fs1: Input/output error"):
        patched.setattr(FileStorage, "delete_versions", fail)
        scene.delete()
    assert (scene.objects, len(scene.seed.objects)) == (0, 3)
    assert "fs1: Input/output error" in caplog.text
    scene.delete()  # begins nothing, and brings it to its end
    assert scene.seed.objects == []
    with pytest.raises(EditRefused) as refused:
        scene.delete()
    assert refused.value.refusal is Refusal.UNKNOWN


def test_answers_that_cannot_be_dropped_now_are_reported_and_dropped_next_time(scene: Scene) -> None:
    forgotten: list[str] = []

    def forget(uid: str) -> bool:
        forgotten.append(uid)
        return len(forgotten) > 1

    runtime = replace(scene.ingest.runtime, forget_study=forget)
    with pytest.raises(StorageUnavailable, match="other archives"):
        delete_study(runtime, WANTED)
    assert finish_deletions(runtime) == []
    assert forgotten == [STUDY, STUDY]
    assert runtime.index.deletions.pending() == []


def test_a_restart_deletes_what_is_left(scene: Scene) -> None:
    runtime = scene.ingest.runtime
    runtime.index.deletions.begin(STUDY, runtime.storages["fs1"].version)
    scene.ingest.close()
    assert len(scene.seed.objects) == 3
    scene.seed.start()
    assert scene.seed.objects == []
    scene.ingest = Ingest.of(scene.seed.site)


def test_files_stay_where_the_storage_has_become_read_only_meanwhile(scene: Scene) -> None:
    runtime = scene.ingest.runtime
    runtime.index.deletions.begin(STUDY, runtime.storages["fs1"].version)
    scene.seed.set(STORAGE, dcmReadOnly="TRUE")
    scene.again()
    assert "dcmReadOnly" in finish_deletions(scene.ingest.runtime)[0]
    assert len(scene.seed.objects) == 3


def test_files_are_deleted_before_any_process_is_waited_for(scene: Scene) -> None:
    runtime = scene.ingest.runtime
    runtime.index.deletions.begin(STUDY, runtime.storages["fs1"].version)
    use_data_directory(scene.seed.site, check(scene.seed.site)).close()
    assert scene.seed.objects == []
    (one,) = runtime.index.deletions.pending()  # what is remembered about the study, a node forgets
    assert one.study_instance_uid == STUDY


def test_deleted_study_can_be_stored_again(scene: Scene) -> None:
    scene.delete()
    scene.ingest.store(received(1))
    assert scene.objects == 1
    assert len(scene.seed.objects) == 1


def test_folders_of_the_study_are_gone_too(scene: Scene) -> None:
    scene.delete()
    root: Path = scene.seed.data_dir / "storage" / "fs1"
    assert [path.name for path in root.iterdir()] == [".incoming"]
