"""Recording of what was read from a directory, so that another process sees the same, and changes are noticed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

from dcm4py_leading.config.attributes import OBJECT_CLASSES
from dcm4py_leading.config.entry import Entry

Entries = tuple[Entry, ...]

_IN_ORDER = frozenset(row.attribute.lower() for found in OBJECT_CLASSES for row in found.rows if row.collect is tuple)
"""Attributes whose values have an order that means something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """The answers of a directory: entries by device name, and by AE title."""

    devices: Mapping[str, Entries] = field(default_factory=dict)
    aes: Mapping[str, Entries] = field(default_factory=dict)
    refusal: str | None = None
    """Fault of a directory that could be reached, but not be read: a broken LDIF file, no root."""

    def to_json(self) -> dict[str, object]:
        """As JSON values."""
        return {
            "devices": {name: [_to_json(entry) for entry in entries] for name, entries in self.devices.items()},
            "aes": {title: [_to_json(entry) for entry in entries] for title, entries in self.aes.items()},
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Mapping[str, list[dict[str, str | dict[str, list[str]]]]]]) -> Self:
        """Recording of which `to_json` made these values."""
        return cls(
            devices={name: tuple(map(_entry, entries)) for name, entries in value["devices"].items()},
            aes={title: tuple(map(_entry, entries)) for title, entries in value["aes"].items()},
        )

    def digest(self) -> str:
        """Equal for equal entries, whichever server they come from: as it spells DNs, orders values, adds ``top``."""
        found = [
            [kind, name, sorted(_canonical(entry) for entry in entries)]
            for kind, answers in (("device", self.devices), ("AE", self.aes))
            for name, entries in sorted(answers.items())
        ]
        return hashlib.sha256(json.dumps([found, self.refusal]).encode()).hexdigest()

    def changed_since(self, old: Recording) -> list[str]:
        """The DNs of entries that are new, or other than they were."""
        before = {json.dumps(_canonical(entry)) for entry in old.entries()}
        return list(dict.fromkeys(entry.dn for entry in self.entries() if json.dumps(_canonical(entry)) not in before))

    def entries(self) -> Iterator[Entry]:
        """All entries; one that answers several questions comes with each."""
        for answers in (self.devices, self.aes):
            for entries in answers.values():
                yield from entries


def _canonical(entry: Entry) -> list[object]:
    try:
        dn: object = [sorted(rdn) for rdn in entry.key]
    except ValueError:  # told when it is loaded
        dn = entry.dn
    return [
        json.dumps(dn),
        sorted(
            [name, list(values) if name in _IN_ORDER else sorted(values)]
            if name != "objectclass"
            else [name, sorted({value.strip().lower() for value in values} - {"top"})]
            for name, values in entry.attributes.items()
        ),
    ]


def _to_json(entry: Entry) -> dict[str, object]:
    return {"dn": entry.dn, "attributes": dict(entry.attributes), "spelling": dict(entry.spelling)}


def _entry(value: dict[str, str | dict[str, list[str]]]) -> Entry:
    dn, attributes, spelling = value["dn"], value["attributes"], value["spelling"]
    assert isinstance(dn, str) and isinstance(attributes, dict) and isinstance(spelling, dict)
    return Entry(
        dn, {name: tuple(values) for name, values in attributes.items()}, {k: str(v) for k, v in spelling.items()}
    )
