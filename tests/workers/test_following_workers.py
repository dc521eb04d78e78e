"""``serve --watch``, as a process: LDIF files and a real slapd followed, by one process and by several."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.fixtures.datasets import make_study
from tests.fixtures.ports import free_port
from tests.fixtures.scripted import Viewer
from tests.fixtures.scu import echoes, identifier, move, store
from tests.fixtures.service import CONNECTION, DEVICE, Seed
from tests.fixtures.slapd import BASE_DN, SlapdFactory
from tests.fixtures.workers import Served, until


def ldif(seed: Seed) -> tuple[str, ...]:
    return tuple(word for name in ("tree", "changes") for word in ("--ldif", str(seed.directory / f"{name}.ldif")))


@pytest.mark.parametrize("workers", [1, 2])
def test_edited_file_is_followed_by_every_process(seed: Seed, workers: int) -> None:
    with ExitStack() as running:
        served = Served(seed, running, workers=workers, source=(*ldif(seed), "--watch", "0.2")).await_ready()
        new = free_port()
        seed.set(CONNECTION, dicomPort=str(new))
        until(lambda: served.metric("dcm4py_configuration_changes_total") == 1)
        assert echoes(new)
        moved = f"changed: connection dicom of device dcm4chee-arc: dicomPort from {seed.archive_port} to {new}"
        until(lambda: moved in served.told())
        seed.set(DEVICE, dcmLimitOpenAssociations="many")
        until(lambda: served.state()["status"] == "DEGRADED")
        assert served.metric("dcm4py_configuration_degraded") == 1
        assert served.http.get("/health/ready").status_code == 200
        seed.set(DEVICE, dcmLimitOpenAssociations="7")
        until(lambda: served.state()["status"] == "UP")
        assert served.metric("dcm4py_configuration_changes_total") == 2
        assert served.told().count("a change in the directory is not taken over") == 1
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(60) == 0


@pytest.mark.peers
def test_directory_is_followed_by_several_workers(seed: Seed, slapd_factory: SlapdFactory) -> None:
    slapd = slapd_factory(content=[seed.directory / "tree.ldif"], syncprov=True)
    with ExitStack() as running:
        source = ("--ldap-url", f"{slapd.url}/{BASE_DN}", "--watch", "0.2")
        served = Served(seed, running, workers=2, source=source).await_ready()
        changed = slapd.ldapmodify(
            f"dn: {DEVICE}\nchangetype: modify\nreplace: dicomDescription\ndicomDescription: new\n"
        )
        assert changed.returncode == 0
        until(lambda: served.metric("dcm4py_configuration_changes_total") == 1)
        until(lambda: f"changed by {slapd.bind_dn}" in served.told())
        slapd.stop()
        until(lambda: served.metric("dcm4py_directory_reachable") == 0)
        assert served.metric("dcm4py_directory_failed_reads_total") >= 1
        assert served.told().count("the directory cannot be read") == 1
        slapd.start()
        until(lambda: served.state()["status"] == "UP")


def test_the_variable_of_the_environment_says_the_same(seed: Seed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCM4PY_WATCH", "0.2")
    with ExitStack() as running:
        served = Served(seed, running, workers=1).await_ready()
        seed.set(DEVICE, dicomDescription="new")
        until(lambda: served.metric("dcm4py_configuration_changes_total") == 1)


def test_without_watch_nothing_is_followed(seed: Seed) -> None:
    with ExitStack() as running:
        served = Served(seed, running, workers=1).await_ready()
        assert "dcm4py_directory_failed_reads_total" not in served.http.get("/metrics").text


def test_move_destination_is_followed_by_every_worker(
    seed: Seed, viewer: Callable[..., Viewer], tmp_path: Path
) -> None:
    with ExitStack() as running:
        served = Served(seed, running, workers=2, source=(*ldif(seed), "--watch", "0.2")).await_ready()
        study = "1.2.826.0.1.3680043.8.498.1302"
        store(seed.archive_port, make_study(tmp_path, patient_id="P", patient_name="N", study_uid=study))
        refused = [move(seed.archive_port, identifier("STUDY", StudyInstanceUID=study))[-1][0] for _ in range(4)]
        assert {status.Status for status in refused} == {0xA702}
        new = free_port()
        there = viewer(new)
        seed.set(f"cn=dicom,{DEVICE.replace('dcm4chee-arc', 'storescp')}", dicomPort=str(new))
        until(lambda: f"connection dicom of AE STORESCP: dicomPort from {seed.viewer_port} to {new}" in served.told())
        for _ in range(4):
            assert move(seed.archive_port, identifier("STUDY", StudyInstanceUID=study))[-1][0].Status == 0x0000
        assert there.received
