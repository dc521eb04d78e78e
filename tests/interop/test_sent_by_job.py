"""Jobs that send stored objects: progress, failures, cancelling, several processes, a proxy."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from dcm4py_leading.calls.call import Call, Here, as_it_is
from dcm4py_leading.dicom.scp import listener
from dcm4py_leading.editing import editor_of
from dcm4py_leading.service.jobs.job import State
from dcm4py_leading.web.app import Configured, create_app
from tests.fixtures.datasets import make_study
from tests.fixtures.dcmtk import DcmQrScp, StoreScp, storescu
from tests.fixtures.dcmtk import Peer as Destination
from tests.fixtures.http import served
from tests.fixtures.ports import free_port
from tests.fixtures.processes import Process, find_program
from tests.fixtures.proxy import await_rest, remote_device, stand_in_front_of
from tests.fixtures.scripted import Gate, Viewer
from tests.fixtures.service import AE, Seed
from tests.fixtures.workers import Serve, kill, until

pytestmark = pytest.mark.peers

STUDY = "1.2.826.0.1.3680043.8.498.79"
SEND = f"/dcm4py-leading/aets/DCM4CHEE/studies/{STUDY}/send/STORESCP"
JOBS = "/dcm4py-leading/jobs"
ENDED = {"done", "cancelled", "failed"}


@pytest.fixture
def viewer(seed: Seed, viewer: Callable[..., Viewer]) -> Callable[..., Viewer]:
    """Makes the viewer of the seed, by its script."""
    return partial(viewer, seed.viewer_port)


def store(seed: Seed, folder: Path) -> list[Path]:
    files = make_study(folder, patient_id="P", patient_name="Old^Name", study_uid=STUDY, instances=2, series=2)
    assert storescu(seed.archive_port, files, called_ae_title="DCM4CHEE").returncode == 0
    return files


def begun(http: httpx.Client, path: str = SEND) -> str:
    """Path of the job that begins."""
    answer = http.post(path)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"{JOBS}/{answer.json()['id']}"
    return str(answer.headers["location"])


def ended(http: httpx.Client, job: str) -> dict[str, Any]:
    """The job when it has ended."""
    until(lambda: http.get(job).json()["state"] in ENDED, seconds=120)
    told: dict[str, Any] = http.get(job).json()
    assert told["endedAt"] is not None
    return told


def is_open(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


def counts(job: dict[str, Any]) -> tuple[str, int, int, int]:
    return job["state"], job["done"], job["of"], job["failed"]


def test_a_study_a_series_and_an_instance_are_sent(seed: Seed, http: httpx.Client, tmp_path: Path) -> None:
    store(seed, tmp_path / "sent")
    with StoreScp(tmp_path / "viewer", port=seed.viewer_port) as viewer:
        job = ended(http, begun(http))
        assert counts(job) == ("done", 4, 4, 0)
        assert job["subject"] == {"ae": "DCM4CHEE", "destination": "STORESCP", "study": STUDY}
        assert (job["kind"], job["problems"], job["result"]["completed"]) == ("send", [], 4)
        one = viewer.datasets()[0]
        series = SEND.replace("/send/", f"/series/{one.SeriesInstanceUID}/send/")
        assert counts(ended(http, begun(http, series))) == ("done", 2, 2, 0)
        instance = series.replace("/send/", f"/instances/{one.SOPInstanceUID}/send/")
        assert counts(ended(http, begun(http, instance))) == ("done", 1, 1, 0)
        assert len(viewer.store_requests()) == 7
    assert [job["done"] for job in http.get(JOBS).json()] == [1, 2, 4]
    assert http.get(JOBS, params={"kind": "drift"}).json() == []


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
        assert counts(ended(http, begun(http))) == ("done", 4, 4, 0)
        assert {str(ds.PatientName) for ds in viewer.datasets()} == {"Right^Name"}


def test_an_object_that_is_refused_is_told_and_the_others_are_sent(
    seed: Seed, http: httpx.Client, viewer: Callable[..., Viewer], tmp_path: Path
) -> None:
    store(seed, tmp_path / "sent")
    statuses = iter([0x0000, 0xA700, 0x0000, 0x0000])
    there = viewer(lambda _: next(statuses))
    job = ended(http, begun(http))
    assert counts(job) == ("done", 4, 4, 1)
    (problem,) = job["problems"]
    refused = there.requests[1].AffectedSOPInstanceUID
    assert "0xA700" in problem and "CT Image Storage" in problem
    assert refused not in problem and "Old^Name" not in problem
    assert job["result"]["failedSOPInstanceUIDs"] == [refused]


def test_every_object_of_an_association_that_is_aborted_each_time_has_failed(
    seed: Seed, http: httpx.Client, tmp_path: Path
) -> None:
    store(seed, tmp_path / "sent")
    with StoreScp(tmp_path / "viewer", port=seed.viewer_port, options=["--abort-after"]):
        job = ended(http, begun(http))
    assert counts(job) == ("failed", 4, 4, 4)
    assert len(job["problems"]) == 5  # of each object, and why the job as a whole has failed
    assert len(job["result"]["failedSOPInstanceUIDs"]) == 4


def test_job_reports_progress_and_can_be_cancelled(
    seed: Seed, http: httpx.Client, viewer: Callable[..., Viewer], tmp_path: Path
) -> None:
    store(seed, tmp_path / "sent")
    gate = Gate(2)
    there = viewer(gate)
    job = begun(http)
    until(lambda: http.get(job).json()["done"] == 2)
    assert http.get(job).json()["of"] == 4
    assert gate.waiting.wait(60)
    assert http.delete(job).status_code == 204
    until(lambda: _is_cancelled(seed))
    gate.opened.set()
    told = ended(http, job)
    assert counts(told) == ("cancelled", 3, 4, 0)
    assert told["result"]["notSent"] == 1
    assert len(there.received) == 3
    assert http.delete(job).status_code == 204
    assert http.get(job).json() == told
    assert http.delete(f"{JOBS}/nothing").status_code == http.get(f"{JOBS}/nothing").status_code == 404


def _is_cancelled(seed: Seed) -> bool:
    return any(sending.is_cancelled for sending in seed.service._process._sendings._under_way.values())


def test_a_destination_that_refuses_every_association_fails_the_job_with_the_reason(
    seed: Seed, http: httpx.Client, tmp_path: Path
) -> None:
    store(seed, tmp_path / "sent")
    port = free_port()
    seed.change(remote_device("REFUSES", port))
    seed.service.reload()
    process = Process([str(find_program("storescp")), "--refuse", str(port)], log=tmp_path / "storescp.log")
    try:
        process.await_ready(lambda: is_open(port))
        job = ended(http, begun(http, SEND.replace("STORESCP", "REFUSES")))
    finally:
        process.stop()
    assert counts(job) == ("failed", 4, 4, 4)
    assert "rejected" in job["problems"][-1]


def test_a_destination_that_is_down_fails_the_job_with_the_reason(
    seed: Seed, http: httpx.Client, tmp_path: Path
) -> None:
    store(seed, tmp_path / "sent")
    job = ended(http, begun(http))
    assert counts(job) == ("failed", 4, 4, 4)
    assert all("STORESCP" in problem for problem in job["problems"])


def test_request_that_cannot_be_sent_begins_no_job(seed: Seed, http: httpx.Client, tmp_path: Path) -> None:
    store(seed, tmp_path / "sent")
    for path in (SEND.replace("STORESCP", "NOBODY"), SEND.replace("DCM4CHEE", "NOBODY")):
        answer = http.post(path)
        assert answer.status_code == 404
        assert "NOBODY" in answer.json()["errorMessage"]
    seed.set(AE, dcmAcceptedMoveDestination="QRSCP")
    seed.service.reload()
    refused = http.post(SEND)
    assert refused.status_code == 409
    assert "dcmAcceptedMoveDestination" in refused.json()["errorMessage"]
    assert http.get(JOBS).json() == []


def test_a_study_that_is_not_there_fails_the_job(seed: Seed, http: httpx.Client) -> None:
    job = ended(http, begun(http))
    assert (job["state"], job["problems"]) == ("failed", ["there is nothing of it to be sent"])


def test_more_jobs_than_may_run_at_once_are_refused(
    seed: Seed, http: httpx.Client, viewer: Callable[..., Viewer], tmp_path: Path
) -> None:
    store(seed, tmp_path / "sent")
    gate = Gate(0)
    viewer(gate)
    jobs = [begun(http) for _ in range(4)]
    refused = http.post(SEND)
    assert refused.status_code == 503
    assert "4 jobs are running" in refused.json()["errorMessage"]
    gate.opened.set()
    assert {ended(http, job)["state"] for job in jobs} == {"done"}


def test_a_stop_of_the_service_ends_a_job_whose_destination_hangs(
    seed: Seed, http: httpx.Client, viewer: Callable[..., Viewer], tmp_path: Path
) -> None:
    store(seed, tmp_path / "sent")
    gate = Gate(1)
    viewer(gate)
    job = begun(http).rpartition("/")[2]
    assert gate.waiting.wait(60)
    seed.service.stop(0.2)
    try:
        until(lambda: not any(thread.name.startswith(("job-", "sending")) for thread in threading.enumerate()))
        told = seed.service.jobs.get(job)
        assert told is not None and told.state is State.CANCELLED
    finally:
        gate.opened.set()


def test_endless_job_does_not_keep_the_service_from_stopping(
    seed: Seed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listener, "_ABORTED_SECONDS", 0.2)
    service, is_asked, may_end = seed.start(), threading.Event(), threading.Event()

    def hang(_: Here, __: None) -> None:
        is_asked.set()
        may_end.wait(60)

    call = Call(name="hang", do=hang, question=as_it_is(), answer=as_it_is(), seconds=60)
    thread = threading.Thread(target=service.call, args=(call, None))
    thread.start()
    assert is_asked.wait(60)
    service.stop(0.1)
    assert thread.is_alive()
    assert "the service stops without waiting for it any longer" in caplog.text
    may_end.set()
    thread.join(60)


def test_workers_tell_how_far_a_job_is_and_end_it_on_command(
    seed: Seed, serve: Serve, viewer: Callable[..., Viewer], tmp_path: Path
) -> None:
    service = serve(2)
    service.http.timeout = 120
    store(seed, tmp_path / "sent")
    gate = Gate(2)
    viewer(gate)
    job = begun(service.http)
    until(lambda: service.http.get(job).json()["done"] == 2)
    assert service.http.delete(job).status_code == 204
    gate.opened.set()
    told = ended(service.http, job)
    assert told["state"] == "cancelled"
    assert service.http.post(SEND.replace("STORESCP", "NOBODY")).status_code == 404
    assert counts(ended(service.http, begun(service.http))) == ("done", 4, 4, 0)


def test_the_job_of_a_worker_that_is_killed_has_failed(
    seed: Seed, serve: Serve, viewer: Callable[..., Viewer], tmp_path: Path
) -> None:
    service = serve(2)
    service.http.timeout = 120
    store(seed, tmp_path / "sent")
    gate = Gate(2)
    viewer(gate)
    job = begun(service.http)
    until(lambda: service.http.get(job).json()["done"] == 2)
    associations = service.http.get("/dcm4chee-arc/monitor/associations").json()
    kill(next(one["pid"] for one in associations if one["initiated"]))
    told = ended(service.http, job)
    gate.opened.set()
    assert counts(told) == ("failed", 2, 4, 0)
    assert told["problems"] == ["cut off in the middle: the worker has ended"]
    until(lambda: len(service.pids()) == 2)
    assert counts(ended(service.http, begun(service.http))) == ("done", 4, 4, 0)


def test_objects_of_the_archive_behind_are_sent_through(
    seed: Seed, dcmqrscp: Callable[..., DcmQrScp], tmp_path: Path
) -> None:
    port = free_port()
    pacs = dcmqrscp(ae_title="PACS", port=port)
    stand_in_front_of(seed, port)
    pacs.store(make_study(tmp_path / "pacs", patient_id="P", patient_name="Old^Name", study_uid=STUDY))
    with (
        served(app=create_app(seed.start(), configured=Configured(editor_of(seed.site), "dcm4chee-arc"))) as http,
        StoreScp(tmp_path / "viewer", port=seed.viewer_port) as viewer,
    ):
        http.timeout = httpx.Timeout(120)
        form = http.get(f"/ui/studies/DCM4CHEE/{STUDY}/send")
        assert form.status_code == 200
        assert "<dd>PACS</dd>" in form.text
        assert counts(ended(http, begun(http))) == ("done", 3, 3, 0)
        assert len(viewer.store_requests()) == 3
        job = ended(http, begun(http, SEND.replace(STUDY, "1.2.3")))
        assert job["state"] == "failed"
        pacs.stop()
        down = ended(http, begun(http))
        assert (down["state"], down["done"]) == ("failed", 0)
        assert "PACS" in down["problems"][0]
    await_rest(seed)
