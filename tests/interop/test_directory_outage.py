"""The service through the outages of a real slapd: killed, frozen, broken, gone at start and back later."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pydicom import Dataset

from dcm4py_leading.__main__ import main
from dcm4py_leading.app import Service
from dcm4py_leading.composition.site import Site, surviving
from dcm4py_leading.config.following.fallback_source import FallbackSource
from dcm4py_leading.config.following.heartbeat import Heartbeat, Pauses
from dcm4py_leading.config.following.last_good import FOLDER
from dcm4py_leading.config.ldap.source import LdapSource
from dcm4py_leading.config.sources.directory_state import DirectoryState
from dcm4py_leading.errors import ConfigInvalid, ConfigUnavailable
from dcm4py_leading.leading.last_known import FILE_NAME as LAST_KNOWN
from tests.fixtures.datasets import make_study
from tests.fixtures.scripted import LeadingScp, Viewer, knows
from tests.fixtures.scu import echoes, identifier, move, store
from tests.fixtures.service import AE, CONNECTION, DEVICE, Seed
from tests.fixtures.slapd import BASE_DN, OUR_LDIF, Slapd, SlapdFactory
from tests.fixtures.workers import Served, until

pytestmark = pytest.mark.peers

STUDY = "1.2.826.0.1.3680043.8.498.81"
PAUSES = Pauses(well=0.1, first=0.01, longest=0.05)
BREAK = f"dn: {CONNECTION}\nchangetype: delete\n"


@pytest.fixture
def slapd(slapd_factory: SlapdFactory, seed: Seed) -> Slapd:
    return slapd_factory(content=[seed.directory / "tree.ldif"])


@pytest.fixture
def running() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def site(seed: Seed, *servers: Slapd, **options: Any) -> Site:
    urls = [f"{server.url}/{BASE_DN}" for server in servers]
    return surviving(replace(seed.site, source=LdapSource(urls, receive_timeout_seconds=1, **options)))


def run_once(seed: Seed, *servers: Slapd) -> None:
    """Start and stop a service while the directory is well."""
    Service(site(seed, *servers)).stop(0)


def start(running: ExitStack, where: Site) -> Service:
    service = Service(where)
    running.callback(service.stop, 0)
    return service


def beating(where: Site, service: Service) -> Heartbeat:
    assert isinstance(where.source, FallbackSource)
    return Heartbeat(where.source, where.device_name, service.reload, pauses=PAUSES)


def directory_of(service: Service) -> DirectoryState:
    directory = service.measure().directory
    assert directory is not None
    return directory


def is_last_good(service: Service) -> bool:
    return directory_of(service).is_last_good


# At start.


def stopped(slapd: Slapd) -> None:
    slapd.stop()


def frozen(slapd: Slapd) -> None:
    slapd.freeze()


@pytest.mark.parametrize("take_away", [stopped, frozen])
def test_service_starts_with_the_last_good_configuration_and_says_so(
    seed: Seed, slapd: Slapd, running: ExitStack, take_away: Callable[[Slapd], None], caplog: pytest.LogCaptureFixture
) -> None:
    run_once(seed, slapd)
    take_away(slapd)
    service = start(running, site(seed, slapd))
    assert echoes(seed.archive_port)
    assert "THE DIRECTORY IS DOWN" in caplog.text and f":{slapd.port}/" in caplog.text
    state = service.state()
    assert state["directory"]["isLastGood"] and not state["directory"]["isReachable"]  # type: ignore[index]
    assert len(state["degraded"]) == 2  # type: ignore[arg-type]


def test_last_good_configuration_is_the_same_as_the_directorys(seed: Seed, slapd: Slapd, running: ExitStack) -> None:
    first = Service(site(seed, slapd))
    fingerprint = first.measure().fingerprint
    first.stop(0)
    slapd.stop()
    assert start(running, site(seed, slapd)).measure().fingerprint == fingerprint


def test_first_start_needs_the_directory(seed: Seed, slapd: Slapd) -> None:
    slapd.stop()
    with pytest.raises(ConfigUnavailable, match=str(slapd.port)):
        Service(site(seed, slapd))


def test_start_on_a_broken_tree_is_refused_whatever_is_kept(seed: Seed, slapd: Slapd) -> None:
    run_once(seed, slapd)
    assert slapd.ldapmodify(BREAK).returncode == 0
    with pytest.raises(ConfigInvalid):
        Service(site(seed, slapd))


def test_broken_tree_changes_nothing_while_running_and_is_never_kept(
    seed: Seed, slapd: Slapd, running: ExitStack
) -> None:
    service = Service(site(seed, slapd))
    fingerprint = service.measure().fingerprint
    assert slapd.ldapmodify(BREAK).returncode == 0
    with pytest.raises(ConfigInvalid):
        service.reload()
    assert echoes(seed.archive_port)
    service.stop(0)
    slapd.stop()
    assert start(running, site(seed, slapd)).measure().fingerprint == fingerprint


def test_copy_of_another_directory_or_device_is_not_used(seed: Seed, slapd: Slapd, slapd_factory: SlapdFactory) -> None:
    run_once(seed, slapd)
    other = slapd_factory(content=[seed.directory / "tree.ldif"])
    slapd.stop()
    other.stop()
    with pytest.raises(ConfigUnavailable):
        Service(site(seed, other))
    with pytest.raises(ConfigUnavailable):
        Service(replace(site(seed, slapd), device_name="other"))


def test_second_server_is_taken_before_the_last_good_configuration(
    seed: Seed, slapd: Slapd, slapd_factory: SlapdFactory, running: ExitStack
) -> None:
    second = slapd_factory(content=[seed.directory / "tree.ldif"])
    run_once(seed, slapd, second)
    slapd.freeze()
    service = start(running, site(seed, slapd, second))
    assert not is_last_good(service)
    assert service.state()["degraded"] == []


def test_no_secret_is_on_the_disk(seed: Seed, slapd: Slapd) -> None:
    change = f"dn: {DEVICE}\nchangetype: modify\nreplace: dcmKeyStorePin\ndcmKeyStorePin: s3cret-pin\n"
    assert slapd.ldapmodify(change).returncode == 0
    Service(site(seed, slapd, bind_dn=slapd.bind_dn, password=slapd.password)).stop(0)
    files = [path for path in (seed.data_dir / FOLDER).rglob("*") if path.is_file()]
    assert [path.name for path in files] == ["device.ldif"]
    for path in files:
        assert "s3cret-pin" not in path.read_text() and slapd.password not in path.read_text()


@pytest.mark.parametrize("obstacle", ["last-good-configuration", "last-good-configuration/device.ldif"])
def test_service_goes_on_where_nothing_can_be_kept(
    seed: Seed, slapd: Slapd, running: ExitStack, obstacle: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = seed.data_dir / obstacle
    path.parent.mkdir(exist_ok=True)
    if path.suffix:
        path.mkdir()
    else:
        path.touch()
    start(running, site(seed, slapd))
    assert echoes(seed.archive_port)
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1 and str(path) in errors[0]


# Back again.


def test_directory_that_is_back_is_taken_with_what_has_changed(seed: Seed, slapd: Slapd, running: ExitStack) -> None:
    run_once(seed, slapd)
    change = f"dn: {AE}\nchangetype: modify\nreplace: dicomDescription\ndicomDescription: changed meanwhile\n"
    assert slapd.ldapmodify(change).returncode == 0
    slapd.stop()
    where = site(seed, slapd)
    service = start(running, where)
    before = service.measure().fingerprint
    with beating(where, service):
        slapd.start()
        until(lambda: not is_last_good(service))
    assert service.measure().fingerprint != before
    assert service.state()["degraded"] == []
    assert echoes(seed.archive_port)


def test_directory_that_comes_back_broken_is_refused_once_and_taken_when_it_is_mended(
    seed: Seed, slapd: Slapd, running: ExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    run_once(seed, slapd)
    connection = slapd.entry(CONNECTION)
    assert slapd.ldapmodify(BREAK).returncode == 0
    slapd.stop()
    where = site(seed, slapd)
    service = start(running, where)

    with beating(where, service):
        slapd.start()
        until(lambda: service.state()["lastFailedReload"] is not None)
        for _ in range(3):
            then = directory_of(service).asked_at
            until(lambda: directory_of(service).asked_at != then)  # noqa: B023
        assert is_last_good(service) and echoes(seed.archive_port)
        mend = "".join(f"{name}: {value}\n" for name, values in connection.items() for value in values)
        assert slapd.ldapadd(mend).returncode == 0
        until(lambda: not is_last_good(service))
    assert caplog.text.count("reload failed") == 1


# While running.


def test_outage_while_running_changes_nothing_but_health(seed: Seed, slapd: Slapd, running: ExitStack) -> None:
    where = site(seed, slapd)
    service = start(running, where)
    before = service.measure()
    with beating(where, service):
        slapd.stop()
        until(lambda: not directory_of(service).is_reachable)
        assert any(f":{slapd.port}/" in reason for reason in service.state()["degraded"])  # type: ignore[attr-defined]
        assert echoes(seed.archive_port)
        read_at = directory_of(service).last_read_at
        slapd.start()
        until(lambda: directory_of(service).is_reachable)
    assert read_at is not None and directory_of(service).last_read_at > read_at  # type: ignore[operator]
    assert service.state()["degraded"] == []
    assert service.measure().loaded_at == before.loaded_at


def test_reload_in_an_outage_fails_and_changes_nothing(seed: Seed, slapd: Slapd, running: ExitStack) -> None:
    service = start(running, site(seed, slapd))
    before = service.measure()
    slapd.stop()
    with pytest.raises(ConfigUnavailable):
        service.reload()
    assert service.measure().loaded_at == before.loaded_at
    assert not is_last_good(service) and echoes(seed.archive_port)
    slapd.start()
    service.reload()
    assert service.state()["degraded"] == []


def test_move_destination_that_was_used_once_is_known_through_outage_and_restart(
    seed: Seed, slapd: Slapd, running: ExitStack, tmp_path: Path
) -> None:
    viewer = Viewer(seed.viewer_port)
    running.callback(viewer.stop)
    query = identifier("STUDY", StudyInstanceUID=STUDY)
    files = make_study(tmp_path / "s", patient_id="P", patient_name="A^B", study_uid=STUDY, instances=1)
    service = Service(site(seed, slapd))
    store(seed.archive_port, files)
    assert move(seed.archive_port, query)[-1][0].Status == 0x0000
    slapd.stop()
    with pytest.raises(ConfigUnavailable):
        service.reload()
    assert move(seed.archive_port, query)[-1][0].Status == 0x0000
    service.stop(0)

    start(running, site(seed, slapd))
    assert move(seed.archive_port, query)[-1][0].Status == 0x0000
    assert len(viewer.received) == 3


def test_leading_archive_is_asked_after_a_start_without_directory(
    seed: Seed, slapd: Slapd, running: ExitStack, tmp_path: Path
) -> None:
    right = Dataset()
    right.StudyInstanceUID, right.StudyDescription = STUDY, "Right description"
    leading, viewer = LeadingScp(seed.leading_port, knows(right)), Viewer(seed.viewer_port)
    running.callback(leading.stop)
    running.callback(viewer.stop)
    change = (OUR_LDIF / "leading-cfind-scp.ldif").read_text()
    assert slapd.ldapmodify(change).returncode == 0
    files = make_study(tmp_path / "s", patient_id="P", patient_name="A^B", study_uid=STUDY, instances=1)
    first = Service(site(seed, slapd))
    store(seed.archive_port, files)
    assert move(seed.archive_port, identifier("STUDY", StudyInstanceUID=STUDY))[-1][0].Status == 0x0000
    first.stop(0)
    slapd.stop()
    (seed.data_dir / LAST_KNOWN).unlink()

    start(running, site(seed, slapd))
    assert move(seed.archive_port, identifier("STUDY", StudyInstanceUID=STUDY))[-1][0].Status == 0x0000
    assert [received.StudyDescription for received in viewer.received] == ["Right description"] * 2
    assert len(leading.queries) == 2


# As a process, with and without workers.


@pytest.mark.parametrize("workers", [1, 2])
def test_served_by_processes(seed: Seed, slapd: Slapd, running: ExitStack, workers: int, tmp_path: Path) -> None:
    viewer = Viewer(seed.viewer_port)
    running.callback(viewer.stop)
    query = identifier("STUDY", StudyInstanceUID=STUDY)
    files = make_study(tmp_path / "s", patient_id="P", patient_name="A^B", study_uid=STUDY, instances=1)
    first = Service(site(seed, slapd))
    store(seed.archive_port, files)
    assert move(seed.archive_port, query)[-1][0].Status == 0x0000
    first.stop(0)

    slapd.stop()
    source = ("--ldap-url", f"{slapd.url}/{BASE_DN}")
    served = Served(seed, running, workers=workers, source=source).await_ready()
    assert "THE DIRECTORY IS DOWN" in served.told()
    assert served.state()["status"] == "DEGRADED"
    assert served.metric("dcm4py_configuration_last_good") == 1
    assert served.metric("dcm4py_directory_reachable") == 0
    assert move(seed.archive_port, query)[-1][0].Status == 0x0000

    slapd.start()
    until(lambda: served.state()["status"] == "UP")
    assert served.metric("dcm4py_configuration_last_good") == 0
    assert served.metric("dcm4py_directory_reachable") == 1
    assert echoes(seed.archive_port)


def test_exit_codes_of_a_start_without_directory(seed: Seed, slapd: Slapd) -> None:
    run_once(seed, slapd)
    command = [
        "serve",
        "--ldap-url",
        f"{slapd.url}/{BASE_DN}",
        "--data-dir",
        str(seed.data_dir),
        "--http",
        "127.0.0.1:0",
    ]
    assert slapd.ldapmodify(BREAK).returncode == 0
    assert CliRunner().invoke(main, command).exit_code == 1
    slapd.stop()
    other = CliRunner().invoke(main, [*command, "--device", "other"])
    assert other.exit_code == 3
    assert f":{slapd.port}/" in other.stderr
