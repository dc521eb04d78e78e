"""Directory in memory that refuses the change records that a server would refuse."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import assert_never

from dcm4py_leading.config.attributes import read_attributes
from dcm4py_leading.config.dn import DnKey, dn_key, parent_dn, rdn_assertions, rdn_values
from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.ldif.lines import Line
from dcm4py_leading.config.ldif.records import (
    AddEntry,
    DeleteEntry,
    LdifFile,
    Modification,
    ModifyEntry,
    Operation,
    Record,
    RenameEntry,
)
from dcm4py_leading.config.ldif.schema import attribute_types, is_single_valued
from dcm4py_leading.errors import Problem

_READ = read_attributes()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Objection of a server to one line of a record."""

    line: int
    reason: str
    attribute: str | None = None
    value: str | None = None


@dataclass(frozen=True, slots=True)
class _Held:
    """An entry on its way: its attributes are changed in place."""

    dn: str
    attributes: dict[str, list[str]]
    is_whole: bool
    """True if ``attributes`` is all that it has."""


class Directory:
    """Entries, to which records are applied one by one.

    With ``knows_all`` what it does not hold does not exist; without, it is as if it stood over a server that nobody
    has asked: only what contradicts the records before is refused. What stands above the devices carries no
    configuration; with ``needs_all_parents`` an entry there too wants one above it.
    """

    def __init__(
        self, entries: Iterable[Entry] = (), *, knows_all: bool = True, needs_all_parents: bool = False
    ) -> None:
        self._entries: dict[DnKey, _Held] = {}
        for entry in entries:
            attributes = {entry.spell(name): list(entry.values(name)) for name in entry}
            self._entries[entry.key] = _Held(entry.dn, attributes, is_whole=True)
        self._knows_all = knows_all
        self._needs_all_parents = needs_all_parents
        self._gone: set[DnKey] = set()
        self._missing: set[DnKey] = set()

    def __iter__(self) -> Iterator[Entry]:
        return (Entry.of(held.dn, held.attributes) for held in self._entries.values() if held.is_whole)

    def entry(self, key: DnKey) -> Entry | None:
        """The entry as it is now; None if there is none, or it is not known as a whole."""
        held = self._entries.get(key)
        return Entry.of(held.dn, held.attributes) if held is not None and held.is_whole else None

    def apply(self, file: LdifFile) -> list[Problem]:
        """Apply the records of a file in order; returns what was refused, and why."""
        return [
            Problem(
                dn=record.dn,
                attribute=refusal.attribute,
                value=shown(refusal.attribute, refusal.value),
                reason=f"{refusal.reason} [{file.name}, line {refusal.line}]",
            )
            for record in file.records
            for refusal in self.apply_record(record)
        ]

    def apply_record(self, record: Record) -> list[Refusal]:
        """Apply one record as far as it can be; returns what was refused."""
        return list(self._refusals(record))

    def _refusals(self, record: Record) -> Iterator[Refusal]:
        key = dn_key(record.dn)
        match record:
            case AddEntry():
                yield from self._add(key, record)
            case DeleteEntry():
                if self._is_missing(key):
                    yield Refusal(record.line, "cannot delete: there is no such entry")
                elif any(other[-len(key) :] == key for other in self._entries if len(other) > len(key)):
                    yield Refusal(record.line, "cannot delete: the entry has others below it")
                else:
                    self._entries.pop(key, None)
                    self._gone.add(key)
            case ModifyEntry():
                if self._is_missing(key):
                    yield Refusal(record.line, "cannot modify: there is no such entry, so add it first")
                    return
                held = self._entries.setdefault(key, _Held(record.dn, {}, is_whole=False))
                for modification in record.modifications:
                    yield from self._modify(held, modification)
                yield from _naming_faults(held, record)
            case RenameEntry():
                yield from self._rename(key, record)
            case _:
                assert_never(record)

    def _is_missing(self, key: DnKey) -> bool:
        return key not in self._entries and (self._knows_all or key in self._gone)

    def _add(self, key: DnKey, record: AddEntry) -> Iterator[Refusal]:
        if key in self._entries:
            yield Refusal(record.line, "cannot add: the entry exists already; change it with changetype: modify")
            return
        if not self._has_parent(key) and key[1:] not in self._missing:
            # Told once, not again for each of a hundred children.
            self._missing.add(key[1:])
            yield Refusal(record.line, "cannot add: the entry above it does not exist, so add that first")
        attributes: dict[str, list[str]] = {}
        for line in record.attributes:
            yield from _add_value(attributes, line, "")
        if "objectclass" not in (name.lower() for name in attributes):
            yield Refusal(record.line, "is required, but absent", "objectClass")
        _add_naming_values(attributes, record.dn)
        self._entries[key] = _Held(record.dn, attributes, is_whole=True)
        self._gone.discard(key)

    def _has_parent(self, key: DnKey) -> bool:
        needs_parent = _is_below_a_device(key) or (self._needs_all_parents and len(key) > 1)
        return not (needs_parent and self._is_missing(key[1:]))

    def _rename(self, key: DnKey, record: RenameEntry) -> Iterator[Refusal]:
        new_key = dn_key(record.new_dn)
        if self._is_missing(key):
            yield Refusal(record.line, "cannot rename: there is no such entry")
            return
        if new_key in self._entries and new_key != key:
            yield Refusal(record.line, "cannot rename: the new name is taken")
            return
        if not self._has_parent(new_key):
            yield Refusal(record.line, "cannot rename: the entry above the new name does not exist")
            return
        kept = [] if record.deletes_old_rdn else rdn_assertions(record.dn)
        new_names = {name.lower() for name, _ in rdn_assertions(record.new_rdn)}
        for name, value in kept:
            if is_single_valued(name) and name.lower() in new_names and new_key[0] != key[0]:
                reason = "cannot keep the old name, as the attribute takes one value: write deleteoldrdn: 1"
                yield Refusal(record.line, reason, name, value)
                return
        moved = {other: held for other, held in self._entries.items() if other[-len(key) :] == key}
        for other, held in moved.items():
            del self._entries[other]
            above = held.dn
            for _ in range(len(other) - len(key)):
                above = parent_dn(above)
            new_dn = held.dn[: len(held.dn) - len(above)] + record.new_dn
            self._entries[other[: len(other) - len(key)] + new_key] = replace(held, dn=new_dn)
        self._gone.add(key)
        self._gone.discard(new_key)
        if new_key in self._entries:
            attributes = self._entries[new_key].attributes
            if record.deletes_old_rdn:
                for name, value in rdn_assertions(record.dn):
                    values = _values(attributes, name)
                    values[:] = [other for other in values if other.strip().casefold() != value.casefold()]
            _add_naming_values(attributes, record.new_rdn)

    def _modify(self, held: _Held, modification: Modification) -> Iterator[Refusal]:
        name = modification.attribute
        values = _values(held.attributes, name)
        match modification.operation:
            case Operation.ADD:
                for line in modification.values:
                    yield from _add_value(held.attributes, line, "; use replace")
            case Operation.REPLACE:
                values.clear()
                for line in modification.values:
                    yield from _add_value(held.attributes, line, "")
            case Operation.DELETE:
                if not modification.values:
                    if not values and held.is_whole:
                        yield Refusal(modification.line, "cannot delete: the entry has no such attribute", name)
                    values.clear()
                for line in modification.values:
                    position = _find(values, line)
                    if position is not None:
                        del values[position]
                    elif held.is_whole:
                        yield Refusal(line.number, "cannot delete: the entry has no such value", name, line.value)
            case _:
                assert_never(modification.operation)


