"""The embedded directory: the same tree as an LDAP server's, built from LDIF files in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, assert_never

from dcm4py_leading.config.attributes import read_attributes, single_valued
from dcm4py_leading.config.dn import DnKey, dn_key, rdn_values
from dcm4py_leading.config.entry import DEVICES_RDN, Entry
from dcm4py_leading.config.ldif import (
    AddEntry,
    DeleteEntry,
    LdifFile,
    Line,
    Modification,
    ModifyEntry,
    Operation,
    Record,
    read_ldif,
)
from dcm4py_leading.errors import ConfigInvalid, ConfigUnavailable, Problem

_DEVICES = dn_key(DEVICES_RDN)[0]
_AE_CLASSES = ("dicomDevice", "dicomNetworkConnection", "dicomNetworkAE")


class LdifSource:
    """ConfigSource over LDIF files, applied in order; an edited file counts at the next read, as in a directory.

    What stands above the devices carries no configuration, so a file may leave it out. Safe under threads: the parsed
    tree is immutable, and at worst two threads parse the same files.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = tuple(paths)
        self._parsed: tuple[object, tuple[Entry, ...]] | None = None

    def describe(self) -> str:
        """The files."""
        return "LDIF " + ", ".join(str(path) for path in self._paths)

    def entries(self) -> tuple[Entry, ...]:
        """The whole directory, in the order in which the entries were added."""
        state = self._state()
        parsed = self._parsed
        if parsed is None or parsed[0] != state:
            self._parsed = parsed = (state, self._parse())
        return parsed[1]

    def _parse(self) -> tuple[Entry, ...]:
        files = [read_ldif(path) for path in self._paths]
        directory = Directory()
        problems = [problem for file in files for problem in file.problems]
        if not problems:
            problems = [problem for file in files for problem in directory.apply(file)]
        if problems:
            raise ConfigInvalid(problems)
        return tuple(directory)

    def _state(self) -> object:
        """Differs when a file has changed. Raises ConfigUnavailable."""
        try:
            return [(stat.st_ino, stat.st_mtime_ns, stat.st_size) for stat in map(Path.stat, self._paths)]
        except OSError as err:
            raise ConfigUnavailable(f"cannot read the LDIF file {err.filename}: {err.strerror}") from err

    def read_device(self, device_name: str) -> tuple[Entry, ...]:
        """The device and everything below it."""
        entries = self.entries()
        for entry in entries:
            if _is_device(entry.key) and device_name.casefold() in rdn_values(entry.key, "dicomDeviceName"):
                return tuple(_subtree(entries, entry.key))
        return ()

    def read_ae(self, ae_title: str) -> tuple[Entry, ...]:
        """The device of the AE, with its connections and AEs."""
        entries = self.entries()
        for entry in entries:
            # dicomAETitle is caseExact.
            if (
                entry.is_a("dicomNetworkAE")
                and _is_device(entry.key[1:])
                and ae_title in (title.strip() for title in entry.values("dicomAETitle"))
            ):
                below = _subtree(entries, entry.key[1:])
                return tuple(found for found in below if any(found.is_a(name) for name in _AE_CLASSES))
        return ()


class _Refusal(NamedTuple):
    line: int
    reason: str
    attribute: str | None = None
    value: str | None = None


