"""LDIF content and change records (RFC 2849), each with its line numbers.

Everything wrong in a file is found in one pass, and told with the line and the remedy: ``ldapmodify`` stops at the
first fault with a message that seldom names it, and does nothing at all, silently, with a file pasted with indentation.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import enum
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from dcm4py_leading.config.dn import dn_key
from dcm4py_leading.config.entry import text_of
from dcm4py_leading.errors import ConfigUnavailable, Problem


@dataclass(frozen=True, slots=True)
class Line:
    """A logical line: unfolded, decoded. ``name`` is ``-`` for the end of a modification, ``value`` what follows."""

    number: int
    """Of its first physical line, counted from 1."""
    name: str
    value: str

    def named(self, name: str) -> bool:
        """Whether it has this attribute or keyword, in any case."""
        return self.name.lower() == name


class Operation(enum.Enum):
    """What a modification does with the values of one attribute."""

    ADD = "add"
    DELETE = "delete"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True, kw_only=True)
class Modification:
    """One step of a modify record. DELETE and REPLACE without values remove the attribute."""

    line: int
    operation: Operation
    attribute: str
    values: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AddEntry:
    """An entry to add: ``changetype: add``, or a content record."""

    dn: str
    lines: tuple[Line, ...]
    """As in the file, from the dn line on."""
    attributes: tuple[Line, ...]
    is_content: bool

    @property
    def line(self) -> int:
        """Where the record starts."""
        return self.lines[0].number


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteEntry:
    """``changetype: delete``."""

    dn: str
    lines: tuple[Line, ...]

    @property
    def line(self) -> int:
        """Where the record starts."""
        return self.lines[0].number


@dataclass(frozen=True, slots=True, kw_only=True)
class ModifyEntry:
    """``changetype: modify``."""

    dn: str
    lines: tuple[Line, ...]
    modifications: tuple[Modification, ...]

    @property
    def line(self) -> int:
        """Where the record starts."""
        return self.lines[0].number


Record = AddEntry | DeleteEntry | ModifyEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why a line cannot be read as it stands, in terms of the remedy."""

    line: int
    reason: str
    dn: str | None = None
    """Of the record, where that is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LdifFile:
    """A file as far as it could be read, and everything wrong in it."""

    name: str
    records: tuple[Record, ...]
    faults: tuple[Fault, ...]
    starts: tuple[int, ...] = ()
    """The first line of each record, also of those that could not be read."""
    has_byte_order_mark: bool = False

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The faults as problems of the entries, else of the file."""
        return tuple(
            Problem(dn=self.name, reason=f"line {fault.line}: {fault.reason}")
            if fault.dn is None
            else Problem(dn=fault.dn, reason=f"{self.name}, line {fault.line}: {fault.reason}")
            for fault in self.faults
        )

    def record_at(self, line: int) -> int:
        """The number of the record to which a line belongs, counted from 1."""
        return max(1, bisect_right(self.starts, line))


def read_ldif(path: Path) -> LdifFile:
    """Read one file. Raises ConfigUnavailable when it cannot be opened."""
    try:
        data = path.read_bytes()
    except OSError as err:
        raise ConfigUnavailable(f"cannot read the LDIF file {path}: {err.strerror}") from err
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        line = data.count(b"\n", 0, err.start) + 1
        fault = Fault(line=line, reason="expected UTF-8; save the file in that encoding")
        return LdifFile(name=str(path), records=(), faults=(fault,))
    return replace(parse_ldif(text, str(path)), has_byte_order_mark=data.startswith(codecs.BOM_UTF8))


def parse_ldif(text: str, name: str) -> LdifFile:
    """Read LDIF text; ``name`` stands for it in messages."""
    faults = _Faults()
    found = list(_records(text, faults))
    records = [record for lines in found if (record := _record(lines, faults)) is not None]
    _refuse_mixture(records, faults)
    starts = tuple(lines[0].number for lines in found)
    return LdifFile(name=name, records=tuple(records), faults=tuple(faults.found), starts=starts)


class _Faults:
    """The faults of one file."""

    def __init__(self) -> None:
        self.found: list[Fault] = []

    def add(self, line: int, reason: str, dn: str | None = None) -> None:
        self.found.append(Fault(line=line, reason=reason, dn=dn))


# Physical to logical lines.

_LINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9.;-]*)(::|:<|:)")
_STARTS_RECORD = re.compile(r"\s+(dn|changetype|objectclass|version)::?(\s|$)", re.IGNORECASE)


def _records(text: str, faults: _Faults) -> Iterator[list[Line]]:
    """The logical lines of each record; comments and the version line are gone."""
    record: list[Line] = []
    for number, line in _unfolded(text, faults):
        if line == "":
            if record:
                yield record
            record = []
            continue
        parsed = _logical(number, line, faults)
        if parsed is None:
            continue
        if not record and parsed.named("version"):
            if parsed.value.strip() != "1":
                faults.add(number, f"version {parsed.value} of LDIF is unknown: expected version: 1")
            continue
        record.append(parsed)
    if record:
        yield record


def _unfolded(text: str, faults: _Faults) -> Iterator[tuple[int, str]]:
    """Logical lines with the number of their first physical line; '' is the blank line that ends a record."""
    start, parts = 0, [""]
    for number, line in enumerate(_unindented(text.replace("\r\n", "\n").split("\n"), faults), start=1):
        if line and not line.strip():
            # A continuation by the letter of RFC 2849: the next record would be read as part of this one.
            faults.add(number, "the line holds only blanks, which does not end a record: make it empty")
            line = ""
        if line.startswith(" ") and start:
            parts.append(line[1:])
            continue
        if line[:1] in (" ", "\t"):
            faults.add(number, "the line is indented, but there is no line before it to continue")
            line = line.lstrip()
        if start:
            yield start, "".join(parts)
        start, parts = (number, [line]) if line else (0, [""])
        if not line:
            yield number, ""
    if start:
        yield start, "".join(parts)


