"""``serve --watch``, as a process: LDIF files and a real slapd followed, by one process and by several."""

from __future__ import annotations

import signal
from contextlib import ExitStack

import pytest

from tests.fixtures.ports import free_port
from tests.fixtures.scu import VERIFICATION, associated
from tests.fixtures.service import CONNECTION, DEVICE, Seed
from tests.fixtures.slapd import BASE_DN, SlapdFactory
from tests.fixtures.workers import Served, until


def echoes(port: int) -> bool:
    with associated(port, [VERIFICATION]) as assoc:
        return bool(assoc.is_established and assoc.send_c_echo().Status == 0x0000)


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
        assert served.told().count("a change in the directory is not taken") == 1
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(40) == 0


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
