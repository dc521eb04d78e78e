"""Man page: the ``--help`` of all commands, in the macros of man(7)."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click

_WIDTH = 80
_ESCAPED = str.maketrans({"\\": r"\e", "-": r"\-"})


def man_page(main: click.Group, name: str, version: str) -> str:
    """The page of a command line as roff."""
    context = _context(main, name)
    lines = [
        f'.TH {name.upper()} 1 "" "{name} {version}" "User Commands"',
        ".SH NAME",
        f"{_text(name)} \\- {_text(_first_sentence(main))}",
        ".SH SYNOPSIS",
        f".B {_text(name)}",
        _text(" ".join(main.collect_usage_pieces(context))),
        ".SH DESCRIPTION",
        *_paragraphs(main.help or ""),
        ".SH COMMANDS",
        *_commands(main, context),
    ]
    return "\n".join(lines) + "\n"


def _context(command: click.Command, name: str, parent: click.Context | None = None) -> click.Context:
    return command.context_class(command, parent, name, terminal_width=_WIDTH, **command.context_settings)


def _commands(group: click.Group, context: click.Context) -> Iterator[str]:
    """All commands of the group, those of groups in it by their full names."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None  # it is in the list
        below = _context(command, name, context)
        if isinstance(command, click.Group):
            yield from _commands(command, below)
            continue
        yield ".SS " + _text(below.command_path.partition(" ")[2])
        # Its whole help: usage, text, options, exit codes, examples, in lines that stay as they are.
        yield from (".nf", *(_line(line) for line in command.get_help(below).splitlines()), ".fi")


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(text)):
        yield from (".PP", *(_line(line) for line in paragraph.splitlines()))


def _line(line: str) -> str:
    """A line of text; roff takes a dot or an apostrophe at its beginning for a request."""
    return (r"\&" if line[:1] in (".", "'") else "") + _text(line)


def _text(text: str) -> str:
    return text.translate(_ESCAPED)


def _first_sentence(main: click.Group) -> str:
    return re.split(r"\.(?:\s|$)", inspect.cleandoc(main.help or ""), maxsplit=1)[0]
