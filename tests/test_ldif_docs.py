"""The commands of docs/ldif.md do what the page says."""

import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from dcm4py_leading.__main__ import main

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "ldif.md").read_text("utf-8")
COMMANDS = [
    line.partition(" > ")[0]
    for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
    if line.startswith("dcm4py-leading") and " ldif/" in line
]


def test_there_are_commands():
    assert len(COMMANDS) == 4


@pytest.mark.parametrize("command", COMMANDS)
def test_command_succeeds(command, monkeypatch):
    monkeypatch.chdir(ROOT)
    result = CliRunner().invoke(main, shlex.split(command)[1:])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("command", ["lint", "fix", "diff"])
def test_every_command_of_the_group_is_on_the_page(command):
    main.load()
    group = main.commands["ldif"]
    assert isinstance(group, click.Group) and command in group.commands
    assert f"`dcm4py-leading ldif {command} " in PAGE
