"""LDIF files are followed as a directory is; each look is made by the test, under a clock of its own."""

from __future__ import annotations

import logging
from contextlib import ExitStack

import pytest

from dcm4py_leading.app import Service
from dcm4py_leading.config.following.watch import Follower, Pace
from dcm4py_leading.model.values import AETitle
from tests.fixtures.ports import free_port
from tests.fixtures.service import AE, DEVICE, Seed
from tests.fixtures.workers import until


class Scene:
    def __init__(self, seed: Seed) -> None:
        self.now = 0.0
        self.service: Service = seed.start()
        configuration, source = self.service.configuration, seed.site.source
        self.follower = Follower(
            source,
            "dcm4chee-arc",
            configuration,
            Pace(),
            clock=lambda: self.now,
            looked_up=configuration._looked_up,
            renew=configuration._renew,
        )

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            self.now += self.follower.step()

    @property
    def changes(self) -> int:
        return self.service.measure().configuration_changes

    @property
    def degraded(self) -> object:
        return self.service.state()["degraded"]


def told(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= level]


def test_edited_file_is_a_change(seed: Seed, caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene(seed)
    scene.look(3)
    caplog.set_level(logging.INFO)
    caplog.clear()
    seed.set(AE, dcmOverwritePolicy="ALWAYS")
    scene.look(2)
    assert "changed: AE DCM4CHEE of device dcm4chee-arc: dcmOverwritePolicy from SAME_SOURCE to ALWAYS" in caplog.text
    scene.look(20)
    assert (scene.changes, scene.degraded) == (1, [])


def test_file_that_is_no_ldif_is_told_once_and_the_configuration_stays(
    seed: Seed, caplog: pytest.LogCaptureFixture
) -> None:
    scene = Scene(seed)
    changes = seed.directory / "changes.ldif"
    changes.write_text(f"version: 1\n\ndn: {DEVICE}\nnonsense\n")
    scene.look(30)
    assert (scene.changes, scene.degraded) == (0, ["the last attempt to take another configuration failed"])
    assert len(told(caplog, logging.ERROR)) == 2  # what is wrong, and what stays
    changes.write_text("version: 1\n")
    scene.look(2)
    assert (scene.changes, scene.degraded) == (0, [])


def test_file_that_is_gone_is_told_once_and_counted(seed: Seed, caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene(seed)
    changes = seed.directory / "changes.ldif"
    changes.unlink()
    scene.look(5)
    assert len(told(caplog, logging.WARNING)) == 1
    assert (scene.follower.followed.is_reachable, scene.follower.followed.failed_reads) == (False, 5)
    changes.write_text("version: 1\n")
    scene.look()
    assert scene.follower.followed.is_reachable
    assert (scene.changes, scene.degraded) == (0, [])


def test_service_that_cannot_read_what_it_follows_is_degraded(seed: Seed) -> None:
    with ExitStack() as running:
        service = Service(seed.site, pace=Pace.every(0.05))
        running.callback(service.stop, 0)
        changes = seed.directory / "changes.ldif"
        changes.unlink()
        until(lambda: service.state()["degraded"] == ["the directory cannot be read"])
        changes.write_text("version: 1\n")
        until(lambda: service.state()["degraded"] == [])


def test_failed_reload_by_hand_is_well_again_without_a_change(seed: Seed) -> None:
    scene = Scene(seed)
    changes = seed.directory / "changes.ldif"
    changes.unlink()
    with pytest.raises(Exception, match=r"changes\.ldif"):
        scene.service.reload()
    assert scene.degraded
    changes.write_text("version: 1\n")
    scene.look(Pace().looks_until_thorough + 1)
    assert (scene.changes, scene.degraded) == (0, [])


def test_only_new_warnings_are_told(seed: Seed, caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene(seed)
    caplog.clear()
    seed.set(DEVICE, dcmNoSuchAttribute="x")
    scene.look(2)
    assert [line for line in told(caplog, logging.WARNING) if "dcmNoSuchAttribute" in line]
    caplog.clear()
    seed.set(DEVICE, dcmNoSuchAttribute="y")
    scene.look(2)
    assert told(caplog, logging.WARNING) == []
    assert scene.changes == 0


def test_nothing_is_adopted_by_a_service_that_has_stopped(seed: Seed) -> None:
    scene = Scene(seed)
    scene.service.configuration.stop()
    seed.set(DEVICE, dicomDescription="new")
    scene.look(4)
    assert scene.changes == 0


def test_configuration_that_a_bug_keeps_out_of_force_is_degraded_and_tried_again(
    seed: Seed, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(seed)
    seed.set(DEVICE, dicomDescription="new")
    with monkeypatch.context() as bug:
        bug.setattr("dcm4py_leading.process.build_runtime", lambda *_: 1 // 0)
        scene.look()
        with pytest.raises(ZeroDivisionError):
            scene.look()
        assert (scene.changes, scene.degraded) == (0, ["the last attempt to take another configuration failed"])
    scene.look(Pace().looks_until_thorough + 1)
    assert (scene.changes, scene.degraded) == (1, [])


VIEWER = DEVICE.replace("dcm4chee-arc", "storescp")


def destination(seed: Seed) -> int | None:
    """The port on which a C-MOVE would find the viewer."""
    remote = seed.service._process._holder.current.resolve(AETitle("STORESCP"))
    return None if remote is None else remote.connections[0].port


def test_move_destination_on_another_port_is_followed_and_told(seed: Seed, caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene(seed)
    assert destination(seed) == seed.viewer_port
    scene.look(2)
    caplog.set_level(logging.INFO)
    new = free_port()
    seed.set(f"cn=dicom,{VIEWER}", dicomPort=str(new))
    scene.look()
    assert f"changed: connection dicom of AE STORESCP: dicomPort from {seed.viewer_port} to {new}" in caplog.text
    assert destination(seed) == new
    scene.look(20)
    assert len([line for line in told(caplog, logging.INFO) if "STORESCP" in line]) == 1
    assert (scene.changes, scene.degraded) == (0, [])


def test_move_destination_that_is_renamed_or_added_is_followed_and_told(
    seed: Seed, caplog: pytest.LogCaptureFixture
) -> None:
    seed.lead()
    scene = Scene(seed)
    caplog.set_level(logging.INFO)
    assert destination(seed) is not None
    viewer2 = seed.service._process._holder.current.resolve
    assert viewer2(AETitle("VIEWER2")) is None
    seed.change(
        f"dn: dicomAETitle=STORESCP,{VIEWER}\nchangetype: modrdn\nnewrdn: dicomAETitle=VIEWER2\ndeleteoldrdn: 1"
    )
    scene.look(3)
    assert destination(seed) is None
    assert viewer2(AETitle("VIEWER2")) is not None
    lines = told(caplog, logging.INFO)
    assert any("AE VIEWER2: added" in line for line in lines)
    # The rule names STORESCP, which nobody is any more.
    assert any("the directory has no dicomNetworkAE that STORESCP matches" in line for line in lines)
