"""``dcm4py-leading ldif``: lint, fix and compare LDIF before it is imported."""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
import sys
from functools import partial
from pathlib import Path

import click

from dcm4py_leading.cli.source_options import source_options
from dcm4py_leading.composition.site import Site
from dcm4py_leading.config.following.difference import Difference
from dcm4py_leading.config.ldif.fix import fix_ldif
from dcm4py_leading.config.ldif.lint import Finding
from dcm4py_leading.config.ldif.records import LdifFile, decode_ldif, parse_ldif, read_ldif
from dcm4py_leading.forecast import forecast, lint_alone
from dcm4py_leading.installation.shared import example, examples

_PROBLEMS = 1
_FILE = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
_STDIN = Path("-")


def add_ldif_commands(main: click.Group) -> None:
    """Register the group."""

    @main.group(name="ldif", short_help="Check, mend and forecast LDIF before it is imported.")
    def ldif_group() -> None:
        """Check, fix and preview LDIF before ldapmodify."""

    @ldif_group.command(
        name="lint",
        short_help="Print what a server, or the service, will refuse of FILE.",
        examples=[
            "dcm4py-leading ldif lint change.ldif",
            "dcm4py-leading ldif lint --ldap-url ldap://ldap.example.org/dc=dcm4che,dc=org change.ldif",
            "dcm4py-leading ldif lint - < change.ldif",
        ],
    )
    @partial(source_options, is_required=False)
    @click.argument("files", nargs=-1, required=True, type=_FILE, metavar="FILE...")
    @click.option("--json", "as_json", is_flag=True, help="Findings as JSON.")
    def lint_command(site: Site | None, files: tuple[Path, ...], as_json: bool) -> None:
        """Print what a server, or then the service, would refuse in FILE, by record and line.

        With a SOURCE also what is wrong for the tree there, such as a second value where one is allowed. FILE may be -
        for standard input.
        """
        read = [_read(path) for path in files]
        found = lint_alone(read) if site is None else forecast(read, site).findings
        if as_json:
            click.echo(json.dumps([_finding_json(finding) for finding in found], indent=2, ensure_ascii=False))
        else:
            for finding in found:
                click.echo(str(finding))
            if not found:
                records = sum(len(file.records) for file in read)
                click.echo(f"no faults in {records} record{'s' * (records != 1)}", err=True)
        sys.exit(_PROBLEMS if any(finding.is_error for finding in found) else 0)

    @ldif_group.command(
        name="fix",
        short_help="Print FILE as ldapmodify accepts it.",
        examples=[
            "dcm4py-leading ldif fix pasted.ldif > fixed.ldif",
            "dcm4py-leading ldif fix - < pasted.ldif | ldapmodify -H ldap://ldap.example.org -D cn=admin,dc=example -W",
        ],
    )
    @click.argument("file", type=_FILE)
    def fix_command(file: Path) -> None:
        """Print FILE as ldapmodify accepts it, with modify records that can be run again; say on stderr what changed.

        What cannot be mended stays, or becomes a comment where it could not even be read: exit code 1. FILE may be -
        for standard input.
        """
        name = _name(file)
        try:
            fixed = fix_ldif(_bytes(file).decode("utf-8"))
        except UnicodeDecodeError:
            click.echo(f"{name}: expected UTF-8; save the file in that encoding", err=True)
            sys.exit(_PROBLEMS)
        click.echo(fixed.text, nl=False)
        wrong = [
            dataclasses.replace(finding, line=fixed.origins[finding.line - 1])
            for finding in lint_alone([parse_ldif(fixed.text, name)])
            if finding.is_error
        ]
        for told, what in ((fixed.mended, "mended"), (fixed.left_out, "made a comment"), (fixed.unrepeatable, "note")):
            for fault in told:
                reason = _done(fault.reason) if what == "mended" else fault.reason
                click.echo(f"{name}, line {fault.line}: {what}: {reason}", err=True)
        for finding in wrong:
            click.echo(f"{name}, line {finding.line}: not mended: {finding.problem}", err=True)
        sys.exit(_PROBLEMS if wrong or fixed.left_out else 0)

    @ldif_group.command(
        name="diff",
        short_help="Print what FILE would change in the configuration of SOURCE.",
        examples=["dcm4py-leading ldif diff --ldif ldif/quickstart.ldif ldif/leading-cfind-scp.ldif"],
    )
    @source_options
    @click.argument("files", nargs=-1, required=True, type=_FILE, metavar="FILE...")
    @click.option("--json", "as_json", is_flag=True, help="One JSON object.")
    def diff_command(site: Site, files: tuple[Path, ...], as_json: bool) -> None:
        """Print what FILE, or - for standard input, would change in the configuration of SOURCE, and what would be
        wrong then."""
        told = forecast([_read(path) for path in files], site)
        if as_json:
            described = {
                "differences": [_difference_json(difference) for difference in told.differences],
                "problems": [_finding_json(finding) for finding in told.findings],
                "mended": [str(problem) for problem in told.mended],
                "isComparable": told.is_comparable,
            }
            click.echo(json.dumps(described, indent=2, ensure_ascii=False))
        else:
            for difference in told.differences:
                click.echo(str(difference))
            for finding in told.findings:
                click.echo(str(finding))
            for problem in told.mended:
                click.echo(f"mended: {problem}")
            if not told.is_comparable:
                click.echo(f"{site.device_name}: no differences told, for lack of two valid configurations", err=True)
            elif not told.differences:
                click.echo(f"{site.device_name}: the effective configuration stays as it is", err=True)
        sys.exit(_PROBLEMS if told.has_errors else 0)

    @ldif_group.command(
        name="example",
        short_help="Print an LDIF file that comes with the program, or the names of all.",
        examples=["dcm4py-leading ldif example", "dcm4py-leading ldif example quickstart > quickstart.ldif"],
    )
    @click.argument("name", required=False)
    def example_command(name: str | None) -> None:
        """Print the LDIF file NAME that comes with the program; without NAME, the names of all."""
        if name is None:
            click.echo("\n".join(examples()))
            return
        try:
            click.echo(example(name), nl=False)
        except KeyError:
            near = difflib.get_close_matches(name, examples(), n=1)
            meant = f": {near[0]}?" if near else "; without NAME it prints those that there are"
            raise click.UsageError(f"there is no example {name}{meant}") from None


_REMEDIES = (
    (re.compile(r"remove the (line|indentation)$"), r"\1 removed"),
    (re.compile(r"remove it$"), "removed"),
    (re.compile(r"make it empty$"), "made empty"),
    (re.compile(r"put ('.*'|a blank line) (below the dn|before it)$"), r"\1 put \2"),
)
"""Texts of what faults say to do, and the same when it has been done."""


def _done(reason: str) -> str:
    for remedy, done in _REMEDIES:
        reason = remedy.sub(done, reason)
    return reason


def _name(path: Path) -> str:
    return "standard input" if path == _STDIN else str(path)


def _bytes(path: Path) -> bytes:
    return sys.stdin.buffer.read() if path == _STDIN else path.read_bytes()


def _read(path: Path) -> LdifFile:
    return decode_ldif(sys.stdin.buffer.read(), _name(path)) if path == _STDIN else read_ldif(path)


def _difference_json(difference: Difference) -> dict[str, object]:
    return {
        "kind": difference.kind.value,
        "objectClass": difference.object_class,
        "name": difference.name,
        "place": difference.place or None,
        "attribute": difference.attribute,
        "detail": difference.detail or None,
        "text": str(difference),
    }


def _finding_json(finding: Finding) -> dict[str, object]:
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
