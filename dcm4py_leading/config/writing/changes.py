"""Smallest set of changes that turns the entries of a directory into others."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dcm4py_leading.config.dn import DnKey, rdn_assertions
from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.ldif.schema import spelt
from dcm4py_leading.config.writing.values import identity, spelling, without
from dcm4py_leading.errors import Problem, WriteRefused

_NAME = re.compile(r"([a-z][a-z0-9-]*|[0-9]+(\.[0-9]+)+)(;[a-z0-9-]+)*", re.IGNORECASE)
"""An attribute with its options (RFC 4512 2.5)."""


class Kind(enum.Enum):
    """Kind of change of an entry."""

    ADD = "add"
    MODIFY = "modify"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeChange:
    """One attribute before and after, each with all of its values; empty where it is absent."""

    attribute: str
    old: tuple[str, ...]
    new: tuple[str, ...]

    @property
    def removed(self) -> tuple[str, ...]:
        """The values that are taken away."""
        return without(self.attribute, self.old, self.new)

    @property
    def added(self) -> tuple[str, ...]:
        """The values that come."""
        return without(self.attribute, self.new, self.old)

    def reversed(self) -> AttributeChange:
        """The way back."""
        return AttributeChange(attribute=self.attribute, old=self.new, new=self.old)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryChange:
    """One entry to add, modify or delete. Of one to add or delete ``attributes`` are all that it has."""

    dn: str
    kind: Kind
    attributes: tuple[AttributeChange, ...]

    def reversed(self) -> EntryChange:
        """The way back."""
        kind = {Kind.ADD: Kind.DELETE, Kind.DELETE: Kind.ADD}.get(self.kind, self.kind)
        return EntryChange(dn=self.dn, kind=kind, attributes=tuple(change.reversed() for change in self.attributes))


def changes_between(old: Iterable[Entry], new: Iterable[Entry]) -> tuple[EntryChange, ...]:
    """Changes that make ``new`` of ``old``; empty when nothing differs. The order of values is no difference.

    First come entries to add, parents before children and connections before AEs, which refer to them; then those to
    modify; then those to delete, children before parents: so each step leaves a tree in which nothing refers to what
    is not there. Raises WriteRefused for a change of what an entry is named by, and for a value that stands twice.
    """
    before, after = _by_key(old), _by_key(new)
    problems = [problem for entry in after.values() for problem in _problems(entry, before.get(entry.key))]
    if problems:
        raise WriteRefused(problems)
    come = sorted((entry for key, entry in after.items() if key not in before), key=_order)
    gone = sorted((entry for key, entry in before.items() if key not in after), key=_order, reverse=True)
    modified = (_modified(before[key], entry) for key, entry in after.items() if key in before)
    return (
        *(EntryChange(dn=entry.dn, kind=Kind.ADD, attributes=tuple(_whole(entry))) for entry in come),
        *(change for change in modified if change is not None),
        *(
            EntryChange(dn=entry.dn, kind=Kind.DELETE, attributes=tuple(change.reversed() for change in _whole(entry)))
            for entry in gone
        ),
    )


def _by_key(entries: Iterable[Entry]) -> dict[DnKey, Entry]:
    found: dict[DnKey, Entry] = {}
    for entry in entries:
        try:
            key = entry.key
        except ValueError as err:
            raise WriteRefused([Problem(dn=entry.dn, reason=str(err))]) from err
        if key in found:
            raise WriteRefused([Problem(dn=entry.dn, reason="cannot save: the entry stands twice in what is wanted")])
        found[key] = entry
    return found


def _order(entry: Entry) -> tuple[int, bool]:
    return len(entry.key), not entry.is_a("dicomNetworkConnection")


def _whole(entry: Entry) -> Iterator[AttributeChange]:
    """All attributes of a new entry; those of its RDN too, which some servers do not add by themselves."""
    naming = {name.lower(): (name, value) for name, value in rdn_assertions(entry.dn)}
    for name in sorted(entry, key=lambda name: name != "objectclass"):
        naming.pop(name, None)
        yield AttributeChange(attribute=spelt(entry.spell(name)), old=(), new=entry.values(name))
    for name, value in naming.values():
        yield AttributeChange(attribute=name, old=(), new=(value,))


def _modified(old: Entry, new: Entry) -> EntryChange | None:
    changes = []
    for name in dict.fromkeys((*old, *new)):
        spelling = (old if name in old.attributes else new).spell(name)
        change = AttributeChange(attribute=spelt(spelling), old=old.values(name), new=new.values(name))
        if change.removed or change.added:
            changes.append(change)
    return EntryChange(dn=old.dn, kind=Kind.MODIFY, attributes=tuple(changes)) if changes else None


def _problems(new: Entry, old: Entry | None) -> Iterator[Problem]:
    for name in new:
        if not _NAME.fullmatch(name):
            yield Problem(dn=new.dn, attribute=ascii(name)[1:-1], reason="cannot save: it is no name of an attribute")
        values = new.values(name)
        if len({identity(name, value) for value in values}) < len(values) and not _stood_so(name, values, old):
            yield Problem(dn=new.dn, attribute=new.spell(name), reason="cannot save: a value stands in it twice")
    for name, value in rdn_assertions(new.dn):
        values = new.values(name)
        if old is None and not values:
            continue  # it is added
        if _plain(value) not in map(_plain, values):
            reason = f"cannot save: {value} is in the entry's name, and an entry is not renamed here: make a copy with"
            yield Problem(dn=new.dn, attribute=name, reason=f"{reason} another name, and delete this one")


def _plain(value: str) -> str:
    """A value as names are compared."""
    return " ".join(value.split()).casefold()


def _stood_so(name: str, values: tuple[str, ...], old: Entry | None) -> bool:
    """True if the values are those of before, which the server has taken."""
    return old is not None and {spelling(name, value) for value in old.values(name)} == {
        spelling(name, value) for value in values
    }