def shown(attribute: str | None, value: str | None) -> str | None:
    """The value, for a message. Those of attributes that nobody reads are kept: a keystore's PIN may be among them."""
    return value if (attribute or "").partition(";")[0].lower() in _READ else None


def _add_value(attributes: dict[str, list[str]], line: Line, remedy: str) -> Iterator[Refusal]:
    values = _values(attributes, line.name)
    if _find(values, line) is not None:
        if not is_single_valued(line.name):
            remedy = ""
        yield Refusal(line.number, f"cannot add: the value is there already{remedy}", line.name, line.value)
    elif values and is_single_valued(line.name):
        there = shown(line.name, values[0])
        has = "has one already" if there is None else f"has {there!r}"
        yield Refusal(
            line.number, f"cannot add: the attribute takes one value and {has}{remedy}", line.name, line.value
        )
    else:
        values.append(line.value)


def _add_naming_values(attributes: dict[str, list[str]], dn: str) -> None:
    """As a server does (RFC 4511 4.7, 4.9): the RDN's values are the entry's, whether it is given them or not."""
    for name, value in rdn_assertions(dn):
        values = _values(attributes, name)
        if value.casefold() not in (other.strip().casefold() for other in values):
            values.append(value)


def _naming_faults(held: _Held, record: ModifyEntry) -> Iterator[Refusal]:
    """The values of its RDN that an entry would lose, which a server refuses (RFC 4511 4.6)."""
    touched = {modification.attribute.lower(): modification.line for modification in record.modifications}
    for name, value in rdn_assertions(held.dn):
        there = {other.strip().casefold() for other in _values(held.attributes, name)}
        if name.lower() in touched and value.strip().casefold() not in there:
            reason = f"cannot take {value} away, as it is in the entry's DN: rename it by changetype: modrdn"
            yield Refusal(touched[name.lower()], reason, name)
            _values(held.attributes, name).append(value)


def _is_below_a_device(key: DnKey) -> bool:
    return any(rdn_values(key[depth:], "dicomDeviceName") for depth in range(1, len(key)))


def _values(attributes: dict[str, list[str]], name: str) -> list[str]:
    """The values under any spelling of the name."""
    for spelt, values in attributes.items():
        if spelt.lower() == name.lower():
            return values
    return attributes.setdefault(name, [])


def _find(values: list[str], line: Line) -> int | None:
    """Where the value stands, compared as the schema says."""
    known = attribute_types().get(line.name.lower())
    if line.named("objectclass") or (known is not None and known.ignores_case):
        folded = [value.casefold() for value in values]
        return folded.index(line.value.casefold()) if line.value.casefold() in folded else None
    return values.index(line.value) if line.value in values else None
