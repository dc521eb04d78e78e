"""How many workers there are where nobody says it: by cores, quota and memory."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from dcm4py_leading.workers.number import MOST_BY_DEFAULT, default_workers
from tests.fixtures.service import Seed
from tests.fixtures.workers import Served

MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def _eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))


class Groups:
    """Files of control groups, as the kernel shows them."""

    def __init__(self, folder: Path, own: str) -> None:
        self.folder = folder / "cgroup"
        self.own = folder / "own"
        self.own.write_text(own)

    def write(self, file: str, content: str) -> None:
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n")

    def workers(self) -> int:
        return default_workers(groups=self.folder, own_groups=self.own)


@pytest.fixture
def unified(tmp_path: Path) -> Groups:
    """Version 2, in which this process is one of a unit."""
    return Groups(tmp_path, "0::/system.slice/dcm4py-leading.service\n")


@pytest.fixture
def separate(tmp_path: Path) -> Groups:
    """Version 1, in which each controller has a tree of its own."""
    return Groups(tmp_path, "5:memory:/pod\n4:cpu,cpuacct:/pod\n1:name=systemd:/elsewhere\n0::/\n")


def test_there_is_one_for_each_core_but_not_more_than_four(unified: Groups, monkeypatch: pytest.MonkeyPatch) -> None:
    assert unified.workers() == MOST_BY_DEFAULT == 4
    for cores in (1, 2, 3):
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid, cores=cores: set(range(cores)))
        assert unified.workers() == cores


@pytest.mark.parametrize(("quota", "expected"), [("50000", 1), ("150000", 2), ("300000", 3), ("max", 4), ("900000", 4)])
def test_quota_of_cores_is_kept(unified: Groups, quota: str, expected: int) -> None:
    unified.write("system.slice/dcm4py-leading.service/cpu.max", f"{quota} 100000")
    assert unified.workers() == expected


def test_quota_of_a_slice_or_of_the_container_is_kept(unified: Groups) -> None:
    unified.write("system.slice/cpu.max", "300000 100000")
    assert unified.workers() == 3
    unified.write("cpu.max", "200000 100000")
    assert unified.workers() == 2


@pytest.mark.parametrize(("limit", "expected"), [(200, 1), (400, 1), (512, 2), (650, 3), (800, 4), (10_000, 4)])
def test_workers_and_their_supervisor_fit_into_the_memory(unified: Groups, limit: int, expected: int) -> None:
    unified.write("system.slice/dcm4py-leading.service/memory.max", str(limit * MIB))
    assert unified.workers() == expected


def test_memory_without_a_limit_is_that_of_the_machine(unified: Groups, monkeypatch: pytest.MonkeyPatch) -> None:
    unified.write("memory.max", "max")
    assert unified.workers() == 4
    pages = {"SC_PHYS_PAGES": 512 * 256, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(os, "sysconf", pages.__getitem__)
    assert unified.workers() == 2


def test_limits_of_version_1_are_kept(separate: Groups) -> None:
    separate.write("cpu/pod/cpu.cfs_period_us", "100000")
    separate.write("cpu/pod/cpu.cfs_quota_us", "-1")
    separate.write("memory/pod/memory.limit_in_bytes", "9223372036854771712")
    assert separate.workers() == 4
    separate.write("cpu/pod/cpu.cfs_quota_us", "300000")
    assert separate.workers() == 3
    separate.write("memory/memory.limit_in_bytes", str(512 * MIB))  # in a container, whose own folder is the root
    assert separate.workers() == 2


def test_without_control_groups_the_cores_decide(tmp_path: Path) -> None:
    assert default_workers(groups=tmp_path / "none", own_groups=tmp_path / "nothing") == 4


def test_service_has_so_many_by_default_and_tells_it(seed: Seed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    expected = default_workers()
    with ExitStack() as running:
        served = Served(seed, running, workers=None).await_ready()
        told = served.told()
        workers = served.http.get("/dcm4py-leading/workers").json()
    assert len(workers) == expected
    lead = "one process does everything" if expected == 1 else f"{expected} workers take associations"
    assert lead in told and "108 MiB of memory" in told


def test_one_worker_is_the_service_in_one_process(seed: Seed) -> None:
    with ExitStack() as running:
        served = Served(seed, running, workers=1).await_ready()
        (worker,) = served.http.get("/dcm4py-leading/workers").json()
        assert worker["pid"] == served.process.pid
        assert "one process does everything" in served.told()
