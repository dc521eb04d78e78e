"""The systemd unit: systemd takes every line of it, and finds it well confined."""

from __future__ import annotations

import configparser
import os
import shlex
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from dcm4py_leading.__main__ import main
from tests.fixtures.peers_required import require
from tests.fixtures.processes import find_program
from tests.fixtures.slapd import REPOSITORY

DEPLOY = REPOSITORY / "deploy"
UNIT = DEPLOY / "dcm4py-leading.service"


def settings(text: str) -> configparser.SectionProxy:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(text)
    return unit["Service"]


def analyzed(command: str, *options: str, unit: Path) -> subprocess.CompletedProcess[str]:
    require(find_program("systemd-analyze") is not None, "systemd-analyze (Debian package systemd)")
    return subprocess.run(
        ["systemd-analyze", command, *options, str(unit)], capture_output=True, text=True, timeout=300, check=False
    )


def installed_unit(folder: Path, program: str, *drop_ins: str) -> Path:
    """The unit in a folder, with a program that there is, and with these drop-ins beside it."""
    text = UNIT.read_text("utf-8").replace("/opt/dcm4py/bin/dcm4py-leading", program)
    unit = folder / UNIT.name
    unit.write_text(text)
    for name in drop_ins:
        (folder / f"{UNIT.name}.d").mkdir(exist_ok=True)
        (folder / f"{UNIT.name}.d" / name).write_text((DEPLOY / name).read_text("utf-8"))
    return unit


@pytest.mark.peers
@pytest.mark.parametrize("drop_ins", [(), ("privileged-port.conf",)])
def test_systemd_takes_every_line(tmp_path: Path, drop_ins: tuple[str, ...]) -> None:
    done = analyzed("verify", unit=installed_unit(tmp_path, "/bin/true", *drop_ins))
    about_ours = [line for line in done.stderr.splitlines() if "dcm4py" in line or str(tmp_path) in line]
    assert (done.returncode, about_ours) == (0, [])


@pytest.mark.peers
def test_systemd_finds_it_well_confined(tmp_path: Path) -> None:
    # In tenths; a unit without any of it has 96.
    done = analyzed(
        "security", "--offline=true", "--threshold=20", "--no-pager", unit=installed_unit(tmp_path, "/bin/true")
    )
    assert done.returncode == 0, done.stdout


def test_command_and_environment_of_the_unit_are_those_of_the_program() -> None:
    _, *arguments = shlex.split(settings(UNIT.read_text("utf-8"))["ExecStart"])
    told = CliRunner().invoke(main, [*arguments, "--help"])
    assert told.exit_code == 0, told.output
    lines = (DEPLOY / "environment").read_text("utf-8").splitlines()
    # Those that are comments too, for whoever takes their signs away.
    names = [line.lstrip("#").partition("=")[0] for line in lines if line.lstrip("#").startswith("DCM4PY_")]
    assert names
    assert [name for name in names if name not in told.stdout] == []


def test_unit_user_is_the_one_that_sysusers_makes() -> None:
    service = settings(UNIT.read_text("utf-8"))
    (line,) = (text for text in (DEPLOY / "sysusers.conf").read_text("utf-8").splitlines() if text.startswith("u "))
    assert service["User"] == service["Group"] == shlex.split(line)[1]
    assert shlex.split(line)[-1] == f"{os.sep}var/lib/{service['StateDirectory']}"


def test_port_below_1024_needs_one_capability_only() -> None:
    unit = settings(UNIT.read_text("utf-8"))
    drop_in = settings((DEPLOY / "privileged-port.conf").read_text("utf-8"))
    assert unit["CapabilityBoundingSet"] == ""
    assert drop_in["CapabilityBoundingSet"] == drop_in["AmbientCapabilities"] == "CAP_NET_BIND_SERVICE"
