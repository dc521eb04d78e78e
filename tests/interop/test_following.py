"""The service follows a real slapd: edited as administrators do, imported into, broken, killed, frozen.

Where looks are counted, each is made by the test, under a clock of its own; the service is real, and so is slapd.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from threading import Event

import pytest

from dcm4py_leading.app import Service
from dcm4py_leading.composition.site import Site, surviving
from dcm4py_leading.config.following.push import Push
from dcm4py_leading.config.following.watch import Follower, Pace
from dcm4py_leading.config.ldap.hints import LdapHints
from dcm4py_leading.config.ldap.session import Session
from dcm4py_leading.config.ldap.source import LdapSource
from dcm4py_leading.config.sources.hints import Listening
from tests.fixtures.ports import free_port
from tests.fixtures.scu import echoes
from tests.fixtures.service import AE, CONNECTION, DEVICE, Seed
from tests.fixtures.slapd import BASE_DN, OUR_LDIF, Slapd, SlapdFactory
from tests.fixtures.workers import until

pytestmark = pytest.mark.peers

RULE = f"cn=Leading DCMQRSCP,{DEVICE}"
LEAD = (OUR_LDIF / "leading-cfind-scp.ldif").read_text()


def modify(dn: str, *lines: str) -> str:
    return "\n".join([f"dn: {dn}", "changetype: modify", *lines, ""])


class Scene:
    """A slapd, a service on it, and a follower that looks when it is told to."""

    def __init__(self, slapd: Slapd, seed: Seed, running: ExitStack) -> None:
        self.slapd, self.seed = slapd, seed
        self.now = 0.0
        self.site = site(seed, slapd)
        self.service = Service(self.site)
        running.callback(self.service.stop, 0)
        self.hints = hints(slapd)
        self.follower = Follower(
            self.site.source,
            "dcm4chee-arc",
            self.service.configuration,
            Pace(),
            marks=self.hints,
            is_told=True,
            clock=lambda: self.now,
        )
        self.look()

    def look(self, times: int = 1) -> None:
        """So many looks, as far apart as the follower wants them."""
        for _ in range(times):
            self.now += self.follower.step()

    def edit(self, changes: str) -> None:
        done = self.slapd.ldapmodify(changes)
        assert done.returncode == 0, done.stderr

    @property
    def changes(self) -> int:
        return self.service.measure().configuration_changes

    @property
    def degraded(self) -> object:
        return self.service.state()["degraded"]


def site(seed: Seed, slapd: Slapd) -> Site:
    source = LdapSource([f"{slapd.url}/{BASE_DN}"], receive_timeout_seconds=1)
    return surviving(replace(seed.site, source=source))


def hints(slapd: Slapd) -> LdapHints:
    return LdapHints(LdapSource([f"{slapd.url}/{BASE_DN}"], receive_timeout_seconds=1))


@pytest.fixture
def running() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture(params=[True, False], ids=["syncprov", "plain"])
def slapd(request: pytest.FixtureRequest, slapd_factory: SlapdFactory, seed: Seed) -> Slapd:
    return slapd_factory(content=[seed.directory / "tree.ldif"], syncprov=request.param)


@pytest.fixture
def plain(slapd_factory: SlapdFactory, seed: Seed) -> Slapd:
    return slapd_factory(content=[seed.directory / "tree.ldif"])


@pytest.fixture
def scene(slapd: Slapd, seed: Seed, running: ExitStack) -> Scene:
    return Scene(slapd, seed, running)


def told(caplog: pytest.LogCaptureFixture, start: str) -> list[str]:
    messages = [record.getMessage() for record in caplog.records]
    return [message.removeprefix(start) for message in messages if message.startswith(start)]


# Edited.


def test_edits_attribute_by_attribute_are_one_change_and_told_with_who_and_when(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    scene.edit(modify(DEVICE, "replace: dicomDescription", "dicomDescription: one"))
    scene.look()
    scene.edit(modify(DEVICE, "replace: dicomDescription", "dicomDescription: two"))
    scene.look()
    scene.edit(modify(CONNECTION, "replace: dcmAARQTimeout", "dcmAARQTimeout: 7000"))
    scene.look()
    assert scene.changes == 0
    scene.look()
    assert scene.changes == 1
    assert told(caplog, "changed: ") == [
        "device dcm4chee-arc: dicomDescription from Long-term archive to two",
        "connection dicom of device dcm4chee-arc: dcmAARQTimeout from 60000 ms to 7000 ms",
    ]
    (author,) = told(caplog, f"changed by {scene.slapd.bind_dn}, last at 20")
    assert DEVICE in author and CONNECTION in author and AE not in author


def test_import_of_many_records_is_one_change(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for number in range(30):
        scene.edit(
            f"dn: cn=rule {number},{DEVICE}\nchangetype: add\nobjectClass: dcmArchiveAttributeCoercion\n"
            f"cn: rule {number}\ndcmDIMSE: C_STORE_RQ\ndicomTransferRole: SCP\ndcmNullifyTag: 00100010\n"
        )
        scene.look()
    assert scene.changes == 0
    scene.look(20)
    assert scene.changes == 1
    assert len(told(caplog, "changed: rule rule ")) == 30
    assert scene.degraded == []


def test_moved_port_is_served(scene: Scene) -> None:
    old, new = scene.seed.archive_port, free_port()
    scene.edit(modify(CONNECTION, "replace: dicomPort", f"dicomPort: {new}"))
    scene.look(2)
    assert echoes(new)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", old), timeout=5)


def test_renamed_rule_is_told_as_renamed(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.edit(LEAD)
    scene.look(2)
    caplog.set_level(logging.INFO)
    caplog.clear()
    scene.edit(f"dn: {RULE}\nchangetype: modrdn\nnewrdn: cn=Leading\ndeleteoldrdn: 1\n")
    scene.look(2)
    assert told(caplog, "changed: ") == [
        "rule Leading DCMQRSCP of device dcm4chee-arc: cn from Leading DCMQRSCP to Leading"
    ]


def test_entry_that_is_deleted_and_added_again_is_no_change(scene: Scene) -> None:
    scene.edit(LEAD)
    scene.look(2)
    assert scene.changes == 1
    scene.edit(f"dn: {RULE}\nchangetype: delete\n")
    scene.look()
    scene.edit(LEAD[LEAD.index(f"dn: {RULE}") :])
    scene.look(20)
    assert scene.changes == 1


def test_rule_that_goes_is_told(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.edit(LEAD)
    scene.look(2)
    caplog.set_level(logging.INFO)
    caplog.clear()
    scene.edit(f"dn: {RULE}\nchangetype: delete\n")
    scene.look(2)
    assert told(caplog, "changed: ") == ["rule Leading DCMQRSCP of device dcm4chee-arc: removed"]
    assert scene.changes == 2


def test_leading_archive_that_moves_is_a_change(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.edit(LEAD)
    scene.look(2)
    caplog.set_level(logging.INFO)
    caplog.clear()
    (found,) = scene.slapd.ldapsearch("dn", filter_="(&(objectClass=dicomNetworkAE)(dicomAETitle=QRSCP))")
    (leading,) = found["dn"]
    connection = f"cn=dicom,{leading.partition(',')[2]}"
    scene.edit(modify(connection, "replace: dicomPort", "dicomPort: 11999"))
    scene.look(2)
    (difference,) = told(caplog, "changed: ")
    assert difference == f"connection dicom of AE QRSCP: dicomPort from {scene.seed.leading_port} to 11999"
    assert scene.changes == 2


def test_change_of_an_ignored_attribute_has_no_effect(scene: Scene) -> None:
    fingerprint = scene.service.measure().fingerprint
    scene.edit(modify(DEVICE, "add: dicomManufacturer", "dicomManufacturer: we"))
    scene.look(20)
    assert (scene.changes, scene.service.measure().fingerprint) == (0, fingerprint)


def test_transfer_capabilities_count_too(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    scene.edit(
        f"dn: cn=Worklist SCP,{AE}\nchangetype: add\nobjectClass: dicomTransferCapability\ncn: Worklist SCP\n"
        "dicomSOPClass: 1.2.840.10008.5.1.4.31\ndicomTransferRole: SCP\ndicomTransferSyntax: 1.2.840.10008.1.2\n"
    )
    scene.look(2)
    assert told(caplog, "changed: ") == ["transfer capabilities Worklist SCP of AE DCM4CHEE: added"]


def test_reload_by_hand_tells_what_differs_and_leaves_nothing_to_follow(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    scene.edit(modify(DEVICE, "replace: dicomDescription", "dicomDescription: new"))
    scene.look()
    scene.service.reload()
    assert told(caplog, "changed: ") == ["device dcm4chee-arc: dicomDescription from Long-term archive to new"]
    scene.look(20)
    assert scene.changes == 1


# Broken.


def test_broken_tree_is_told_once_and_well_again_when_it_is_mended(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    before = scene.service.measure().fingerprint
    scene.edit(modify(DEVICE, "replace: dcmAECacheStaleTimeout", "dcmAECacheStaleTimeout: rubbish"))
    scene.look(30)
    assert len(told(caplog, "a change in the directory is not taken over: ")) == 1
    assert "dcmAECacheStaleTimeout: rubbish" in caplog.text
    measured = scene.service.measure()
    assert (measured.fingerprint, measured.is_degraded, measured.is_last_reload_good) == (before, True, False)
    assert scene.degraded == ["the last attempt to take another configuration failed"]
    assert scene.service.is_ready()
    scene.edit(modify(DEVICE, "replace: dcmAECacheStaleTimeout", "dcmAECacheStaleTimeout: PT1M"))
    scene.look(2)
    assert (scene.degraded, scene.changes) == ([], 1)


def test_new_fault_is_logged_again_and_the_same_one_is_not(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.edit(modify(DEVICE, "replace: dcmAECacheStaleTimeout", "dcmAECacheStaleTimeout: rubbish"))
    scene.look(2)
    scene.edit(modify(DEVICE, "replace: dicomDescription", "dicomDescription: still broken"))
    scene.look(2)
    assert len(told(caplog, "a change in the directory is not taken over: ")) == 1
    scene.edit(modify(DEVICE, "replace: dcmAECacheStaleTimeout", "dcmAECacheStaleTimeout: nonsense"))
    scene.look(2)
    assert len(told(caplog, "a change in the directory is not taken over: ")) == 2


def test_broken_tree_that_is_put_back_leaves_the_configuration_as_it_was(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    scene.edit(modify(AE, "replace: dcmOverwritePolicy", "dcmOverwritePolicy: SOMETIMES"))
    scene.look(2)
    assert scene.degraded
    scene.edit(modify(AE, "delete: dcmOverwritePolicy"))
    scene.look(2)
    assert (scene.degraded, scene.changes) == ([], 0)
    assert told(caplog, "the directory holds the configuration in force again") == [""]


def test_port_that_is_taken_is_tried_again_until_it_is_free(scene: Scene) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        scene.edit(modify(CONNECTION, "replace: dicomPort", f"dicomPort: {port}"))
        scene.look(2)
        assert scene.degraded and echoes(scene.seed.archive_port)
    scene.look(Pace().looks_until_thorough)
    assert (scene.degraded, scene.changes) == ([], 1)
    assert echoes(port)


# Out.


def test_killed_directory_changes_nothing_but_health_and_is_followed_again(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    scene.slapd.stop()
    scene.look(5)
    assert scene.follower.followed.failed_reads == 5
    assert len(told(caplog, "the directory cannot be read: ")) == 1
    assert scene.degraded
    assert scene.changes == 0 and echoes(scene.seed.archive_port)
    scene.slapd.start()
    scene.edit(modify(DEVICE, "replace: dicomDescription", "dicomDescription: new"))
    scene.look(3)
    assert (scene.degraded, scene.changes) == ([], 1)


def test_frozen_directory_changes_nothing_but_health(plain: Slapd, seed: Seed, running: ExitStack) -> None:
    scene = Scene(plain, seed, running)
    with plain.frozen():
        scene.look()
        assert scene.follower.followed.failed_reads == 1
        assert scene.degraded and scene.changes == 0
    scene.look()
    assert (scene.degraded, scene.changes) == ([], 0)


# Hints.


def test_mark_moves_with_every_kind_of_write_and_only_then(slapd_factory: SlapdFactory, seed: Seed) -> None:
    server = slapd_factory(content=[seed.directory / "tree.ldif"], syncprov=True)
    given = hints(server)

    def mark() -> str | None:
        return given.mark(["dcm4chee-arc"], ["QRSCP"])

    marks = [mark()]
    for change in (
        modify(DEVICE, "replace: dicomDescription", "dicomDescription: new"),
        LEAD,
        f"dn: {RULE}\nchangetype: modrdn\nnewrdn: cn=Leading\ndeleteoldrdn: 1\n",
        f"dn: cn=Leading,{DEVICE}\nchangetype: delete\n",
    ):
        assert mark() == marks[-1]
        assert server.ldapmodify(change).returncode == 0
        marks.append(mark())
    assert None not in marks and len(set(marks)) == len(marks)


def test_mark_without_csn_moves_with_all_but_capabilities_that_are_merely_deleted(plain: Slapd) -> None:
    clock = [time.time()]
    source = LdapSource([f"{plain.url}/{BASE_DN}"])
    given = LdapHints(source, now=lambda: clock[0])
    capability = f"cn=Worklist SCP,{AE}"
    add = (
        f"dn: {capability}\nchangetype: add\nobjectClass: dicomTransferCapability\ncn: Worklist SCP\n"
        "dicomSOPClass: 1.2.840.10008.5.1.4.31\ndicomTransferRole: SCP\ndicomTransferSyntax: 1.2.840.10008.1.2\n"
    )

    def mark() -> str | None:
        return given.mark(["dcm4chee-arc"], ["QRSCP"])

    marks = [mark()]
    for change in (LEAD, f"dn: {RULE}\nchangetype: delete\n", add):
        assert mark() == marks[-1]
        assert plain.ldapmodify(change).returncode == 0
        marks.append(mark())
    assert None not in marks and len({marks[0], marks[1], marks[3]}) == 3
    assert marks[2] != marks[1]
    clock[0] += 3600
    later = mark()
    assert plain.ldapmodify(f"dn: {capability}\nchangetype: delete\n").returncode == 0
    assert mark() == later


def test_directory_that_tells_of_changes_is_heard(slapd_factory: SlapdFactory, seed: Seed) -> None:
    server = slapd_factory(content=[seed.directory / "tree.ldif"], syncprov=True)
    heard = Event()
    push = Push(hints(server), "dcm4chee-arc", heard.set)
    push.start()
    assert push.is_listening.wait(60)
    for change in (
        modify(AE, "replace: dicomDescription", "dicomDescription: new"),
        LEAD,
        f"dn: {RULE}\nchangetype: delete\n",
    ):
        # Nothing else comes once the server has told what was there, which one change shows.
        assert server.ldapmodify(modify(DEVICE, "replace: dicomDescription", "dicomDescription: x")).returncode == 0
        assert heard.wait(60)
        heard.clear()
        assert server.ldapmodify(change).returncode == 0
        assert heard.wait(60)
    push.stop()


def test_end_of_the_connection_wakes_too(slapd_factory: SlapdFactory, seed: Seed) -> None:
    server = slapd_factory(content=[seed.directory / "tree.ldif"], syncprov=True)
    woken = Event()
    push = Push(hints(server), "dcm4chee-arc", woken.set)
    push.start()
    assert push.is_listening.wait(60)
    server.stop()
    until(lambda: not push.is_listening.is_set())
    assert woken.wait(60)
    push.stop()


def test_directory_that_does_not_tell_says_so(plain: Slapd) -> None:
    opened: list[Session] = []
    assert hints(plain).listen("dcm4chee-arc", lambda: None, opened.append) is Listening.NOT_OFFERED
    assert len(opened) == 1


# On its own.


def test_service_follows_by_itself(slapd: Slapd, seed: Seed, running: ExitStack) -> None:
    service = Service(site(seed, slapd), pace=Pace.every(0.1))
    running.callback(service.stop, 0)
    new = free_port()
    assert slapd.ldapmodify(modify(CONNECTION, "replace: dicomPort", f"dicomPort: {new}")).returncode == 0
    until(lambda: service.measure().configuration_changes == 1)
    assert echoes(new)


def test_pushed_change_need_not_wait_for_the_next_look(
    slapd_factory: SlapdFactory, seed: Seed, running: ExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server = slapd_factory(content=[seed.directory / "tree.ldif"], syncprov=True)
    service = Service(site(seed, server), pace=Pace(interval_seconds=3600, quiet_seconds=0.1))
    running.callback(service.stop, 0)
    until(lambda: "the directory server reports changes" in caplog.text)
    assert server.ldapmodify(modify(DEVICE, "replace: dicomDescription", "dicomDescription: new")).returncode == 0
    until(lambda: service.measure().configuration_changes == 1)
