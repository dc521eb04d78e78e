"""Entries of a document: those that exist, changed as the document asks.

What a document leaves out: an attribute is taken away, unless it would not have been told anyway (a secret, a value
that is the default, vendor data). An object of an auxiliary class, or an array of entries, stays as it is. What the
document has no place for stays: attributes and entries of other classes, certificates.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from dcm4py_leading.config.device_json.document import devices_dn_of, is_shown, links_of
from dcm4py_leading.config.device_json.fields import Field, Kind
from dcm4py_leading.config.device_json.shapes import CONNECTION, DEVICE, ObjectShape
from dcm4py_leading.config.device_json.tree import Tree
from dcm4py_leading.config.device_json.values import (
    ABSENT,
    Absent,
    Json,
    Links,
    named_value,
    shown,
    shown_value,
    text_of,
)
from dcm4py_leading.config.dn import DnKey, dn_key, escape_rdn_value, rdn_assertions
from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.ldif.schema import dn_fault
from dcm4py_leading.errors import DocumentFault, DocumentInvalid
from dcm4py_leading.model.bounds import JSON_FAULTS

_PLACE = re.compile(r"/dicomNetworkConnection/(0|[1-9][0-9]{0,8})")


@dataclass(frozen=True, slots=True)
class RequestedTree:
    """Tree that a document asks for."""

    entries: tuple[Entry, ...]
    """The whole subtree as it shall be."""
    skipped: tuple[str, ...]
    """Paths of members that mean nothing here."""


def requested_tree(document: Mapping[str, Json], old: tuple[Entry, ...]) -> RequestedTree:
    """The entries of a device, ``old``, as the document wants them. Raises DocumentInvalid with all that is wrong."""
    tree = Tree(old)
    device = tree.device()
    reader = _Reader(tree, links_of(tree, device))
    if reader.is_named(DEVICE, device, document):
        reader.entry(DEVICE, device, document, "")
    return reader.outcome()


def new_device(document: Mapping[str, Json], devices_dn: str) -> RequestedTree:
    """The entries of a new device below ``devices_dn``. Raises DocumentInvalid."""
    reader = _Reader(Tree(()), Links(devices_dn))
    reader.new_entry(DEVICE, devices_dn, document, "")
    return reader.outcome()


def wanted_object(shape: ObjectShape, document: Mapping[str, Json], old: Entry | None, above: str) -> RequestedTree:
    """One entry, such as a rule, as an object describes it; a new one below ``above`` if ``old`` is None.

    Raises DocumentInvalid, also for a name that is not that of ``old``.
    """
    reader = _Reader(Tree(() if old is None else (old,)), Links(devices_dn_of(above)))
    if old is None:
        reader.new_entry(shape, above, document, "")
    elif reader.is_named(shape, old, document):
        reader.entry(shape, old, document, "")
    return reader.outcome()


@dataclass(slots=True)
class _Draft:
    """An entry on its way."""

    old: Entry
    """Without attributes if it is new."""
    attributes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By the name as spelt."""
    classes: list[str] = field(default_factory=list)

    def entry(self) -> Entry:
        return Entry.of(self.old.dn, {"objectClass": self.classes, **self.attributes})

    def is_a(self, object_class: str) -> bool:
        return object_class.lower() in (name.strip().lower() for name in self.classes)

    def has(self, name: str) -> bool:
        return self.old.spell(name) in self.attributes

    def set(self, name: str, values: tuple[str, ...]) -> None:
        spelt = self.old.spell(name)
        self.attributes.pop(spelt, None)
        if values:
            self.attributes[spelt] = values


