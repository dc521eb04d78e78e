"""``ctrl/stop`` and ``ctrl/start`` with DCMTK's SCUs: DICOM stops and starts, HTTP goes on."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from dcm4py_leading.app import Service
from dcm4py_leading.web.app import create_app
from tests.fixtures.datasets import make_study
from tests.fixtures.dcmtk import echoscu
from tests.fixtures.http import served
from tests.fixtures.ports import free_port
from tests.fixtures.raw_echo import ACCEPTED, RawAssociation
from tests.fixtures.scripted import Viewer
from tests.fixtures.scu import STUDY_MOVE, VERIFICATION, associated, identifier, move, store
from tests.fixtures.service import CONNECTION, DEVICE, Seed

pytestmark = pytest.mark.peers

STUDY = "1.2.826.0.1.3680043.8.498.1401"
CTRL = "/dcm4chee-arc/ctrl"
ABORT = 0x07


@pytest.fixture
def running() -> Iterator[ExitStack]:
    """Ended after the test, the last thing first."""
    with ExitStack() as stack:
        yield stack


@contextmanager
def service_on(seed: Seed, *, drain_seconds: float = 60) -> Iterator[httpx.Client]:
    """The seed's archive and a client to its control port."""
    seed.service = Service(seed.site, drain_seconds=drain_seconds)
    try:
        with served(app=create_app(seed.service)) as http:
            http.timeout = httpx.Timeout(120)
            yield http
    finally:
        seed.service.stop(5)


def echoes(seed: Seed) -> bool:
    return echoscu(seed.archive_port, called_ae_title="DCM4CHEE").returncode == 0


def is_free(port: int) -> bool:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def test_a_stopped_service_has_no_port_and_says_so_until_it_is_started(seed: Seed) -> None:
    with service_on(seed) as http:
        assert echoes(seed)
        assert http.post(f"{CTRL}/stop").status_code == 204
        assert not echoes(seed)
        assert is_free(seed.archive_port)
        assert http.get(f"{CTRL}/status").json() == {"status": "STOPPED"}
        health = http.get("/health/ready")
        assert (health.status_code, health.json()["status"]) == (503, "DOWN")
        assert "stopped by an administrator" in health.json()["degraded"][0]
        assert "dcm4py_listening 0.0" in http.get("/metrics").text
        assert [listener["isBound"] for listener in http.get("/dcm4py-leading/listeners").json()] == [False]
        assert http.post(f"{CTRL}/start").status_code == 204
        assert echoes(seed)
        assert http.get(f"{CTRL}/status").json() == {"status": "STARTED"}
        assert http.get("/health/ready").json()["status"] == "UP"
        assert [listener["isBound"] for listener in http.get("/dcm4py-leading/listeners").json()] == [True]


def test_both_may_be_said_twice(seed: Seed) -> None:
    with service_on(seed) as http:
        for what, is_answered in (("start", True), ("stop", False), ("stop", False), ("start", True), ("start", True)):
            assert http.post(f"{CTRL}/{what}").status_code == 204
            assert echoes(seed) is is_answered


def test_a_reload_while_stopped_does_not_start_and_its_port_counts_at_the_start(seed: Seed) -> None:
    with service_on(seed) as http:
        http.post(f"{CTRL}/stop")
        old_port, seed.archive_port = seed.archive_port, free_port()
        seed.set(CONNECTION, dicomPort=str(seed.archive_port))
        assert http.post(f"{CTRL}/reload").status_code == 204
        assert not echoes(seed)
        http.post(f"{CTRL}/start")
        assert echoes(seed)
        assert is_free(old_port)


def test_a_reload_that_fails_while_stopped_changes_nothing(seed: Seed) -> None:
    with service_on(seed) as http:
        http.post(f"{CTRL}/stop")
        seed.set(DEVICE, dcmLimitOpenAssociations="many")
        assert http.post(f"{CTRL}/reload").status_code == 409
        http.post(f"{CTRL}/start")
        assert echoes(seed)


