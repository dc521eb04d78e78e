"""The list of commands, whose modules are imported when they are wanted."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from dcm4py_leading.__main__ import main
from dcm4py_leading.cli.commands import COMMANDS

HEAVY = ("dcm4py_leading.composition", "ldap3", "pydicom", "pynetdicom", "sqlalchemy", "starlette")


@pytest.mark.parametrize("listed", COMMANDS, ids=lambda listed: listed.name)
def test_the_list_says_what_the_command_says(listed):
    command = main.get_command(click.Context(main), listed.name)
    assert command is not None and command.short_help == listed.short_help


def test_no_command_is_missing_in_the_list():
    main.load()
    assert set(main.commands) == {listed.name for listed in COMMANDS}


def test_help_names_every_command():
    output = CliRunner().invoke(main, ["--help"]).output
    assert [listed.name for listed in COMMANDS if f"\n  {listed.name} " not in output] == []


def test_unknown_command_is_told():
    result = CliRunner().invoke(main, ["serv"])
    assert result.exit_code == 2
    assert "No such command" in result.output


def test_help_imports_nothing_that_takes_long():
    code = "import sys; from dcm4py_leading.__main__ import main; main(['--help'], standalone_mode=False);"
    code += f"print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
