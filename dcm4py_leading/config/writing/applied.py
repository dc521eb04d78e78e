"""Entries with changes applied to them."""

from __future__ import annotations

from collections.abc import Iterable

from dcm4py_leading.config.dn import dn_key
from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.writing.changes import EntryChange, Kind
from dcm4py_leading.config.writing.values import identity, without


def applied(entries: Iterable[Entry], changes: Iterable[EntryChange]) -> tuple[Entry, ...]:
    """The entries with the changes, which fit them: see `conflict_of`."""
    found = {entry.key: entry for entry in entries}
    for change in changes:
        key = dn_key(change.dn)
        if change.kind is Kind.DELETE:
            found.pop(key, None)
        elif change.kind is Kind.ADD:
            found[key] = Entry.of(change.dn, {added.attribute: added.new for added in change.attributes})
        elif key in found:
            found[key] = _modified(found[key], change)
    return tuple(found.values())


def _modified(entry: Entry, change: EntryChange) -> Entry:
    values = {entry.spell(name): entry.values(name) for name in entry}
    for changed in change.attributes:
        name = entry.spell(changed.attribute) if changed.attribute.lower() in entry.attributes else changed.attribute
        kept = without(name, entry.values(name), changed.removed, identity)
        values[name] = (*kept, *changed.added)
    return Entry.of(entry.dn, values)
