"""``dcm4py-leading send`` and ``echo``, against a running service and real peers."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dcm4py_leading.__main__ import main
from dcm4py_leading.editing import editor_of
from dcm4py_leading.web.app import Configured, create_app
from tests.fixtures.datasets import make_study
from tests.fixtures.dcmtk import StoreScp, storescu
from tests.fixtures.http import served
from tests.fixtures.scripted import Gate, Viewer
from tests.fixtures.service import DEVICE, Seed
from tests.fixtures.workers import until

pytestmark = pytest.mark.peers

STUDY = "1.2.826.0.1.3680043.8.498.81"


@pytest.fixture
def http(seed: Seed, tmp_path: Path) -> Iterator[str]:
    """A service with a study of four objects: where it is."""
    service = seed.start()
    files = make_study(tmp_path, patient_id="P", patient_name="Old^Name", study_uid=STUDY, instances=2, series=2)
    assert storescu(seed.archive_port, files, called_ae_title="DCM4CHEE").returncode == 0
    with served(app=create_app(service, configured=Configured(editor_of(seed.site), "dcm4chee-arc"))) as client:
        yield str(client.base_url)


@pytest.fixture
def viewer(seed: Seed, viewer: Callable[..., Viewer]) -> Callable[..., Viewer]:
    """Makes the viewer of the seed, by its script."""
    return partial(viewer, seed.viewer_port)


def run(http: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--http", http])


def test_a_study_and_parts_of_it_are_sent(seed: Seed, http: str, tmp_path: Path) -> None:
    with StoreScp(tmp_path / "viewer", port=seed.viewer_port) as viewer:
        told = run(http, "send", STUDY, "STORESCP")
        assert (told.exit_code, told.stdout, told.stderr) == (0, "4 sent to STORESCP, 0 failed\n", "")
        one = viewer.datasets()[0]
        series = ("--series", str(one.SeriesInstanceUID))
        assert run(http, "send", STUDY, "STORESCP", *series).stdout.startswith("2 sent")
        instance = (*series, "--instance", str(one.SOPInstanceUID), "--ae", "DCM4CHEE", "--json")
        job = json.loads(run(http, "send", STUDY, "STORESCP", *instance).stdout)
    assert (job["state"], job["done"]) == ("done", 1)
    assert run(http, "send", STUDY, "STORESCP", "--instance", "1.2.3").exit_code == 2


def test_failure_is_told_and_the_exit_code_is_1(http: str, viewer: Callable[..., Viewer]) -> None:
    statuses = iter([0x0000, 0xA700, 0x0000, 0x0000])
    viewer(lambda _: next(statuses))
    told = run(http, "send", STUDY, "STORESCP")
    assert (told.exit_code, told.stdout) == (1, "")
    failure, summary = told.stderr.splitlines()
    assert "the destination gave status 0xA700" in failure
    assert summary == "3 sent to STORESCP, 1 failed"


def test_destination_down_or_unknown_is_reported(http: str) -> None:
    told = run(http, "send", STUDY, "STORESCP")
    assert told.exit_code == 1
    assert told.stderr.splitlines()[-1] == "failed: 0 sent to STORESCP, 4 failed"
    unknown = run(http, "send", STUDY, "NOBODY")
    assert (unknown.exit_code, unknown.stderr) == (1, "move destination NOBODY is not in the directory\n")


def test_which_of_several_aes_sends_has_to_be_said(seed: Seed, http: str) -> None:
    seed.change(
        f"dn: dicomAETitle=OTHER,{DEVICE}\nchangetype: add\nobjectClass: dicomNetworkAE\ndicomAETitle: OTHER\n"
        f"dicomNetworkConnectionReference: cn=dicom,{DEVICE}\n"
        "dicomAssociationInitiator: TRUE\ndicomAssociationAcceptor: TRUE\n"
    )
    for command in (("send", STUDY, "STORESCP"), ("echo", "STORESCP")):
        told = run(http, *command)
        assert told.exit_code == 2
        assert "give one by --ae: DCM4CHEE, OTHER" in told.stderr


def test_a_service_that_is_not_there_is_told() -> None:
    assert run("http://127.0.0.1:9", "send", STUDY, "STORESCP", "--ae", "DCM4CHEE").exit_code == 3


class OnTerminal:
    """``send`` in a process of its own, its stderr a terminal."""

    def __init__(self, http: str) -> None:
        self._ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "dcm4py_leading", "send", STUDY, "STORESCP", "--http", http]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs)
        os.close(theirs)
        self.shown = b""

    def await_shown(self, wanted: bytes) -> None:
        """Read until that is shown."""
        while wanted not in self.shown:
            self.shown += os.read(self._ours, 1000)

    def end(self) -> tuple[int, bytes]:
        """Exit code and stdout."""
        with contextlib.suppress(OSError):  # by which Linux tells that the other end is closed
            while part := os.read(self._ours, 1000):
                self.shown += part
        os.close(self._ours)
        stdout, _ = self.process.communicate(timeout=120)
        return self.process.returncode, stdout


def test_progress_is_shown_on_a_terminal(http: str, viewer: Callable[..., Viewer]) -> None:
    gate = Gate(2)
    viewer(gate)
    program = OnTerminal(http)
    program.await_shown(b"2/4")
    gate.opened.set()
    assert program.end() == (0, b"4 sent to STORESCP, 0 failed\n")
    assert b"sending to STORESCP" in program.shown and b"4/4" in program.shown


def test_ctrl_c_cancels(seed: Seed, http: str, viewer: Callable[..., Viewer]) -> None:
    gate = Gate(2)
    viewer(gate)
    program = OnTerminal(http)
    program.await_shown(b"2/4")
    program.process.send_signal(signal.SIGINT)
    until(lambda: any(sending.is_cancelled for sending in seed.service._process._sendings._under_way.values()))
    gate.opened.set()
    assert program.end() == (1, b"")
    assert b"cancelled: it ends after the object that is on its way" in program.shown
    assert b"cancelled: 3 sent to STORESCP, 0 failed, 1 not sent" in program.shown


def test_an_echo_tells_how_long_each_step_took(seed: Seed, http: str, tmp_path: Path) -> None:
    with StoreScp(tmp_path / "viewer", port=seed.viewer_port):
        told = run(http, "echo", "STORESCP")
        as_json = run(http, "echo", "STORESCP", "--ae", "DCM4CHEE", "--json")
    assert told.exit_code == 0
    assert told.stdout.startswith("STORESCP answers: association ") and " ms, release " in told.stdout
    assert json.loads(as_json.stdout)["result"] == "0"


def test_an_echo_that_fails_tells_why(seed: Seed, http: str) -> None:
    told = run(http, "echo", "STORESCP")
    assert (told.exit_code, told.stdout) == (1, "")
    assert told.stderr.startswith("STORESCP is not reached: ")
    as_json = run(http, "echo", "STORESCP", "--json")
    assert (as_json.exit_code, json.loads(as_json.stdout)["result"]) == (1, "2")
    unknown = run(http, "echo", "NOBODY")
    assert (unknown.exit_code, unknown.stderr) == (1, "AE NOBODY is not in the directory\n")
