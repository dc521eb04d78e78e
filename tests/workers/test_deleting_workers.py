"""Deletions with several workers: all of them forget, and one that is killed is no harm."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from pydicom import Dataset

from dcm4py_leading.archive.data_directory import open_index
from dcm4py_leading.archive.storage.file_storage import FileStorage
from dcm4py_leading.leading.last_known import FILE_NAME
from dcm4py_leading.model.archive import StorageDescriptor
from tests.fixtures.datasets import make_study
from tests.fixtures.raw_echo import ACCEPTED, RawAssociation
from tests.fixtures.scripted import LeadingScp, Viewer, knows
from tests.fixtures.scu import find, identifier, move, store
from tests.fixtures.service import DEVICE, Seed
from tests.fixtures.workers import Serve, kill, until

STUDY = "1.2.826.0.1.3680043.8.498.63"
PATH = f"/dcm4chee-arc/aets/DCM4CHEE/rs/studies/{STUDY}"
KEYS = identifier("STUDY", StudyInstanceUID=STUDY)


@pytest.fixture
def allowed(seed: Seed) -> Seed:
    seed.set(DEVICE, dcmAllowDeleteStudyPermanently="ALWAYS")
    return seed


def store_study(seed: Seed, folder: Path) -> None:
    files = make_study(folder, patient_id="P", patient_name="A^B", study_uid=STUDY, instances=5)
    assert store(seed.archive_port, files) == [0x0000] * 5


def last_known(seed: Seed) -> int:
    with closing(sqlite3.connect(seed.data_dir / FILE_NAME)) as db:
        (count,) = db.execute("SELECT count(*) FROM last_known").fetchone()
    return int(count)


def test_every_worker_forgets_what_leading_archives_said(allowed: Seed, serve: Serve, tmp_path: Path) -> None:
    allowed.lead()
    served = serve(2)
    study = Dataset()
    study.StudyInstanceUID, study.PatientName = STUDY, "Right^Name"
    leading, viewer = LeadingScp(allowed.leading_port, knows(study)), Viewer(allowed.viewer_port)
    try:
        store_study(allowed, tmp_path / "study")
        with ExitStack() as running:
            while len(leading.queries) < 2:  # each worker asks once
                assert move(allowed.archive_port, KEYS)[-1][0].Status == 0x0000
                # An association that stays open leaves the next retrieve to the other worker.
                assert running.enter_context(closing(RawAssociation(allowed.archive_port))).receive()[0] == ACCEPTED
        assert last_known(allowed) == 1
        assert served.http.delete(PATH).status_code == 204
        assert served.http.get("/leading-cache").json() == []
        assert last_known(allowed) == 0
        assert allowed.objects == []
        assert served.http.delete(PATH).status_code == 404
    finally:
        leading.stop()
        viewer.stop()
    assert "was deleted by loopback: 5 objects, 5 files" in served.told()


def test_a_worker_that_is_started_again_deletes_what_another_has_left(
    allowed: Seed, serve: Serve, tmp_path: Path
) -> None:
    served = serve(2)
    store_study(allowed, tmp_path / "study")
    storage = FileStorage(
        StorageDescriptor(dn="", storage_id="fs1", uri=(allowed.data_dir / "storage" / "fs1").as_uri())
    )
    with closing(open_index(allowed.data_dir, may_upgrade=False)) as index:
        assert index.deletions.begin(STUDY, storage.version) is not None  # and then that worker ends
        assert find(allowed.archive_port, KEYS)[1] == []
        assert len(allowed.objects) == 5
        kill(served.pids()[0])
        until(lambda: allowed.objects == [] and not index.deletions.pending())
