"""A storage that is really full."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dcm4py_leading.web.app import create_app
from tests.fixtures.datasets import make_study
from tests.fixtures.http import served
from tests.fixtures.peers_required import require
from tests.fixtures.scu import find, get, identifier, store
from tests.fixtures.service import Seed
from tests.fixtures.stow import chunked, failed, multipart, post, stored

STUDY = "1.2.826.0.1.3680043.8.498.71"


@pytest.fixture
def small_storage(seed: Seed) -> Iterator[Path]:
    """The archive's storage on a file system of 200 kB."""
    require(os.geteuid() == 0, "root, to mount a small file system")
    storage = seed.data_dir / "storage"
    storage.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(storage)], check=True)
    try:
        yield storage
    finally:
        subprocess.run(["umount", "--lazy", str(storage)], check=True)


def test_stow_without_room_is_a700_and_stored_ones_stay(seed: Seed, small_storage: Path, tmp_path: Path) -> None:
    files = make_study(tmp_path / "s", patient_id="P", patient_name="A^B", study_uid=STUDY, instances=8)
    path = "/dcm4chee-arc/aets/DCM4CHEE/rs/studies"
    with served(app=create_app(seed.start())) as http:
        answer = post(http, path, chunked(multipart(files)))
        fitting = len(stored(answer))
        assert (answer.status_code, 0 < fitting < 8, len(seed.objects)) == (202, True, fitting)
        assert list(failed(answer).values()) == [0xA700] * (8 - fitting)
        assert not list((small_storage / "fs1" / ".incoming").iterdir())
        answer = post(http, path, chunked(multipart(files[fitting:])))
        assert (answer.status_code, len(failed(answer)), "retry-after" in answer.headers) == (503, 8 - fitting, True)
        subprocess.run(["mount", "-o", "remount,size=2m", str(small_storage)], check=True)
        assert post(http, path, chunked(multipart(files[fitting:]))).status_code == 200
    assert len(seed.objects) == 8


def test_object_without_room_is_a700_and_stored_ones_stay(seed: Seed, small_storage: Path, tmp_path: Path) -> None:
    seed.start()
    files = make_study(tmp_path / "s", patient_id="P", patient_name="A^B", study_uid=STUDY, instances=8)
    statuses = [status for file in files for status in store(seed.archive_port, [file])]
    fitting = statuses.count(0x0000)
    assert 0 < fitting < 8
    assert statuses == [0x0000] * fitting + [0xA700] * (8 - fitting)
    assert len(seed.objects) == fitting
    assert not list((small_storage / "fs1" / ".incoming").iterdir())

    query = identifier("STUDY", StudyInstanceUID=STUDY, NumberOfStudyRelatedInstances="")
    assert [match.NumberOfStudyRelatedInstances for match in find(seed.archive_port, query)[1]] == [fitting]
    assert len(get(seed.archive_port, identifier("STUDY", StudyInstanceUID=STUDY))[1]) == fitting

    subprocess.run(["mount", "-o", "remount,size=2m", str(small_storage)], check=True)
    assert store(seed.archive_port, files[fitting:]) == [0x0000] * (8 - fitting)
