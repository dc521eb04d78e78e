"""Lint of LDIF files before an import: what a server, and then the service, would refuse. Changes nothing.

Told in terms of the fix, by record and line. A server is not needed: what only the tree can tell (whether an entry is
there) is told when `Directory` holds the tree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dcm4py_leading.config.dn import dn_key
from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.ldif.directory import Directory, Refusal, shown
from dcm4py_leading.config.ldif.lines import Line
from dcm4py_leading.config.ldif.lint_values import CheckRule, condition_problem, line_problem, value_problems
from dcm4py_leading.config.ldif.records import AddEntry, LdifFile, ModifyEntry, Operation, Record, RenameEntry
from dcm4py_leading.config.ldif.schema import (
    NOT_FOR_USERS,
    attribute_types,
    dn_fault,
    entry_faults,
    is_known_attribute,
    is_single_valued,
    unknown_attribute,
)
from dcm4py_leading.config.placeholders import Expand
from dcm4py_leading.errors import Problem, Severity

_BLANK = "ends in a blank, which the server stores as a part of the value: remove it"
_REFUSED_BLANK = "ends in a blank, with which the server refuses the value: remove it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing wrong, or doubtful, in a file."""

    file: str
    record: int
    """Counted from 1; 0 for what belongs to no record."""
    line: int
    """Counted from 1; 0 for what belongs to no line."""
    problem: Problem

    @property
    def is_error(self) -> bool:
        """True if the import, or the service after it, fails."""
        return self.problem.severity is Severity.ERROR

    def __str__(self) -> str:
        place = f"{self.file}, record {self.record}, line {self.line}" if self.line else self.file
        told = str(self.problem).removesuffix(f" ({self.file})")
        return f"{place}: {self.problem.severity.value} {told}"


def lint(
    files: Sequence[LdifFile], directory: Directory, *, check_rule: CheckRule, expand: Expand
) -> tuple[Finding, ...]:
    """Everything wrong in ``files``, which are applied to ``directory`` in order."""
    return tuple(finding for file in files for finding in _Linter(file, directory, check_rule, expand).findings())


def locate(problems: Iterable[Problem], files: Sequence[LdifFile]) -> tuple[Finding, ...]:
    """Problems of the tree as it would be, each at the last line of the files that speaks of it."""
    return tuple(_located(problem, files) for problem in problems)


def _located(problem: Problem, files: Sequence[LdifFile]) -> Finding:
    try:
        key = dn_key(problem.dn)
    except ValueError:
        key = ()
    best: tuple[int, str, int, int] = (0, files[0].name if files else "", 0, 0)
    for file in files:
        for record in file.records:
            if dn_key(record.new_dn if isinstance(record, RenameEntry) else record.dn) == key:
                line, exactness = _line_of(record, problem.attribute, problem.value)
                if exactness >= best[0]:
                    best = (exactness, file.name, file.record_at(line), line)
    _, name, number, line = best
    return Finding(file=name, record=number, line=line, problem=problem)