class Directory:
    """An in-memory directory that refuses what a server refuses, as far as the rows know the schema."""

    def __init__(self) -> None:
        self._entries: dict[DnKey, tuple[str, dict[str, list[str]]]] = {}
        self._single_valued = single_valued()
        # Values of other attributes are not shown: a keystore's PIN may be among them.
        self._read = read_attributes()
        self._missing: set[DnKey] = set()

    def __iter__(self) -> Iterator[Entry]:
        return (Entry.of(dn, attributes) for dn, attributes in self._entries.values())

    def apply(self, file: LdifFile) -> list[Problem]:
        """Apply the records of a file in order; returns what was refused, and why."""
        return [
            Problem(
                dn=record.dn,
                attribute=refusal.attribute,
                value=refusal.value if (refusal.attribute or "").lower() in self._read else None,
                reason=f"{refusal.reason} [{file.name}, line {refusal.line}]",
            )
            for record in file.records
            for refusal in self._refusals(record)
        ]

    def _refusals(self, record: Record) -> Iterator[_Refusal]:
        key = dn_key(record.dn)
        match record:
            case AddEntry():
                yield from self._add(key, record)
            case DeleteEntry():
                if key not in self._entries:
                    yield _Refusal(record.line, "cannot delete: there is no such entry")
                elif any(other[-len(key) :] == key for other in self._entries if len(other) > len(key)):
                    yield _Refusal(record.line, "cannot delete: the entry has others below it")
                else:
                    del self._entries[key]
            case ModifyEntry():
                if key not in self._entries:
                    yield _Refusal(record.line, "cannot modify: there is no such entry, so add it first")
                    return
                for modification in record.modifications:
                    yield from self._modify(self._entries[key][1], modification)
            case _:
                assert_never(record)

    def _add(self, key: DnKey, record: AddEntry) -> Iterator[_Refusal]:
        if key in self._entries:
            yield _Refusal(record.line, "cannot add: the entry exists already; change it with changetype: modify")
            return
        parent = key[1:]
        if _needs_parent(key) and parent not in self._entries and parent not in self._missing:
            # Told once, not again for each of a hundred children.
            self._missing.add(parent)
            yield _Refusal(record.line, "cannot add: the entry above it does not exist, so add that first")
        attributes: dict[str, list[str]] = {}
        for line in record.attributes:
            yield from self._add_value(attributes, line)
        if "objectclass" not in (name.lower() for name in attributes):
            yield _Refusal(record.line, "is required, but absent", "objectClass")
        self._entries[key] = (record.dn, attributes)

    def _add_value(self, attributes: dict[str, list[str]], line: Line) -> Iterator[_Refusal]:
        values = _values(attributes, line.name)
        if _find(values, line) is not None:
            yield _Refusal(line.number, "cannot add: the value is there already", line.name, line.value)
        elif values and line.name.lower() in self._single_valued:
            reason = f"cannot add: the attribute takes one value and has {values[0]!r}; use replace"
            yield _Refusal(line.number, reason, line.name, line.value)
        else:
            values.append(line.value)

    def _modify(self, attributes: dict[str, list[str]], modification: Modification) -> Iterator[_Refusal]:
        name = modification.attribute
        values = _values(attributes, name)
        match modification.operation:
            case Operation.ADD:
                for line in modification.values:
                    yield from self._add_value(attributes, line)
            case Operation.REPLACE:
                values.clear()
                for line in modification.values:
                    yield from self._add_value(attributes, line)
            case Operation.DELETE:
                if not modification.values:
                    if not values:
                        yield _Refusal(modification.line, "cannot delete: the entry has no such attribute", name)
                    values.clear()
                for line in modification.values:
                    position = _find(values, line)
                    if position is None:
                        yield _Refusal(line.number, "cannot delete: the entry has no such value", name, line.value)
                    else:
                        del values[position]
            case _:
                assert_never(modification.operation)


def _is_device(key: DnKey) -> bool:
    return bool(rdn_values(key, "dicomDeviceName")) and key[1:2] == (_DEVICES,)


def _needs_parent(key: DnKey) -> bool:
    return any(rdn_values(key[depth:], "dicomDeviceName") for depth in range(1, len(key)))


def _subtree(entries: Sequence[Entry], base: DnKey) -> Iterator[Entry]:
    return (entry for entry in entries if entry.key[-len(base) :] == base)


def _values(attributes: dict[str, list[str]], name: str) -> list[str]:
    """The values under any spelling of the name."""
    for spelt, values in attributes.items():
        if spelt.lower() == name.lower():
            return values
    return attributes.setdefault(name, [])


def _find(values: list[str], line: Line) -> int | None:
    """Where the value stands; object classes are compared without case."""
    if line.named("objectclass"):
        folded = [value.lower() for value in values]
        return folded.index(line.value.lower()) if line.value.lower() in folded else None
    return values.index(line.value) if line.value in values else None
