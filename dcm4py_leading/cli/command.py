"""Base of the commands: complete help, exit codes, and options from environment variables."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NoReturn

import click

PROBLEMS, WRONG_USAGE, UNREACHABLE = 1, 2, 3
EXIT_CODES = "Exit codes: 0 good; 1 problems found; 2 wrong usage; 3 directory or service unreachable."
CONTEXT_SETTINGS: Mapping[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 120}

IS_ABOUT_SOURCE = "_is_about_source"
"""Attribute of a parameter that says where the configuration is."""


class Command(click.Command):
    """A command whose help has its own options first, then those of the SOURCE, then exit codes and examples."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **settings: Any) -> None:
        settings["context_settings"] = {**CONTEXT_SETTINGS, **settings.get("context_settings", {})}
        super().__init__(*args, **settings)
        self._examples = examples

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Own options, then those of the SOURCE."""
        own: list[tuple[str, str]] = []
        shared: list[tuple[str, str]] = []
        for parameter in self.get_params(ctx):
            row = parameter.get_help_record(ctx)
            # An argument is in the usage line; click has a row for it, empty unless it has a help of its own.
            if row is not None and (isinstance(parameter, click.Option) or row[1]):
                (shared if getattr(parameter, IS_ABOUT_SOURCE, False) else own).append(row)
        with formatter.section("Options"):
            formatter.write_dl(own)
        if shared:
            with formatter.section("SOURCE, where the configuration is: one of --ldap-url, --ldap-properties, --ldif"):
                formatter.write_dl(shared)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Exit codes and examples."""
        formatter.write_paragraph()
        formatter.write_text(EXIT_CODES)
        if self._examples:
            with formatter.section("Examples"):
                for example in self._examples:
                    formatter.write(f"{'':{formatter.current_indent}}{example}\n")


class Group(click.Group):
    """A group of such commands."""

    command_class = Command

    def __init__(self, *args: Any, **settings: Any) -> None:
        settings["context_settings"] = {**CONTEXT_SETTINGS, **settings.get("context_settings", {})}
        super().__init__(*args, **settings)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Exit codes, which all commands share."""
        formatter.write_paragraph()
        formatter.write_text(EXIT_CODES)


Group.group_class = Group


@dataclass(frozen=True, slots=True)
class Listed:
    """A listed command, whose module is imported on demand."""

    name: str
    module: str
    adder: str
    """Function of the module that adds it to a group, maybe with others."""
    short_help: str


class LazyGroup(Group):
    """A group whose help imports none of its commands, so that ``--help`` and completion are fast."""

    def __init__(self, *args: Any, listed: Sequence[Listed] = (), **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._listed = {one.name: one for one in listed}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in alphabetical order."""
        return sorted(self._listed)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        one = self._listed.get(cmd_name)
        if one is not None and cmd_name not in self.commands:
            getattr(import_module(one.module), one.adder)(self)
        return super().get_command(ctx, cmd_name)

    def load(self) -> None:
        """Import all of them."""
        context = click.Context(self)
        for name in self._listed:
            self.get_command(context, name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Names and short helps."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._listed[name].short_help) for name in self.list_commands(ctx)])


def option(*names: str, **settings: Any) -> Callable[[Any], Any]:
    """A click option that is also an environment variable."""
    variable = "DCM4PY_" + names[0].lstrip("-").replace("-", "_").upper()
    return click.option(*names, envvar=variable, show_envvar=True, **settings)


def fail(message: str, code: int) -> NoReturn:
    """Say why on stderr, and end."""
    click.echo(message, err=True)
    sys.exit(code)
