"""Entries of one device by parent, and those of a class in the order of a document."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from dcm4py_leading.config.device_json.shapes import DEVICE, ObjectShape
from dcm4py_leading.config.dn import DnKey
from dcm4py_leading.config.entry import Entry


class Tree:
    """Entries of one device."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.entries = {entry.key: entry for entry in entries}
        self._below: dict[DnKey, list[Entry]] = defaultdict(list)
        for key, entry in self.entries.items():
            self._below[key[1:]].append(entry)

    def device(self) -> Entry:
        """The dicomDevice entry. Raises ValueError where there is none."""
        found = [entry for entry in self.entries.values() if DEVICE.names(entry)]
        if not found:
            raise ValueError("expected the entries of a dicomDevice")
        return found[0]

    def below(self, key: DnKey, shape: ObjectShape) -> list[Entry]:
        """The entries of a shape below ``key``: rules in the order in which they are tried, others by DN."""
        return sorted((entry for entry in self._below.get(key, ()) if shape.names(entry)), key=_order)


def _order(entry: Entry) -> tuple[int, list[list[tuple[str, str]]], str]:
    return (-priority(entry), [sorted(rdn) for rdn in entry.key[:1]], entry.dn)


def priority(entry: Entry) -> int:
    """dcmRulePriority, 0 where it is absent or cannot be read."""
    try:
        return int((entry.values("dcmRulePriority") or ("0",))[0])
    except ValueError:
        return 0
