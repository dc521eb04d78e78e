"""A document to entries: those that are there, changed as the document says.

What a document leaves out: an attribute is taken away, unless it would not have been told anyway (a secret, a value
that is the default, vendor data). An object of an auxiliary class, or an array of entries, stays as it is. What the
document has no place for stays: attributes and entries of other classes, certificates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dcm4py_leading.config.device_json.document import devices_dn_of, is_shown, links_of
from dcm4py_leading.config.device_json.fields import Field, Kind
from dcm4py_leading.config.device_json.shapes import DEVICE, RULE, RULE2, Shape
from dcm4py_leading.config.device_json.tree import Tree
from dcm4py_leading.config.device_json.values import ABSENT, Json, Links, named_value, shown, shown_value, text_of
from dcm4py_leading.config.dn import DnKey, dn_key, escape_rdn_value, parent_dn, rdn_assertions
from dcm4py_leading.config.entry import Entry
from dcm4py_leading.errors import DocumentFault, DocumentInvalid
from dcm4py_leading.model.bounds import JSON_FAULTS


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a document asks for."""

    entries: tuple[Entry, ...]
    """The whole subtree as it shall be."""
    skipped: tuple[str, ...]
    """Paths of members that mean nothing here."""


def wanted(document: Mapping[str, Json], old: tuple[Entry, ...]) -> Wanted:
    """The entries of a device, ``old``, as the document wants them. Raises DocumentInvalid with all that is wrong."""
    tree = Tree(old)
    device = tree.device()
    reader = _Reader(tree, links_of(tree, device))
    reader.entry(DEVICE, device, document, "")
    return reader.outcome()


def new_device(document: Mapping[str, Json], devices_dn: str) -> Wanted:
    """The entries of a new device below ``devices_dn``. Raises DocumentInvalid."""
    reader = _Reader(Tree(()), Links(devices_dn))
    reader.new_entry(DEVICE, devices_dn, document, "")
    return reader.outcome()


def wanted_object(shape: Shape, document: Mapping[str, Json], old: Entry | None, above: str) -> Wanted:
    """One entry as an object such as a rule wants it; a new one below the DN ``above`` where ``old`` is None.

    Raises DocumentInvalid, also for a name that is not that of ``old``.
    """
    reader = _Reader(Tree(() if old is None else (old,)), Links(devices_dn_of(above)))
    if old is None:
        reader.new_entry(shape, above, document, "")
    elif reader.is_named(shape, old, document, ""):
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

    @property
    def is_new(self) -> bool:
        return not self.old.attributes

    @property
    def in_rule(self) -> bool:
        return any(shape.object_class in self.classes for shape in (RULE, RULE2))

    def is_a(self, object_class: str) -> bool:
        return object_class.lower() in (name.strip().lower() for name in self.classes)

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
        """DNs of the connections in the document's order; of the tree where it has none."""
        self._entries = dict(tree.entries)
        self._faults: list[DocumentFault] = []
        self._skipped: list[str] = []

    def outcome(self) -> Wanted:
        """What has been read. Raises DocumentInvalid."""
        if self._faults:
            raise DocumentInvalid(self._faults)
        return Wanted(tuple(self._entries.values()), tuple(self._skipped))

    def new_entry(self, shape: Shape, above: str, item: Mapping[str, Json], path: str) -> str | None:
        """Read an object that no entry is there for; returns its DN, None if it has no name."""
        for names in shape.naming:
            values = [_name_of(item.get(name)) for name in names]
            if all(value is not None for value in values):
                rdn = "+".join(f"{name}={escape_rdn_value(value or '')}" for name, value in zip(names, values, strict=True))
                return self.entry(shape, Entry.of(f"{rdn},{above}", {}), item, path)
        self._fault(path, shape.naming[0][0], "is required, as it names the entry")
        return None

    def entry(self, shape: Shape, old: Entry, item: Mapping[str, Json], path: str) -> str | None:
        """Read an object as the entry ``old``; returns its DN."""
        if not old.attributes and old.key in self._entries:
            self._fault(path, "", "expected another name, as there is an entry of that name already")
            return None
        attributes = {old.spell(name): old.values(name) for name in old if name != "objectclass"}
        draft = _Draft(old, attributes, list(old.values("objectClass")) or [shape.object_class])
        self._object(shape, draft, item, path)
        self._entries[old.key] = draft.entry()
        return old.dn

    def is_named(self, shape: Shape, old: Entry, item: Mapping[str, Json], path: str) -> bool:
        """True if the object has the name of ``old``; else that is a fault."""
        for name, value in rdn_assertions(old.dn):
            if not _same_name(item.get(_spelt(shape, name)), value):
                self._fault(path, _spelt(shape, name), f"expected {value!r}, as the entry is called")
                return False
        return True

    def _fault(self, path: str, name: str, reason: str) -> None:
        if len(self._faults) < JSON_FAULTS:
            self._faults.append(DocumentFault(f"{path}/{_pointer_token(name)}" if name else path or "/", reason))

    # Objects.

    def _object(self, shape: Shape, draft: _Draft, item: Mapping[str, Json], path: str) -> None:
        for told in shape.fields:
            if told.kind is not Kind.POINTER:
                draft.set(told.name, self._values(told, draft, item, path))
        for extension in shape.extensions:
            self._extension(extension, draft, item, path)
        if shape is DEVICE:
            self._connections = self._dns_of_connections(draft)
        for child in shape.children:
            self._children(child, draft.old, item, path)
            if shape is DEVICE and child is DEVICE.children[0]:
                continue
        for told in shape.fields:
            if told.kind is Kind.POINTER:
                draft.set(told.name, self._values(told, draft, item, path))
        known = {
            *(told.name for told in shape.fields),
            *(inner.object_class for inner in (*shape.extensions, *shape.children)),
        }
        self._skipped += [f"{path}/{_pointer_token(name)}" for name in item if name not in known]
