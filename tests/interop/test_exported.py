"""Stored objects are sent over HTTP to DCMTK's storescp."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from dcm4py_leading.web.app import create_app
from tests.fixtures.datasets import make_study
from tests.fixtures.dcmtk import DcmQrScp, StoreScp, storescu
from tests.fixtures.dcmtk import Peer as Destination
from tests.fixtures.http import served
from tests.fixtures.ports import free_port
from tests.fixtures.proxy import await_rest, stand_in_front_of
from tests.fixtures.service import AE, Seed
from tests.fixtures.workers import Serve

pytestmark = pytest.mark.peers

STUDY = "1.2.826.0.1.3680043.8.498.78"
RS = f"/dcm4chee-arc/aets/DCM4CHEE/rs/studies/{STUDY}"
SEND = "export/dicom:STORESCP"


def store(seed: Seed, folder: Path) -> None:
    files = make_study(folder, patient_id="P", patient_name="Old^Name", study_uid=STUDY, instances=2, series=2)
    assert storescu(seed.archive_port, files, called_ae_title="DCM4CHEE").returncode == 0


def test_a_study_a_series_and_an_instance_are_sent(seed: Seed, http: httpx.Client, tmp_path: Path) -> None:
    store(seed, tmp_path / "sent")
    with StoreScp(tmp_path / "viewer", port=seed.viewer_port) as viewer:
        answer = http.post(f"{RS}/{SEND}")
        assert (answer.status_code, answer.json()) == (200, {"completed": 4})
        one = viewer.datasets()[0]
        series = f"{RS}/series/{one.SeriesInstanceUID}"
        assert http.post(f"{series}/{SEND}").json() == {"completed": 2}
        assert http.post(f"{series}/instances/{one.SOPInstanceUID}/{SEND}").json() == {"completed": 1}
        assert len(viewer.store_requests()) == 7


def test_sent_objects_have_the_values_of_the_leading_archive(seed: Seed, http: httpx.Client, tmp_path: Path) -> None:
    seed.lead()
    seed.service.reload()
    store(seed, tmp_path / "sent")
    ours = Destination(ae_title="DCM4CHEE", port=seed.archive_port)
    with (
        DcmQrScp(tmp_path / "leading", port=seed.leading_port, destinations=[ours]) as leading,
        StoreScp(tmp_path / "viewer", port=seed.viewer_port) as viewer,
    ):
        leading.store(make_study(tmp_path / "right", patient_id="R", patient_name="Right^Name", study_uid=STUDY))
        assert http.post(f"{RS}/{SEND}").json() == {"completed": 4}
        assert {str(ds.PatientName) for ds in viewer.datasets()} == {"Right^Name"}


def test_a_file_that_is_gone_fails_and_the_others_are_sent(seed: Seed, http: httpx.Client, tmp_path: Path) -> None:
    store(seed, tmp_path / "sent")
    seed.objects[0].unlink()
    with StoreScp(tmp_path / "viewer", port=seed.viewer_port):
        answer = http.post(f"{RS}/{SEND}")
    assert answer.status_code == 206
    assert (answer.json()["completed"], answer.json()["failed"]) == (3, 1)
    assert answer.json()["error"]


def test_a_destination_that_is_down_is_told(seed: Seed, http: httpx.Client, tmp_path: Path) -> None:
    store(seed, tmp_path / "sent")
    answer = http.post(f"{RS}/{SEND}")
    assert answer.status_code == 502
    assert (answer.json()["completed"], answer.json()["failed"]) == (0, 4)
    assert "STORESCP" in answer.json()["errorMessage"]


def test_unknown_study_or_destination_is_not_found(seed: Seed, http: httpx.Client, tmp_path: Path) -> None:
    assert http.post(f"{RS}/{SEND}").status_code == 404
    store(seed, tmp_path / "sent")
    assert http.post(f"{RS}/series/1.2.3/{SEND}").status_code == 404
    for path in (f"{RS}/export/dicom:NOBODY", f"{RS.replace('DCM4CHEE', 'NOBODY')}/{SEND}"):
        answer = http.post(path)
        assert answer.status_code == 404
        assert "NOBODY" in answer.json()["errorMessage"]


def test_a_destination_that_is_not_allowed_gets_nothing(seed: Seed, http: httpx.Client, tmp_path: Path) -> None:
    seed.set(AE, dcmAcceptedMoveDestination="QRSCP")
    seed.service.reload()
    store(seed, tmp_path / "sent")
    answer = http.post(f"{RS}/{SEND}")
    assert answer.status_code == 409
    assert "dcmAcceptedMoveDestination" in answer.json()["errorMessage"]


def test_one_of_several_workers_sends(seed: Seed, serve: Serve, tmp_path: Path) -> None:
    service = serve(2)
    service.http.timeout = 120
    store(seed, tmp_path / "sent")
    with StoreScp(tmp_path / "viewer", port=seed.viewer_port):
        answer = service.http.post(f"{RS}/{SEND}")
    assert (answer.status_code, answer.json()) == (200, {"completed": 4})
    assert service.http.post(f"{RS}/export/dicom:NOBODY").status_code == 404


def test_objects_of_the_archive_behind_are_sent_through(
    seed: Seed, dcmqrscp: Callable[..., DcmQrScp], tmp_path: Path
) -> None:
    port = free_port()
    pacs = dcmqrscp(ae_title="PACS", port=port)
    stand_in_front_of(seed, port)
    pacs.store(make_study(tmp_path / "pacs", patient_id="P", patient_name="Old^Name", study_uid=STUDY))
    with (
        served(app=create_app(seed.start())) as http,
        StoreScp(tmp_path / "viewer", port=seed.viewer_port) as viewer,
    ):
        http.timeout = httpx.Timeout(120)
        assert http.post(f"{RS}/{SEND}").json() == {"completed": 3}
        assert len(viewer.store_requests()) == 3
        assert http.post(f"{RS.replace(STUDY, '1.2.3')}/{SEND}").status_code == 404
    await_rest(seed)
