"""``check`` and ``show``: problems of a configuration, and its contents."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterable

import click

from dcm4py_leading.cli.command import PROBLEMS, Command
from dcm4py_leading.cli.source_options import source_options
from dcm4py_leading.composition.announce import unserved_lines
from dcm4py_leading.composition.check import check
from dcm4py_leading.composition.site import Site
from dcm4py_leading.config.report.inventory import Present, shortcomings
from dcm4py_leading.config.report.problem_json import problem_json
from dcm4py_leading.config.report.screen import screen
from dcm4py_leading.config.report.show import describe
from dcm4py_leading.errors import ConfigInvalid, Problem


@click.command(
    cls=Command,
    name="check",
    short_help="Print every problem of the configuration.",
    examples=[
        "dcm4py-leading check --ldif ldif/quickstart.ldif --ldif ldif/leading-cfind-scp.ldif",
        "dcm4py-leading check --attributes --ldap-url ldap://ldap.example.org/dc=dcm4che,dc=org",
    ],
)
@source_options
@click.option("--attributes", is_flag=True, help="Every attribute in the tree instead: acted on yes, partial or no.")
@click.option("--full", is_flag=True, help="Name all attributes that are not acted on, not only the first few.")
@click.option("--json", "as_json", is_flag=True, help="Problems, or attributes, as JSON.")
def check_command(site: Site, attributes: bool, full: bool, as_json: bool) -> None:
    """Print every problem of the configuration with DN, attribute, value and reason, and what is not acted on."""
    if attributes:
        _list_attributes(check(site).snapshot.present, as_json=as_json)
        return
    problems: tuple[Problem, ...]
    try:
        snapshot = check(site).snapshot
        problems, code = snapshot.problems, 0
    except ConfigInvalid as err:
        problems, code = err.problems, PROBLEMS
    if as_json:
        click.echo(json.dumps([problem_json(problem) for problem in problems], indent=2))
    else:
        for problem in problems:
            click.echo(f"{problem.severity.value} {problem}")
        if code == 0:
            unserved = unserved_lines(snapshot.device, is_full=full)
            lines = [*unserved, *shortcomings(snapshot.present, is_full=full)]
            for line in lines:
                click.echo(_folded(f"INFO {line}"))
            if not full and any(" more" in line for line in lines):
                click.echo("INFO check --full names them all")
            click.echo(f"{site.device_name}: the configuration can be put in force")
    sys.exit(code)


def _folded(line: str) -> str:
    """Long line of names, wrapped for a terminal; continuation lines are indented."""
    return textwrap.fill(line, 120, subsequent_indent="     ", break_long_words=False, break_on_hyphens=False)


def _list_attributes(present: Iterable[Present], *, as_json: bool) -> None:
    if not as_json:
        for found in present:
            click.echo(str(found))
        return
    listed = [
        {
            "status": found.status.value,
            "objectClass": found.object_class,
            "attribute": found.attribute,
            "entries": found.entries,
            "remark": found.remark,
        }
        for found in present
    ]
    click.echo(json.dumps(listed, indent=2))


@click.command(
    cls=Command,
    short_help="Print the effective configuration on one screen.",
    examples=["dcm4py-leading show --ldif ldif/quickstart.ldif", "dcm4py-leading show --json --ldif tree.ldif"],
)
@source_options
@click.option("--json", "as_json", is_flag=True, help="All attributes under their LDAP names, as JSON.")
def show(site: Site, as_json: bool) -> None:
    """Print the effective configuration, defaults and inheritance resolved: ports, AEs, rules in order, storages.

    A rule line has its conditions, and what it does to whom.
    """
    checked = check(site)
    if as_json:
        click.echo(json.dumps(describe(checked.snapshot.device), indent=2, ensure_ascii=False))
    else:
        rules = {
            title: [(found.rule, [step.name for step in found.steps]) for found in compiled]
            for title, compiled in checked.rules.items()
        }
        click.echo("\n".join(screen(checked.snapshot.device, rules)))


def add_check_commands(main: click.Group) -> None:
    """Register the commands."""
    main.add_command(check_command)
    main.add_command(show)
