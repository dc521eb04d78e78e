"""Stop, start, associations and echo with several workers: as with one process."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.dcmtk import StoreScp
from tests.fixtures.ports import free_port
from tests.fixtures.raw_echo import ACCEPTED, DATA, ECHO, RawAssociation
from tests.fixtures.scu import echoes
from tests.fixtures.service import CONNECTION, Seed
from tests.fixtures.workers import Serve, Served, connect, kill, occupy, until, until_replaced

CTRL, MONITOR = "/dcm4chee-arc/ctrl", "/dcm4chee-arc/monitor/associations"
ABORT = 0x07


@pytest.fixture
def running() -> Iterator[ExitStack]:
    """Connections that are closed after the test."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def served(serve: Serve) -> Served:
    """Two workers."""
    service = serve(2)
    service.http.timeout = 120
    return service


def associations(served: Served) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = served.http.get(MONITOR).json()
    return told


def replace_all(served: Served) -> None:
    """Let each slot have another process."""
    before = served.pids()
    for pid in before:
        kill(pid)
    until_replaced(served, before)


def is_refused(port: int) -> bool:
    try:
        connect(port).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_stop_closes_the_port_of_every_worker_and_a_start_opens_it(
    seed: Seed, served: Served, running: ExitStack
) -> None:
    opened = occupy(seed, served, running)
    assert served.http.post(f"{CTRL}/stop").status_code == 204
    assert {association.receive()[0] for association in opened} == {ABORT}
    assert is_refused(seed.archive_port)
    assert served.http.get(f"{CTRL}/status").json() == {"status": "STOPPED"}
    assert served.http.get("/health/ready").status_code == 503
    assert served.state()["associations"] == 0
    assert served.metric("dcm4py_listening") == 0
    assert served.http.post(f"{CTRL}/start").status_code == 204
    occupy(seed, served, running)
    assert served.http.get("/health/ready").status_code == 200


def test_a_worker_that_begins_while_stopped_does_not_listen_before_the_start(
    seed: Seed, served: Served, running: ExitStack
) -> None:
    served.http.post(f"{CTRL}/stop")
    (victim, _) = served.pids()
    kill(victim)
    until_replaced(served, [victim])
    assert is_refused(seed.archive_port)
    served.http.post(f"{CTRL}/start")
    occupy(seed, served, running)


def test_a_reload_while_stopped_reaches_the_workers_and_starts_none(
    seed: Seed, served: Served, running: ExitStack
) -> None:
    served.http.post(f"{CTRL}/stop")
    old_port, seed.archive_port = seed.archive_port, free_port()
    seed.set(CONNECTION, dicomPort=str(seed.archive_port))
    assert served.http.post(f"{CTRL}/reload").status_code == 204
    assert is_refused(seed.archive_port)
    served.http.post(f"{CTRL}/start")
    occupy(seed, served, running)
    assert is_refused(old_port)


def test_a_start_without_its_port_starts_no_worker(seed: Seed, served: Served) -> None:
    served.http.post(f"{CTRL}/stop")
    with socket.create_server(("127.0.0.1", seed.archive_port)):
        answer = served.http.post(f"{CTRL}/start")
        assert answer.status_code == 500
        assert [problem["dn"] for problem in answer.json()["problems"]] == [CONNECTION]
    assert is_refused(seed.archive_port)
    assert served.http.post(f"{CTRL}/start").status_code == 204
    assert echoes(seed.archive_port)


def test_associations_of_all_workers_have_serial_numbers_of_their_own(
    seed: Seed, served: Served, running: ExitStack
) -> None:
    opened = occupy(seed, served, running)
    told = associations(served)
    assert len({association["serialNo"] for association in told}) == len(told) == len(opened)
    assert {association["pid"] for association in told} == set(served.pids())
    times = [association["connectTime"] for association in told]
    assert times == sorted(times)
    workers = served.http.get("/dcm4py-leading/workers").json()
    assert sum(worker["associations"] for worker in workers) == len(opened)


def test_an_abort_finds_the_worker_that_has_the_association(seed: Seed, served: Served, running: ExitStack) -> None:
    opened = occupy(seed, served, running)
    for association in associations(served):
        assert served.http.delete(f"{MONITOR}/{association['serialNo']}").status_code == 204
    assert {association.receive()[0] for association in opened} == {ABORT}
    until(lambda: associations(served) == [])
    assert served.http.delete(f"{MONITOR}/1").status_code == 404


def test_a_serial_number_is_not_given_again_by_the_next_process_of_a_slot(seed: Seed, served: Served) -> None:
    given: set[int] = set()
    for _ in range(2):
        with ExitStack() as opened:
            occupy(seed, served, opened)
            numbers = {association["serialNo"] for association in associations(served)}
        assert not numbers & given
        given |= numbers
        replace_all(served)


def test_questions_are_counted_in_the_worker_and_told_by_the_supervisor(seed: Seed, served: Served) -> None:
    with closing(RawAssociation(seed.archive_port)) as peer:
        assert peer.receive()[0] == ACCEPTED
        peer.socket.sendall(ECHO)
        assert peer.receive()[0] == DATA
        (association,) = associations(served)
        assert association["performedOps"] == {"C-ECHO": {"RQ": 1, "RSP": 1}}
        assert (association["initiated"], association["remoteAETitle"]) == (False, "RAWSCU")


@pytest.mark.peers
def test_a_worker_asks_for_the_echo(seed: Seed, served: Served, tmp_path: Path) -> None:
    path = "/dcm4chee-arc/aets/DCM4CHEE/dimse"
    assert served.http.post(f"{path}/STORESCP").json()["result"] == "2"
    with StoreScp(tmp_path / "scp", port=seed.viewer_port):
        assert served.http.post(f"{path}/STORESCP").json()["result"] == "0"
    unknown = served.http.post(f"{path}/NOBODY")
    assert (unknown.status_code, unknown.json()) == (404, {"errorMessage": "AE NOBODY is not in the directory"})


def test_a_service_that_is_stopped_ends_on_sigterm(served: Served) -> None:
    served.http.post(f"{CTRL}/stop")
    served.process.terminate()
    assert served.process.wait(60) == 0


def test_leading_archives_are_told_for_all_workers(seed: Seed, served: Served) -> None:
    seed.lead()
    served.http.post(f"{CTRL}/reload").raise_for_status()
    (archive,) = served.http.get("/dcm4py-leading/leading").json()["leadingArchives"]
    assert (archive["aeTitle"], archive["state"]) == ("QRSCP", "not-asked")
    assert [rule["cn"] for asker in archive["askedBy"] for rule in asker["rules"]] == ["Leading DCMQRSCP"]
    assert served.http.get("/dcm4py-leading/leading/history").json()["hours"] == 24
    assert served.http.get("/dcm4py-leading/leading/last-known").json()["count"] == 0
