"""Conflicts of a change with an entry that has changed since the change was made."""

from __future__ import annotations

from collections.abc import Iterable

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.ldif.schema import is_single_valued
from dcm4py_leading.config.secret_values import masked
from dcm4py_leading.config.writing.changes import AttributeChange, EntryChange, Kind
from dcm4py_leading.config.writing.values import identity, without
from dcm4py_leading.errors import WriteConflict


def conflict_of(change: EntryChange, found: Entry | None) -> WriteConflict | None:
    """Conflict with what somebody else has done to the entry, as far as the change would overwrite it; else None."""
    if change.kind is Kind.ADD:
        return None if found is None else WriteConflict(change.dn)
    if found is None:
        return WriteConflict(change.dn)
    if change.kind is Kind.DELETE:
        return _of_whole(change, found)
    for attribute in change.attributes:
        if _is_overtaken(attribute, found.values(attribute.attribute)):
            return _conflict(change.dn, attribute.attribute, attribute.old, found)
    return None


def _is_overtaken(change: AttributeChange, values: tuple[str, ...]) -> bool:
    name = change.attribute
    if without(name, change.removed, values, identity):
        return True
    kept = without(name, values, change.removed, identity)
    if len(without(name, change.added, kept, identity)) < len(change.added):
        return True
    return is_single_valued(name) and bool(kept) and bool(change.added)


def _of_whole(change: EntryChange, found: Entry) -> WriteConflict | None:
    """An entry is deleted as it was seen, or not at all."""
    seen = {attribute.attribute.lower(): attribute.old for attribute in change.attributes}
    for name in dict.fromkeys((*seen, *found)):
        old, new = seen.get(name, ()), found.values(name)
        if without(name, old, new, identity) or without(name, new, old, identity):
            return _conflict(change.dn, found.spell(name), old, found)
    return None


def _conflict(dn: str, attribute: str, expected: Iterable[str], found: Entry) -> WriteConflict:
    classes = found.values("objectClass")
    return WriteConflict(
        dn,
        attribute,
        (masked(attribute, value, classes) for value in expected),
        (masked(attribute, value, classes) for value in found.values(attribute)),
    )