def test_a_start_without_its_port_names_the_connection_and_can_be_tried_again(seed: Seed) -> None:
    with service_on(seed) as http:
        http.post(f"{CTRL}/stop")
        with socket.create_server(("127.0.0.1", seed.archive_port)):
            answer = http.post(f"{CTRL}/start")
            assert answer.status_code == 500
            assert str(seed.archive_port) in answer.json()["errorMessage"]
            assert [problem["dn"] for problem in answer.json()["problems"]] == [CONNECTION]
            assert http.get(f"{CTRL}/status").json() == {"status": "STOPPED"}
        assert http.post(f"{CTRL}/start").status_code == 204
        assert echoes(seed)


def test_a_stop_aborts_idle_associations_and_waits_for_a_retrieve(
    seed: Seed, tmp_path: Path, viewer: Callable[..., Viewer]
) -> None:
    stopping = threading.Event()

    def wait_for_the_stop(_: Any) -> int:
        stopping.wait(60)
        return 0x0000

    with service_on(seed) as http:
        store(seed.archive_port, make_study(tmp_path / "s", patient_id="P", patient_name="A^B", study_uid=STUDY))
        station = viewer(seed.viewer_port, script=wait_for_the_stop)
        with (
            associated(seed.archive_port, [VERIFICATION]) as idle,
            associated(seed.archive_port, [STUDY_MOVE]) as assoc,
        ):
            responses = assoc.send_c_move(identifier("STUDY", StudyInstanceUID=STUDY), "STORESCP", STUDY_MOVE)
            assert station.asked.wait(60)
            answers: list[httpx.Response] = []
            stopper = threading.Thread(target=lambda: answers.append(http.post(f"{CTRL}/stop")))
            stopper.start()
            idle.join(60)
            assert idle.is_aborted
            assert answers == []
            stopping.set()
            assert list(responses)[-1][0].NumberOfCompletedSuboperations == 3
            stopper.join(60)
            assert [answer.status_code for answer in answers] == [204]


def test_associations_are_aborted_in_time_and_retrieves_work_after_the_start(
    seed: Seed, tmp_path: Path, viewer: Callable[..., Viewer]
) -> None:
    going_on = threading.Event()

    def wait_once(_: Any) -> int:
        going_on.wait(60)
        return 0x0000

    with service_on(seed, drain_seconds=0.2) as http:
        store(seed.archive_port, make_study(tmp_path / "s", patient_id="P", patient_name="A^B", study_uid=STUDY))
        station = viewer(seed.viewer_port, script=wait_once)
        with associated(seed.archive_port, [STUDY_MOVE]) as assoc:
            assoc.send_c_move(identifier("STUDY", StudyInstanceUID=STUDY), "STORESCP", STUDY_MOVE)
            assert station.asked.wait(60)
            assert http.post(f"{CTRL}/stop").status_code == 204
            assert http.get("/dcm4chee-arc/monitor/associations").json() == []
        going_on.set()
        http.post(f"{CTRL}/start")
        responses = move(seed.archive_port, identifier("STUDY", StudyInstanceUID=STUDY))
        assert responses[-1][0].NumberOfCompletedSuboperations == 3


def test_a_start_during_a_stop_comes_after_it(seed: Seed) -> None:
    with service_on(seed) as http, closing(RawAssociation(seed.archive_port)) as open_one:
        assert open_one.receive()[0] == ACCEPTED
        threads = [threading.Thread(target=http.post, args=(f"{CTRL}/{what}",)) for what in ("stop", "start") * 3]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert open_one.receive()[0] == ABORT
        http.post(f"{CTRL}/start")
        assert echoes(seed)


def test_nothing_is_started_while_the_service_ends(seed: Seed) -> None:
    with service_on(seed) as http:
        http.post(f"{CTRL}/stop")
        seed.service.stop(0)
        answer = http.post(f"{CTRL}/start")
        assert (answer.status_code, answer.json()) == (500, {"errorMessage": "the service is about to end"})
        assert is_free(seed.archive_port)