def _unindented(lines: list[str], faults: _Faults) -> list[str]:
    """Undo, and report once, the indentation of text pasted from a page: each line would continue the one before."""
    for number, line in enumerate(lines, start=1):
        match = _STARTS_RECORD.match(line)
        if match is not None:
            faults.add(
                number, "the text is indented, so each line only continues the one before: remove the indentation"
            )
            width = match.start(1)
            return [line[min(width, len(line) - len(line.lstrip())) :] for line in lines]
    return lines


def _logical(number: int, line: str, faults: _Faults) -> Line | None:
    if line.startswith("#"):
        return None
    if line.rstrip() == "-":
        return Line(number, "-", line[1:])
    match = _LINE.match(line)
    if match is None:
        faults.add(number, f"expected 'attribute: value', not {line[:40]!r}")
        return None
    name, mark = match[1], match[2]
    value = line[match.end() :].lstrip(" ")
    if mark == ":<":
        faults.add(
            number,
            f"{name}: values from a URL are not read, since a configuration must not open other files:"
            " write the value here, in base64 after '::'",
        )
        return None
    if mark == "::":
        try:
            value = text_of(base64.b64decode(value.rstrip(), validate=True))
        except (binascii.Error, ValueError):
            faults.add(number, f"{name}: expected base64 after '::'")
            return None
    return Line(number, name, value)


# Logical lines to records.


def _record(lines: list[Line], faults: _Faults) -> Record | None:
    head, *rest = lines
    if not head.named("dn"):
        faults.add(head.number, f"a record must begin with 'dn:', not {head.name!r}: is a blank line too many above?")
        return None
    dn = head.value.strip()
    try:
        dn_key(dn)
    except ValueError as err:
        faults.add(head.number, str(err), dn or None)
        return None
    for line in rest:
        if line.named("dn"):
            faults.add(line.number, "a second dn in one record: put a blank line before it", dn)
            return None
    if rest and rest[0].named("control"):
        faults.add(rest[0].number, "controls are not applied: remove the line", dn)
        return None
    if not rest or not rest[0].named("changetype"):
        return _add(dn, lines, rest, faults, is_content=True)
    kind = rest[0].value.strip().lower()
    body = rest[1:]
    match kind:
        case "add":
            return _add(dn, lines, body, faults, is_content=False)
        case "delete":
            if body:
                faults.add(body[0].number, "nothing may follow changetype: delete", dn)
            return DeleteEntry(dn=dn, lines=tuple(lines))
        case "modify":
            return _modify(dn, lines, body, faults)
        case "modrdn" | "moddn":
            faults.add(
                rest[0].number,
                f"changetype: {kind} is not applied here: delete the entry and add it under its new name",
                dn,
            )
        case _:
            faults.add(rest[0].number, f"expected changetype add, delete or modify, not {kind!r}", dn)
    return None


def _add(dn: str, lines: list[Line], body: list[Line], faults: _Faults, *, is_content: bool) -> AddEntry:
    attributes = []
    for line in body:
        if line.name == "-":
            faults.add(line.number, "'-' ends a modification, and an entry to add has none: remove the line", dn)
        elif line.named("changetype"):
            faults.add(line.number, "changetype must stand directly below the dn", dn)
        else:
            attributes.append(line)
    if not attributes:
        faults.add(lines[0].number, "the entry has no attributes", dn)
    return AddEntry(dn=dn, lines=tuple(lines), attributes=tuple(attributes), is_content=is_content)


def _modify(dn: str, lines: list[Line], body: list[Line], faults: _Faults) -> ModifyEntry:
    modifications = []
    for group in _groups(body):
        head, *values = group
        try:
            operation = Operation(head.name.lower())
        except ValueError:
            faults.add(head.number, f"a modification must begin with add:, delete: or replace:, not {head.name!r}", dn)
            continue
        attribute = head.value.strip()
        for line in values:
            if not line.named(attribute.lower()):
                faults.add(
                    line.number,
                    f"expected {attribute}, as {head.name} says, not {line.name}: is a line with '-' missing above?",
                    dn,
                )
        if operation is Operation.ADD and not values:
            faults.add(head.number, f"add: {attribute} has no value below it", dn)
        modifications.append(
            Modification(line=head.number, operation=operation, attribute=attribute, values=tuple(values))
        )
    if not modifications:
        faults.add(lines[0].number, "changetype: modify without a modification", dn)
    return ModifyEntry(dn=dn, lines=tuple(lines), modifications=tuple(modifications))


def _groups(body: list[Line]) -> Iterator[list[Line]]:
    """The lines of each modification; the last '-' may be missing."""
    group: list[Line] = []
    for line in body:
        if line.name == "-":
            if group:
                yield group
            group = []
        else:
            group.append(line)
    if group:
        yield group


def _refuse_mixture(records: list[Record], faults: _Faults) -> None:
    """RFC 2849: a file holds entries or changes, never both. ldapmodify takes the former for a broken change."""
    changes = [record for record in records if not (isinstance(record, AddEntry) and record.is_content)]
    if not changes:
        return
    for record in records:
        if isinstance(record, AddEntry) and record.is_content:
            faults.add(
                record.line,
                f"the record has no changetype, but the file holds changes (line {changes[0].line}):"
                " put 'changetype: add' below the dn",
                record.dn,
            )
