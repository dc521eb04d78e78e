"""The man page."""

from __future__ import annotations

import click
from click.testing import CliRunner

from dcm4py_leading.__main__ import main
from dcm4py_leading.installation.man_page import man_page

main.load()


def page() -> str:
    result = CliRunner().invoke(main, ["man"])
    assert result.exit_code == 0
    return result.stdout


def commands(group: click.Group, names: str = "") -> list[str]:
    found = []
    for name, command in sorted(group.commands.items()):
        full = f"{names} {name}".strip()
        found += commands(command, full) if isinstance(command, click.Group) else [full]
    return found


def test_page_has_a_section_for_each_command() -> None:
    sections = [line.removeprefix(".SS ") for line in page().splitlines() if line.startswith(".SS ")]
    assert sections == [name.replace("-", r"\-") for name in commands(main)]


def test_page_has_the_options_of_commands_with_their_environment_variables() -> None:
    text = page().replace(r"\-", "-")
    assert "--bind-password-file" in text
    assert "DCM4PY_LDAP_URL" in text
    assert "-h, --help" in text


def test_no_line_of_a_help_is_taken_for_a_request() -> None:
    @click.group()
    def cli() -> None:
        """A program."""

    @cli.command()
    def one() -> None:
        """\b
        A path:
        .config\\file
        """

    text = man_page(cli, "program", "1.0")
    assert r".config\efile" in text
    requests = {line.split()[0] for line in text.splitlines() if line.startswith((".", "'"))}
    assert requests <= {".TH", ".SH", ".SS", ".B", ".PP", ".nf", ".fi"}
