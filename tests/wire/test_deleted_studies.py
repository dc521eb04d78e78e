"""A study is deleted over HTTP, while others store and retrieve."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom import Dataset

from dcm4py_leading.leading.last_known import FILE_NAME
from dcm4py_leading.web.app import create_app
from tests.fixtures.datasets import make_study
from tests.fixtures.http import served
from tests.fixtures.scripted import LeadingScp, Viewer, knows
from tests.fixtures.scu import find, identifier, move, store
from tests.fixtures.service import AE, DEVICE, Seed

STUDY = "1.2.826.0.1.3680043.8.498.61"
OTHER = "1.2.826.0.1.3680043.8.498.62"
OBJECTS = 6
PATH = f"/dcm4chee-arc/aets/DCM4CHEE/rs/studies/{STUDY}"


@pytest.fixture
def http(seed: Seed, tmp_path: Path) -> Iterator[httpx.Client]:
    """Two studies of one patient are stored; each may be deleted."""
    seed.set(DEVICE, dcmAllowDeleteStudyPermanently="ALWAYS")
    seed.lead()
    with served(app=create_app(seed.start())) as client:
        client.timeout = httpx.Timeout(120)
        for uid in (STUDY, OTHER):
            store_study(seed, tmp_path, uid)
        yield client


def store_study(seed: Seed, folder: Path, uid: str = STUDY) -> None:
    files = make_study(folder / uid, patient_id="P", patient_name="A^B", study_uid=uid, instances=3, series=2)
    assert store(seed.archive_port, files) == [0x0000] * OBJECTS


def studies(seed: Seed) -> list[str]:
    status, matches = find(seed.archive_port, identifier("STUDY", StudyInstanceUID="", PatientID="P"))
    assert status == 0x0000
    return [str(match.StudyInstanceUID) for match in matches]


def last_known(seed: Seed) -> list[str]:
    with closing(sqlite3.connect(seed.data_dir / FILE_NAME)) as db:
        return [uid for (uid,) in db.execute("SELECT study_instance_uid FROM last_known ORDER BY 1")]


def knows_both() -> Callable[[Any], Any]:
    known = []
    for uid in (STUDY, OTHER):
        study = Dataset()
        study.StudyInstanceUID, study.PatientName = uid, "Right^Name"
        known.append(study)
    return knows(*known)


def test_rows_files_and_remembered_answers_are_gone_and_those_of_others_stay(
    seed: Seed, http: httpx.Client, leading_scp: Callable[..., LeadingScp], viewer: Callable[..., Viewer]
) -> None:
    viewer(seed.viewer_port)
    leading_scp(seed.leading_port, knows_both())
    for uid in (STUDY, OTHER):
        assert move(seed.archive_port, identifier("STUDY", StudyInstanceUID=uid))[-1][0].Status == 0x0000
    assert len(http.get("/leading-cache").json()) == 2
    assert last_known(seed) == [STUDY, OTHER]

    answer = http.delete(PATH)
    assert (answer.status_code, answer.content) == (204, b"")

    assert studies(seed) == [OTHER]
    assert len(seed.objects) == OBJECTS
    assert [entry["studyInstanceUID"] for entry in http.get("/leading-cache").json()] == [OTHER]
    assert last_known(seed) == [OTHER]
    (final, _) = move(seed.archive_port, identifier("STUDY", StudyInstanceUID=STUDY))[-1]
    assert (final.Status, final.NumberOfCompletedSuboperations) == (0x0000, 0)
    assert http.delete(PATH).status_code == 404


def test_a_retrieve_under_way_ends_and_counts_every_object(
    seed: Seed, http: httpx.Client, viewer: Callable[..., Viewer]
) -> None:
    is_deleted = threading.Event()

    def wait(_: Any) -> int:
        assert is_deleted.wait(60)
        return 0x0000

    destination = viewer(seed.viewer_port, script=wait)
    responses: list[Any] = []
    thread = threading.Thread(
        target=lambda: responses.extend(move(seed.archive_port, identifier("STUDY", StudyInstanceUID=STUDY)))
    )
    thread.start()
    assert destination.asked.wait(60)
    assert http.delete(PATH).status_code == 204
    is_deleted.set()
    thread.join(60)
    final = responses[-1][0]
    completed, failed = final.NumberOfCompletedSuboperations, final.NumberOfFailedSuboperations
    assert completed == len(destination.received) >= 1
    assert completed + failed == OBJECTS
    assert final.Status == (0xB000 if failed else 0x0000)
    assert studies(seed) == [OTHER]


def test_an_object_that_comes_meanwhile_is_the_first_of_a_new_study_or_gone(
    seed: Seed, http: httpx.Client, tmp_path: Path
) -> None:
    files = make_study(tmp_path / "more", patient_id="P", patient_name="A^B", study_uid=STUDY, instances=20)
    statuses: list[int] = []
    thread = threading.Thread(target=lambda: statuses.extend(store(seed.archive_port, files)))
    thread.start()
    while thread.is_alive():
        assert http.delete(PATH).status_code in (204, 404)
    thread.join()
    assert statuses == [0x0000] * 20
    query = identifier("IMAGE", StudyInstanceUID=STUDY, SeriesInstanceUID="", SOPInstanceUID="")
    _, left = find(seed.archive_port, identifier("SERIES", StudyInstanceUID=STUDY, SeriesInstanceUID=""))
    count = 0
    for series in left:
        query.SeriesInstanceUID = series.SeriesInstanceUID
        count += len(find(seed.archive_port, query)[1])
    assert len(seed.objects) == OBJECTS + count


def test_forbidden_or_wrong_request_is_told(seed: Seed, http: httpx.Client) -> None:
    assert http.delete(PATH.replace("DCM4CHEE", "NOBODY")).status_code == 404
    assert http.delete(PATH, params={"retainObj": "true"}).status_code == 400
    seed.set(AE, dcmAllowDeleteStudyPermanently="REJECTED")
    seed.service.reload()
    answer = http.delete(PATH)
    assert answer.status_code == 403
    assert "dcmAllowDeleteStudyPermanently" in answer.json()["errorMessage"]
    assert studies(seed) == [STUDY, OTHER]