class _Linter:
    """One file on its way through the checks."""

    def __init__(self, file: LdifFile, directory: Directory, check_rule: CheckRule, expand: Expand) -> None:
        self._file = file
        self._directory = directory
        self._check_rule = check_rule
        self._expand = expand
        self._found: list[Finding] = []
        self._told: set[tuple[int, str]] = set()
        """Lines and attributes that have an error already: the service's own opinion would only repeat it."""

    def findings(self) -> list[Finding]:
        if self._file.has_byte_order_mark:
            reason = (
                "the file begins with a byte order mark, and ldapmodify skips the record behind it: save it without"
            )
            self._add(1, None, None, reason)
        for fault in self._file.faults:
            severity = Severity.WARNING if fault.is_ours else Severity.ERROR
            self._add(fault.line, fault.dn, None, fault.reason, severity=severity)
        self._content_only()
        for record in self._file.records:
            self._record(record)
        return sorted(dict.fromkeys(self._found), key=lambda found: found.line)

    def _content_only(self) -> None:
        records = self._file.records
        if records and all(isinstance(record, AddEntry) and record.is_content for record in records):
            reason = (
                "no record of the file has a changetype: ldapadd takes it, ldapmodify wants 'changetype: add' below"
                " each dn"
            )
            self._add(records[0].line, None, None, reason, severity=Severity.WARNING)

    def _record(self, record: Record) -> None:
        names = [record.dn, record.new_dn] if isinstance(record, RenameEntry) else [record.dn]
        for reason in dict.fromkeys(filter(None, map(dn_fault, names))):
            self._add(record.line, record.dn, None, reason)
        self._keywords(record)
        for line in added_values(record):
            self._line(record, line)
        key = dn_key(record.dn)
        before = self._directory.entry(key)
        for refusal in self._directory.apply_record(record):
            self._refused(record, refusal)
        after = self._directory.entry(dn_key(record.new_dn) if isinstance(record, RenameEntry) else key)
        if after is not None:
            self._entry(record, before, after)
        elif isinstance(record, ModifyEntry):
            self._unknown_entry(record)

    def _keywords(self, record: Record) -> None:
        """Blanks after keywords that ldapmodify compares literally."""
        for line in record.lines:
            if line.name == "-" and line.value:
                self._add(line.number, record.dn, None, "a blank behind '-', which ldapmodify cannot read: remove it")
            elif line.named("changetype") and line.value != line.value.rstrip():
                reason = f"a blank behind changetype: {line.value.rstrip()}, which ldapmodify cannot read: remove it"
                self._add(line.number, record.dn, None, reason)
        if isinstance(record, ModifyEntry):
            for modification in record.modifications:
                line = next(line for line in record.lines if line.number == modification.line)
                if line.value != line.value.rstrip():
                    reason = f"a blank behind {line.name}: {modification.attribute}: ldapmodify takes it for the name"
                    self._add(line.number, record.dn, None, f"{reason}: remove it")
                self._name(record, modification.line, modification.attribute)

    def _name(self, record: Record, line: int, name: str) -> bool:
        """Report an attribute that no server accepts; True if it is one."""
        if not is_known_attribute(name):
            self._add(line, record.dn, name, unknown_attribute(name))
        elif name.partition(";")[0].lower() in NOT_FOR_USERS:
            self._add(line, record.dn, name, "the server keeps this attribute itself and refuses it: remove the line")
        else:
            return False
        return True

    def _line(self, record: Record, line: Line) -> None:
        if self._name(record, line.number, line.name):
            return
        value = line.value
        known = attribute_types().get(line.name.partition(";")[0].lower())
        reason = None if known is None else known.syntax.fault(value)
        stripped = value.rstrip(" ")
        if stripped and stripped != value:
            is_refused = line.named("objectclass") or (
                known is not None and reason is not None and known.syntax.fault(stripped) is None
            )
            if is_refused:
                self._add(line.number, record.dn, line.name, _REFUSED_BLANK, stripped)
                return
            self._add(line.number, record.dn, line.name, _BLANK, stripped, severity=Severity.WARNING)
        if reason is not None:
            self._add(line.number, record.dn, line.name, reason, value)

    def _refused(self, record: Record, refusal: Refusal) -> None:
        self._add(refusal.line, record.dn, refusal.attribute, refusal.reason, refusal.value)

    def _entry(self, record: Record, before: Entry | None, after: Entry) -> None:
        """Report errors that the record causes in the entry as a whole."""
        naming = [name for name, _ in after.key[0]]
        old_faults = [] if before is None else entry_faults(before.attributes, naming)
        for attribute, value, reason in entry_faults(after.attributes, naming):
            if (attribute, value, reason) not in old_faults:
                self._add_at(
                    record, Problem(dn=record.dn, attribute=after.spell(attribute), value=value, reason=reason)
                )
        old = () if before is None else value_problems(before, self._expand, self._check_rule)
        for problem in value_problems(after, self._expand, self._check_rule):
            if problem not in old:
                self._service(record, problem)

    def _unknown_entry(self, record: ModifyEntry) -> None:
        """Report new values that the service refuses, whatever else the entry has."""
        for modification in record.modifications:
            if modification.operation is Operation.ADD and is_single_valued(modification.attribute):
                reason = "add: fails where the attribute has a value already; replace: always works, and again"
                attribute = modification.attribute
                self._add(modification.line, record.dn, attribute, reason, severity=Severity.WARNING)
        for line in added_values(record):
            problem = line_problem(record.dn, line, self._expand) or condition_problem(record.dn, line)
            if problem is not None:
                self._service(record, problem)

    def _service(self, record: Record, problem: Problem) -> None:
        line, _ = _line_of(record, problem.attribute, problem.value)
        if (line, (problem.attribute or "").lower()) not in self._told:
            self._found.append(self._finding(line, problem))

    def _add_at(self, record: Record, problem: Problem) -> None:
        line, _ = _line_of(record, problem.attribute, problem.value)
        self._add(line, problem.dn, problem.attribute, problem.reason, problem.value)

    def _add(
        self,
        line: int,
        dn: str | None,
        attribute: str | None,
        reason: str,
        value: str | None = None,
        *,
        severity: Severity = Severity.ERROR,
    ) -> None:
        if severity is Severity.ERROR:
            self._told.add((line, (attribute or "").lower()))
        told = value if attribute == "objectClass" else shown(attribute, value)
        problem = Problem(
            dn=self._file.name if dn is None else dn, attribute=attribute, value=told, reason=reason, severity=severity
        )
        self._found.append(self._finding(line, problem))

    def _finding(self, line: int, problem: Problem) -> Finding:
        return Finding(file=self._file.name, record=self._file.record_at(line), line=line, problem=problem)


def added_values(record: Record) -> Iterator[Line]:
    """The lines of a record that give an attribute a value."""
    if isinstance(record, AddEntry):
        yield from record.attributes
    elif isinstance(record, ModifyEntry):
        for modification in record.modifications:
            if modification.operation is not Operation.DELETE:
                yield from modification.values


def _line_of(record: Record, attribute: str | None, value: str | None) -> tuple[int, int]:
    """The line of a record that speaks of an attribute, and how exactly: 3 of its value, 2 of it, 1 of the entry."""
    if attribute is None:
        return record.line, 1
    lines = [line for line in record.lines if line.named(attribute.lower())]
    for line in lines:
        if value is not None and line.value.rstrip(" ") == value.rstrip(" "):
            return line.number, 3
    if lines:
        return lines[-1].number, 2
    if isinstance(record, ModifyEntry):
        for modification in record.modifications:
            if modification.attribute.lower() == attribute.lower():
                return modification.line, 2
    return record.line, 1
