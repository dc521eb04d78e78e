"""Options of ``serve`` about the log-in: who may log in, and how users are looked up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import singledispatch, wraps
from pathlib import Path
from typing import Any

import click

from dcm4py_leading.cli.command import option
from dcm4py_leading.cli.oidc_options import oidc_options
from dcm4py_leading.config.ldap.login import GROUP_FILTER, USER_FILTER, USERS_RDN, LoginSearch
from dcm4py_leading.config.ldap.source import LdapSource
from dcm4py_leading.config.sources.source import ConfigSource
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.login.bearer import BearerTokens
from dcm4py_leading.web.login.directory import DEFAULT_GROUPS, DirectoryUsers
from dcm4py_leading.web.login.doorkeeper import LoginDoorkeeper
from dcm4py_leading.web.login.password_file import FileUsers


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Log-in, as configured on the command line."""

    by_directory: bool
    file: Path | None
    search: LoginSearch
    groups: Mapping[Role, tuple[str, ...]]
    tokens: BearerTokens | None = None
    """Tokens that are accepted besides passwords."""

    def doorkeeper(self, source: ConfigSource) -> LoginDoorkeeper | None:
        """None where no log-in is configured.

        ``source`` is the one that the command line names, not one that stands before it. Raises UsageError, and
        PasswordFileError for a file that cannot be used.
        """
        if self.file is not None:
            return LoginDoorkeeper(FileUsers(self.file), tokens=self.tokens)
        if not self.by_directory:
            return None
        try:
            return LoginDoorkeeper(_directory_users(source, self), tokens=self.tokens)
        except ValueError as err:
            raise click.UsageError(f"--login: {err}") from err


@singledispatch
def _directory_users(source: ConfigSource, login: Login) -> DirectoryUsers:
    raise click.UsageError("--login needs a directory: with --ldif, give a password file by --login-file")


@_directory_users.register
def _(source: LdapSource, login: Login) -> DirectoryUsers:
    return DirectoryUsers(source, login.search, login.groups)


class _GroupName(click.ParamType):  # type: ignore[type-arg]
    """A group. A DN may contain blanks, which usually separate the values of an environment variable."""

    name = "group"
    envvar_list_splitter = ";"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return str(value)


def login_options(command: Callable[..., None]) -> Any:
    """The options, given to the command as one `Login`."""

    @option("--login", is_flag=True, help="Users log in with their password in the directory, by a bind.")
    @option(
        "--login-base",
        metavar="DN",
        help=f"Where users and groups are; {USERS_RDN} below the directory's base DN without it.",
    )
    @option(
        "--login-user-filter",
        default=USER_FILTER,
        show_default=True,
        metavar="FILTER",
        help="How a user is found; {} is the name that was typed.",
    )
    @option(
        "--login-group-filter",
        default=GROUP_FILTER,
        show_default=True,
        metavar="FILTER",
        help="Filter that finds the groups of a user; {} stands for the user's DN.",
    )
    @_group_option(Role.VIEWER, "Its members may look.")
    @_group_option(Role.ADMINISTRATOR, "Its members may do everything.")
    @_group_option(Role.SERVICE, "Its members, programs, may ask for metrics and health, and reload.")
    @option(
        "--login-file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Users log in by this password file instead; see dcm4py-leading user -h.",
    )
    @oidc_options
    @wraps(command)
    def with_login(
        login: bool,
        login_base: str | None,
        login_user_filter: str,
        login_group_filter: str,
        login_viewer_group: tuple[str, ...],
        login_administrator_group: tuple[str, ...],
        login_service_group: tuple[str, ...],
        login_file: Path | None,
        tokens: BearerTokens | None,
        **rest: Any,
    ) -> None:
        if login and login_file is not None:
            raise click.UsageError("give either --login or --login-file")
        if tokens is not None and not login and login_file is None:
            raise click.UsageError("--oidc-issuer wants --login or --login-file, too: by it people log in at the pages")
        try:
            search = LoginSearch(base_dn=login_base, user_filter=login_user_filter, group_filter=login_group_filter)
        except ValueError as err:
            raise click.UsageError(f"log-in: {err}") from err
        groups = {
            Role.VIEWER: login_viewer_group,
            Role.ADMINISTRATOR: login_administrator_group,
            Role.SERVICE: login_service_group,
        }
        chosen = Login(by_directory=login, file=login_file, search=search, groups=groups, tokens=tokens)
        command(login=chosen, **rest)

    return with_login


def _group_option(role: Role, what: str) -> Callable[[Any], Any]:
    return option(
        f"--login-{role}-group",
        multiple=True,
        type=_GroupName(),
        default=DEFAULT_GROUPS[role],
        show_default=True,
        metavar="GROUP",
        help=f"{what} A name (cn) or a DN; may be repeated, in the variable parted by ;.",
    )