class _Reader:
    """Walks through a document beside the entries that are there."""

    def __init__(self, tree: Tree, links: Links) -> None:
        self._tree = tree
        self._links = links
        self._connections: list[str] = []
        """DNs of the connections in the document's order; in the tree's where it does not tell them."""
        self._entries = dict(tree.entries)
        self._gone: set[DnKey] = set()
        self._faults: list[DocumentFault] = []
        self._skipped: list[str] = []

    def outcome(self) -> RequestedTree:
        """Tree that has been read. Raises DocumentInvalid."""
        if self._faults:
            raise DocumentInvalid(self._faults)
        entries = (
            entry
            for key, entry in self._entries.items()
            if not any(key[above:] in self._gone for above in range(len(key)))
        )
        return RequestedTree(tuple(entries), tuple(self._skipped))

    def new_entry(self, shape: ObjectShape, above: str, item: Mapping[str, Json], path: str) -> str:
        """Read an object without an entry; returns the DN, empty if it has no name."""
        for names in shape.naming:
            values = [_name_of(item.get(name)) for name in names]
            if all(values):
                named = zip(names, values, strict=True)
                rdn = "+".join(f"{name}={escape_rdn_value(value)}" for name, value in named)
                return self.entry(shape, Entry.of(f"{rdn},{above}", {}), item, path)
        self._fault(path, shape.naming[0][0], "is required, as it names the entry")
        return ""

    def entry(self, shape: ObjectShape, old: Entry, item: Mapping[str, Json], path: str) -> str:
        """Read an object as the entry ``old``; returns its DN."""
        if not old.attributes and old.key in self._entries:
            self._fault(path, "", "expected another name, as there is an entry of that name already")
            return old.dn
        attributes = {old.spell(name): old.values(name) for name in old if name != "objectclass"}
        draft = _Draft(old, attributes, list(old.values("objectClass")) or [shape.object_class])
        self._object(shape, draft, item, path)
        self._entries[old.key] = draft.entry()
        return old.dn

    def is_named(self, shape: ObjectShape, old: Entry, item: Mapping[str, Json]) -> bool:
        """True if the object has the name of ``old``; else a fault is noted."""
        spelt = {told.name.lower(): told.name for told in shape.fields}
        for name, value in rdn_assertions(old.dn):
            told = spelt[name.lower()]
            if _folded(_name_of(item.get(told))) != _folded(value):
                self._fault("", told, f"expected {value!r}, as the entry is called")
                return False
        return True

    def _fault(self, path: str, name: str, reason: str) -> None:
        if len(self._faults) < JSON_FAULTS:
            self._faults.append(DocumentFault(_below(path, name), reason))

    # Objects.

    def _object(self, shape: ObjectShape, draft: _Draft, item: Mapping[str, Json], path: str) -> None:
        for told in shape.fields:
            draft.set(told.name, self._values(told, draft, item, path))
        for extension in shape.extensions:
            self._extension(extension, draft, item, path)
        for child in shape.children:
            dns = self._children(child, draft.old, item, path)
            if child is CONNECTION:
                self._connections = dns
        if draft.is_a(shape.object_class):
            for told in shape.fields:
                if told.is_required and _is_nothing(item.get(told.name)) and not draft.has(told.name):
                    self._fault(path, told.name, f"is required by {shape.object_class}")
        known = {part.object_class for part in (*shape.extensions, *shape.children)}
        known |= {told.name for told in shape.fields}
        self._skipped += [_below(path, name) for name in item if name not in known]

    def _extension(self, shape: ObjectShape, draft: _Draft, item: Mapping[str, Json], path: str) -> None:
        given = item.get(shape.object_class)
        if given is None:
            return
        if not isinstance(given, dict):
            self._fault(path, shape.object_class, "expected an object")
            return
        was_shown = is_shown(shape, draft.old, self._tree)
        # Also without attributes of its own a new one says what the entry is; one that is there without its class is
        # left so, as a rule below an AE is, which needs none.
        says_nothing = was_shown and all(_is_nothing(given.get(told.name)) for told in shape.fields)
        if not draft.is_a(shape.object_class) and not says_nothing:
            draft.classes.append(shape.object_class)
        self._object(shape, draft, given, _below(path, shape.object_class))

    def _children(self, shape: ObjectShape, above: Entry, item: Mapping[str, Json], path: str) -> list[str]:
        """Read an array of entries; returns their DNs in its order."""
        held = self._tree.below(above.key, shape)
        given = item.get(shape.object_class)
        if given is None:
            return [entry.dn for entry in held]
        if not isinstance(given, list):
            self._fault(path, shape.object_class, "expected an array")
            return []
        siblings = _Siblings(held, shape)
        dns = []
        for number, value in enumerate(given):
            at = f"{_below(path, shape.object_class)}/{number}"
            if not isinstance(value, dict):
                self._fault(at, "", "expected an object")
                dns.append("")
            elif (old := siblings.take(value)) is not None:
                dns.append(self.entry(shape, old, value, at))
            else:
                dns.append(self.new_entry(shape, above.dn, value, at))
        self._gone |= {entry.key for entry in siblings.left()}
        return dns

    # Attributes.

    def _values(self, told: Field, draft: _Draft, item: Mapping[str, Json], path: str) -> tuple[str, ...]:
        old = draft.old.values(told.name)
        given = item.get(told.name)
        before = shown(told, draft.old, self._links)
        if told.kind is Kind.PRESENCE:
            return old
        if _is_nothing(given):
            return old if before is ABSENT else ()
        if told.kind is Kind.SECRET and isinstance(given, str) and given and not given.strip("*"):
            return old
        if named_value(draft.old, told.name) is not None:
            if old:
                return old  # the entry was found by it
            given = given.strip() if isinstance(given, str) else given  # as it is in the DN
        if told.is_array is not isinstance(given, list):
            self._fault(path, told.name, "expected an array" if told.is_array else "expected one value, not an array")
            return old
        if told.kind is not Kind.POINTER and _is_same(given, before):
            return old
        read = self._texts(told, given if isinstance(given, list) else [given], draft, path)
        return () if not old and not told.is_required and told.is_default(read) else read

    def _texts(self, told: Field, given: list[Json], draft: _Draft, path: str) -> tuple[str, ...]:
        old = draft.old.values(told.name)
        as_shown = {_comparable(shown_value(told, value, draft.old, self._links)): value for value in old}
        found = []
        for number, value in enumerate(given):
            try:
                if told.kind is Kind.POINTER:
                    text = _spelt_as(self._connection(value), old)
                elif not isinstance(value, list | dict) and _comparable(value) in as_shown:
                    text = as_shown[_comparable(value)]
                else:
                    text = text_of(told, value, self._links, draft.classes)
            except ValueError as err:
                at = _below(path, told.name)
                self._fault(f"{at}/{number}" if told.is_array else at, "", str(err))
            else:
                found.append(text)
        return tuple(dict.fromkeys(found))

    def _connection(self, value: Json) -> str:
        if isinstance(value, str):
            place = _PLACE.fullmatch(value)
            if place is not None and int(place[1]) < len(self._connections):
                return self._connections[int(place[1])]
            if place is None and "=" in value and dn_fault(value) is None:
                return value
        raise ValueError("expected the place of a connection in the document, such as /dicomNetworkConnection/0")


