"""The demonstration: it passes, and the commands that it prints for those who want to go on do what they say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.fixtures.peers_required import require
from tests.fixtures.processes import find_program
from tests.fixtures.slapd import REPOSITORY

pytestmark = pytest.mark.peers


@contextmanager
def kept_running(*options: str) -> Iterator[str]:
    """What it has printed when everything is there to be played with; it ends with the `with` statement."""
    command = [sys.executable, "-m", "scripts.demo_run", "--keep", *options]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True
    ) as demo:
        assert demo.stdin is not None and demo.stdout is not None
        printed = ""
        for line in demo.stdout:
            printed += line
            if line.startswith("Enter or Ctrl-C"):
                break
        try:
            yield printed
        finally:
            demo.stdin.close()
            rest = demo.stdout.read()
    assert demo.returncode == 0, printed + rest


@pytest.mark.parametrize(
    ("options", "needed"),
    [
        ([], ["slapd", "ldapmodify", "dcmqrscp"]),
        (["--proxy"], ["slapd", "ldapmodify", "dcmqrscp", "Orthanc"]),
        (["--without", "slapd"], ["dcmqrscp"]),
    ],
    ids=["archive", "proxy", "embedded directory"],
)
def test_rule_is_changed_by_the_commands_that_are_printed(options: list[str], needed: list[str]) -> None:
    require(all(find_program(name) is not None for name in needed), f"{', '.join(needed)} (see scripts/demo)")
    with kept_running(*options) as printed:
        assert "PASSED" in printed
        (pages,) = re.findall(r"http://\S+/ui/", printed)
        assert "dcm4chee-arc" in httpx.get(pages, follow_redirects=True, timeout=60).text
        first = printed.index("  cat >> " if "slapd" in options else "  ldapmodify ")
        commands = printed[first : printed.index("The service's log: ")]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        done = subprocess.run(
            ["sh", "-e", "-c", commands], cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=300
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "reloaded: device" in done.stderr
    # The rule is applied, and no longer replaces the stale name.
    assert "leading-arc  applied" in done.stdout
    assert "Smith^John" not in done.stdout
