"""``dcm4py-leading user``: password file for a log-in without a directory of users."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

import click

from dcm4py_leading.cli.command import PROBLEMS, fail
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.login.password_file import PasswordFileError, add_user, read_users, remove_user

_FILE = click.Path(dir_okay=False, path_type=Path)


def add_user_commands(main: click.Group) -> None:
    """Register the group."""

    @main.group(name="user", short_help="Users of a password file, for serve --login-file.")
    def user_group() -> None:
        """Users in a password FILE, for a log-in without a directory of users."""

    @user_group.command(
        name="add",
        short_help="Enter a user.",
        examples=[
            "dcm4py-leading user add ~/dcm4py-users anna --role administrator",
            "dcm4py-leading user add --role service --password-file - ~/dcm4py-users prometheus < password",
        ],
    )
    @click.argument("file", type=_FILE)
    @click.argument("name")
    @click.option(
        "--role",
        "roles",
        multiple=True,
        required=True,
        type=click.Choice([role.value for role in Role]),
        help="What the user may do; may be repeated. An administrator may everything.",
    )
    @click.option(
        "--password-file",
        type=click.File(),
        help="Its first line is the password; - for standard input. Without it, the terminal is asked.",
    )
    @click.option("--replace", is_flag=True, help="The user may be there: give another password and other roles.")
    def add(file: Path, name: str, roles: tuple[str, ...], password_file: TextIO | None, replace: bool) -> None:
        """Add user NAME to FILE, which is created, readable by its owner only, if it does not exist."""
        if password_file is None:
            password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        else:
            password = password_file.readline().rstrip("\r\n")
        try:
            add_user(file, name, frozenset(map(Role, roles)), password, may_replace=replace)
        except PasswordFileError as err:
            fail(str(err), PROBLEMS)

    @user_group.command(
        name="remove", short_help="Take a user out.", examples=["dcm4py-leading user remove ~/dcm4py-users anna"]
    )
    @click.argument("file", type=_FILE)
    @click.argument("name")
    def remove(file: Path, name: str) -> None:
        """Remove user NAME from FILE."""
        try:
            remove_user(file, name)
        except PasswordFileError as err:
            fail(str(err), PROBLEMS)

    @user_group.command(name="list", short_help="Print names and roles.", examples=["dcm4py-leading user list users"])
    @click.argument("file", type=_FILE)
    def list_users(file: Path) -> None:
        """Print the users of FILE, with their roles."""
        try:
            users = read_users(file)
        except PasswordFileError as err:
            fail(str(err), PROBLEMS)
        for user in users.values():
            click.echo(f"{user.name}: {', '.join(sorted(user.roles))}")
