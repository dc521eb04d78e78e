"""``dcm4py-leading ldif``: LDIF that is about to be imported, checked, mended, and compared to what is there."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import click

from dcm4py_leading.coercion.rules import compile_rules, warnings
from dcm4py_leading.coercion.schemes import Environment
from dcm4py_leading.compose import Site
from dcm4py_leading.config.directory import Directory
from dcm4py_leading.config.ldif import read_ldif
from dcm4py_leading.config.lint import Finding, lint
from dcm4py_leading.config.placeholders import data_dir_properties, expander
from dcm4py_leading.errors import ConfigInvalid, Problem
from dcm4py_leading.model.coercion import AnyRule, CoercionRule

_PROBLEMS = 1
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_REFERS_OUTSIDE = ("xslt:", "merge-mwl:", "sup-from-dev:")
"""Schemes of dcmURI whose steps need style sheets or other devices."""


def add_ldif_commands(main: click.Group, source_options: Callable[..., Any]) -> None:
    """Add the group to the command line; ``source_options`` decorates a command that takes a SOURCE."""

    @main.group(name="ldif")
    def ldif_group() -> None:
        """LDIF that is to be given to ldapmodify: check it, mend it, see what it would do."""

    @ldif_group.command(name="lint")
    @partial(source_options, is_required=False)
    @click.argument("files", nargs=-1, required=True, type=_FILE, metavar="FILE...")
    @click.option("--json", "as_json", is_flag=True, help="Findings as JSON.")
    def lint_command(site: Site | None, files: tuple[Path, ...], as_json: bool) -> None:
        """Print what a server, or the service after it, will refuse of FILE, by record and line.

        With a SOURCE also what is wrong for the tree there, such as a second value where one is allowed.
        """
        found = _lint(site, files)
        if as_json:
            click.echo(json.dumps([_json(finding) for finding in found], indent=2, ensure_ascii=False))
        else:
            for finding in found:
                click.echo(str(finding))
        sys.exit(_PROBLEMS if any(finding.is_error for finding in found) else 0)


def _lint(site: Site | None, paths: Iterable[Path]) -> tuple[Finding, ...]:
    files = [read_ldif(path) for path in paths]
    expand = expander(data_dir_properties(Path()), {})
    return lint(files, Directory(knows_all=False), check_rule=rule_problems, expand=expand)


def rule_problems(rule: AnyRule) -> list[Problem]:
    """What is wrong with a rule, as far as it can be told without the style sheets and devices that it names."""
    if isinstance(rule, CoercionRule):
        rule = dataclasses.replace(rule, uri=None, supplement_from_device_reference=None, merge_mwl_template_uri=None)
    elif rule.uri.startswith(_REFERS_OUTSIDE):
        rule = dataclasses.replace(rule, uri="trim-ISO2022:")
    try:
        return warnings(compile_rules([rule], Environment()))
    except ConfigInvalid as err:
        return list(err.problems)


def _json(finding: Finding) -> dict[str, object]:
    problem = finding.problem
    return {
        "file": finding.file,
        "record": finding.record or None,
        "line": finding.line or None,
        "severity": problem.severity.value,
        "dn": None if problem.dn == finding.file else problem.dn,
        "attribute": problem.attribute,
        "value": problem.value,
        "reason": problem.reason,
    }