class _Siblings:
    """The entries of one class below one entry, found by what names them; each is taken once."""

    def __init__(self, held: list[Entry], shape: ObjectShape) -> None:
        self._left = {entry.key: entry for entry in held}
        self._spelt = {told.name.lower(): told.name for told in shape.fields}
        self._by_name: dict[tuple[tuple[str, str], ...], list[Entry]] = defaultdict(list)
        for entry in held:
            self._by_name[self._name(entry)].append(entry)
        self._namings = {tuple(name for name, _ in named) for named in self._by_name}

    def take(self, item: Mapping[str, Json]) -> Entry | None:
        """The entry that the object is about; None if it is a new one."""
        for names in self._namings:
            values = tuple((name, _name_of(item.get(name))) for name in names)
            folded = tuple((name, _folded(value)) for name, value in values)
            found = [entry for entry in self._by_name.get(folded, ()) if entry.key in self._left]
            for entry in sorted(found, key=lambda entry: dict(self._assertions(entry)) != dict(values)):
                return self._left.pop(entry.key)
        return None

    def left(self) -> list[Entry]:
        """Those that no object is about."""
        return list(self._left.values())

    def _assertions(self, entry: Entry) -> list[tuple[str, str]]:
        return sorted((self._spelt[name.lower()], value) for name, value in rdn_assertions(entry.dn))

    def _name(self, entry: Entry) -> tuple[tuple[str, str], ...]:
        return tuple((name, _folded(value)) for name, value in self._assertions(entry))


def _below(path: str, name: str) -> str:
    """The JSON Pointer of a member (RFC 6901 3)."""
    return f"{path}/{name.replace('~', '~0').replace('/', '~1')}" if name else path or "/"


def _is_nothing(value: Json) -> bool:
    """True if the member may as well be left out."""
    return value is None or value == []


def _name_of(value: Json) -> str:
    """Name of an entry; empty for what cannot name one."""
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def _folded(name: str) -> str:
    return " ".join(name.split()).casefold()


def _comparable(value: Json) -> tuple[type, Json]:
    return type(value), value  # since True == 1


def _is_same(given: Json, before: Json | Absent) -> bool:
    if isinstance(given, list) and isinstance(before, list):
        return sorted(map(repr, given)) == sorted(map(repr, before))
    return type(given) is type(before) and given == before


def _spelt_as(dn: str, old: tuple[str, ...]) -> str:
    """The DN in the spelling of the directory, if it is there."""
    for value in old:
        if value == dn or (dn_fault(value) is None and dn_key(value) == dn_key(dn)):
            return value
    return dn
