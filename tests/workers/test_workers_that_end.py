"""``serve --workers N``, with real processes: what a worker costs that crashes or hangs, and how all of them end."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.fixtures.scu import echoes
from tests.fixtures.service import Seed
from tests.fixtures.workers import Serve, Served, is_alive, kill, occupy, until

STUDY = "1.2.826.0.1.3680043.8.498.71"


@pytest.fixture
def running() -> Iterator[ExitStack]:
    """Connections that are closed after the test."""
    with ExitStack() as stack:
        yield stack


def test_a_killed_worker_costs_its_own_associations_only_and_is_replaced(
    seed: Seed, serve: Serve, running: ExitStack
) -> None:
    served = serve(2)
    occupy(seed, served, running)
    victim, other = served.state()["workers"]
    kill(victim["pid"])
    until(lambda: served.metric("dcm4py_worker_restarts_total") == 1 and served.metric("dcm4py_workers") == 2)
    assert served.state()["associations"] == other["associations"]
    assert served.http.get("/health/ready").status_code == 200
    assert f"ERROR assoc=- dcm4py_leading.workers.process: worker 0 ended: {signal.SIGKILL.name}" in (
        served.told().replace("signal ", "")
    )
    assert echoes(seed.archive_port)


def test_a_worker_that_hangs_is_left_out_of_the_metrics(seed: Seed, serve: Serve) -> None:
    served = serve(2)
    victim, _ = served.pids()

    os.kill(victim, signal.SIGSTOP)
    try:
        assert served.metric("dcm4py_workers") == 1
    finally:
        os.kill(victim, signal.SIGCONT)
    until(lambda: served.metric("dcm4py_workers") == 2)
    assert f"no answer from the worker with process id {victim}" in served.told()


def test_a_worker_that_hangs_blocks_no_reload_and_no_end(seed: Seed, serve: Serve) -> None:
    served = serve(2, drain=0)
    victim, _ = served.pids()
    os.kill(victim, signal.SIGSTOP)
    refused = served.http.post("/dcm4chee-arc/ctrl/reload", timeout=100)
    assert refused.status_code == 409
    assert "not every worker can take the configuration" in refused.text
    until(lambda: victim not in served.pids() and served.metric("dcm4py_workers") == 2)
    assert served.http.post("/dcm4chee-arc/ctrl/reload", timeout=100).status_code == 204

    os.kill(served.pids()[0], signal.SIGSTOP)
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(100) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_end_of_the_supervisor_is_that_of_the_workers(
    seed: Seed, serve: Serve, running: ExitStack, number: signal.Signals
) -> None:
    served = serve(2)
    occupy(seed, served, running)
    pids = served.pids()
    served.process.send_signal(number)
    assert served.process.wait(60) == (0 if number is signal.SIGTERM else -number)
    if number is signal.SIGTERM:
        assert not any(map(is_alive, pids))
        told = served.told()
        assert 0 < told.index("stopping: requests under way get up to 5 s to end (--drain)") < told.index(": stopped\n")
        for pid in pids:
            assert f" listening on 127.0.0.1:{seed.archive_port}, worker with process id {pid}\n" in told
            assert f"no longer listening on 127.0.0.1:{seed.archive_port}, worker with process id {pid}\n" in told
    until(lambda: not any(map(is_alive, pids)))


def test_ctrl_c_while_the_workers_start_is_an_orderly_stop(seed: Seed, running: ExitStack) -> None:
    served = Served(seed, running, workers=2)
    pid = served.process.pid

    def children() -> list[int]:
        found = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children")]
        return [int(child) for some in found for child in some]

    until(lambda: len(children()) == 2)
    for one in (*children(), pid):  # as a terminal does
        os.kill(one, signal.SIGINT)
    assert served.process.wait(60) == 0
    assert served.told().endswith(": stopped\n")
    for trouble in ("Aborted", "WARNING", "ERROR"):
        assert trouble not in served.told()
