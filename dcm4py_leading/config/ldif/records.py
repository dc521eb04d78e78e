"""LDIF content and change records (RFC 2849), each with its line numbers.

Everything wrong in a file is found in one pass, and told with the line and the remedy: ``ldapmodify`` stops at the
first fault with a message that seldom names it, and does nothing at all, silently, with a file pasted with indentation.
"""

from __future__ import annotations

import codecs
import enum
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from dcm4py_leading.config.dn import dn_key, parent_dn
from dcm4py_leading.config.ldif.lines import Fault, Faults, Line, logical, unfolded
from dcm4py_leading.errors import ConfigUnavailable, Problem


class Operation(enum.Enum):
    """Operation of a modification on the values of one attribute."""

    ADD = "add"
    DELETE = "delete"
    REPLACE = "replace"


_CONTROL = re.compile(r"(?P<oid>[0-2](\.(0|[1-9][0-9]*))+)( +(?P<criticality>true|false))?( *::? *.*)?", re.IGNORECASE)
_CHANGE_NOTHING = frozenset(
    (
        "2.16.840.1.113730.3.4.2",  # ManageDsaIT (RFC 3296), which is about referral objects
        "1.3.6.1.1.13.1",  # pre-read and post-read (RFC 4527) only add to the answer
        "1.3.6.1.1.13.2",
    )
)
_NOT_CARRIED_OUT = {
    "1.3.6.1.1.12": "the condition of an assertion control is not looked at here",
    "1.2.840.113556.1.4.805": "the tree delete control is not carried out here",
    "1.3.6.1.4.1.4203.666.5.2": "the no-op control, with which nothing is changed, is not carried out here",
    "1.3.6.1.4.1.4203.666.5.12": "the relax control, which lifts rules of the schema, is not carried out here",
    "2.16.840.1.113730.3.4.18": "the proxied authorization control is not carried out here",
}
"""Controls that change what the record does, or whether it may."""
_OPERATIONS = frozenset(operation.value for operation in Operation)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class RenameEntry:
    """``changetype: modrdn`` or ``moddn``."""

    dn: str
    lines: tuple[Line, ...]
    new_rdn: str
    deletes_old_rdn: bool
    new_superior: str | None

    @property
    def line(self) -> int:
        """Where the record starts."""
        return self.lines[0].number

    @property
    def new_dn(self) -> str:
        """The DN after it."""
        above = parent_dn(self.dn) if self.new_superior is None else self.new_superior
        return f"{self.new_rdn},{above}" if above else self.new_rdn


Record = AddEntry | DeleteEntry | ModifyEntry | RenameEntry


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
    return decode_ldif(data, str(path))


def decode_ldif(data: bytes, name: str) -> LdifFile:
    """Read the octets of a file; ``name`` stands for it in messages."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        line = data.count(b"\n", 0, err.start) + 1
        fault = Fault(line=line, reason="expected UTF-8; save the file in that encoding")
        return LdifFile(name=name, records=(), faults=(fault,))
    return replace(parse_ldif(text, name), has_byte_order_mark=data.startswith(codecs.BOM_UTF8))


def parse_ldif(text: str, name: str) -> LdifFile:
    """Read LDIF text; ``name`` stands for it in messages."""
    faults = Faults()
    found = list(_records(text, faults))
    records = [record for lines in found if (record := _record(lines, faults)) is not None]
    _refuse_mixture(records, faults)
    starts = tuple(lines[0].number for lines in found)
    return LdifFile(name=name, records=tuple(records), faults=tuple(faults.found), starts=starts)


def _records(text: str, faults: Faults) -> Iterator[list[Line]]:
    """The logical lines of each record; comments and the version line are gone."""
    record: list[Line] = []
    for number, line in unfolded(text, faults):
        if line == "":
            if record:
                yield record
            record = []
            continue
        parsed = logical(number, line, faults)
        if parsed is None:
            continue
        if not record and parsed.named("version"):
            if parsed.value.strip() != "1":
                faults.add(number, f"version {parsed.value} of LDIF is unknown: expected version: 1")
            continue
        record.append(parsed)
    if record:
        yield record


def _record(lines: list[Line], faults: Faults) -> Record | None:
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
    while rest and rest[0].named("control"):
        _control(rest[0], dn, faults)
        rest = rest[1:]
    if rest and rest[0].name.lower() in _OPERATIONS:
        faults.add(head.number, "the record has no changetype: put 'changetype: modify' below the dn", dn)
        return _modify(dn, lines, rest, faults)
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
            return _rename(dn, lines, body, faults)
        case _:
            faults.add(rest[0].number, f"expected changetype add, delete, modify or modrdn, not {kind!r}", dn)
    return None


def _control(line: Line, dn: str, faults: Faults) -> None:
    """Take a control (RFC 2849), or tell why not."""
    match = _CONTROL.fullmatch(line.value.strip())
    if match is None:
        faults.add(line.number, "expected control: OID, true or false if wanted, and ':' with a value if wanted", dn)
    elif match["oid"] in _CHANGE_NOTHING:
        return
    elif match["oid"] in _NOT_CARRIED_OUT:
        faults.add(line.number, f"{_NOT_CARRIED_OUT[match['oid']]}: remove the line", dn, is_ours=True)
    elif (match["criticality"] or "").lower() == "true":
        reason = f"controls are not applied here, and a server that does not know {match['oid']} refuses the record"
        faults.add(line.number, f"{reason}, as it is critical: remove the line, or write false", dn)


def _add(dn: str, lines: list[Line], body: list[Line], faults: Faults, *, is_content: bool) -> AddEntry:
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


def _modify(dn: str, lines: list[Line], body: list[Line], faults: Faults) -> ModifyEntry:
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


def _rename(dn: str, lines: list[Line], body: list[Line], faults: Faults) -> RenameEntry | None:
    names = [line.name.lower() for line in body]
    if names not in (["newrdn", "deleteoldrdn"], ["newrdn", "deleteoldrdn", "newsuperior"]):
        faults.add(lines[0].number, "expected newrdn, deleteoldrdn and, if wanted, newsuperior, each once", dn)
        return None
    new_rdn, deletes, *above = (line.value.strip() for line in body)
    try:
        for name in (new_rdn, *above):
            dn_key(name)
    except ValueError as err:
        faults.add(body[0].number, str(err), dn)
        return None
    if deletes not in ("0", "1"):
        # ldapmodify takes what does not begin with 0 for 1, and RFC 2849 knows neither.
        faults.add(body[1].number, f"deleteoldrdn: expected 0 or 1, not {deletes!r}", dn, is_ours=True)
        return None
    return RenameEntry(
        dn=dn,
        lines=tuple(lines),
        new_rdn=new_rdn,
        deletes_old_rdn=deletes == "1",
        new_superior=above[0] if above else None,
    )


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


def _refuse_mixture(records: list[Record], faults: Faults) -> None:
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
