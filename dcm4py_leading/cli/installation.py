"""Commands for installing: files, man."""

from __future__ import annotations

from pathlib import Path

import click

from dcm4py_leading import __version__
from dcm4py_leading.cli.command import PROBLEMS, fail
from dcm4py_leading.installation.man_page import man_page
from dcm4py_leading.installation.shared import FOLDERS, copy_to


def add_installation_commands(main: click.Group) -> None:
    """Register the commands."""

    @main.command(
        short_help="Copy schema, LDIF files, systemd unit and documents to a folder.",
        examples=["dcm4py-leading files ~/dcm4py-files"],
    )
    @click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
    def files(directory: Path) -> None:
        """Copy the files that come with the program to DIRECTORY, a new or empty one.

        It gets the folders schema (for slapd, 389 Directory Server and ApacheDS), ldif (a tree to begin with, and
        examples), deploy (systemd, container) and docs. In it the commands of the documents can be typed as they are.
        """
        try:
            copy_to(directory)
        except OSError as err:
            fail(f"{err.filename}: {err.strerror}" if err.filename else str(err), PROBLEMS)
        click.echo(f"{directory} has {', '.join(FOLDERS)}", err=True)

    @main.command(
        short_help="Print the man page.",
        examples=["dcm4py-leading man > ~/.local/share/man/man1/dcm4py-leading.1"],
    )
    def man() -> None:
        """Print the man page, which has the help of all commands."""
        click.echo(man_page(main, "dcm4py-leading", __version__), nl=False)
