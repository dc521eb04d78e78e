"""JSON document of entries."""

from __future__ import annotations

from collections.abc import Iterable

from dcm4py_leading.config.device_json.shapes import CONNECTION, DEVICE, ObjectShape
from dcm4py_leading.config.device_json.tree import Tree
from dcm4py_leading.config.device_json.values import Absent, Json, Links, shown
from dcm4py_leading.config.dn import parent_dn
from dcm4py_leading.config.entry import Entry


def document(entries: Iterable[Entry]) -> dict[str, Json]:
    """The document of a device from its entry and all below it, in dcm4chee's form.

    Values that mean the same as none are left out, secrets too. Raises ValueError where there is no dicomDevice.
    """
    tree = Tree(entries)
    device = tree.device()
    return _object(DEVICE, device, tree, links_of(tree, device))


def object_of(shape: ObjectShape, entry: Entry) -> dict[str, Json]:
    """One object of a document by itself, such as a rule; ``entry`` stands anywhere below a device."""
    return _object(shape, entry, Tree(()), Links(devices_dn_of(entry.dn)))


def links_of(tree: Tree, device: Entry) -> Links:
    """Form of the DNs in the document of ``device``."""
    connections = tree.below(device.key, CONNECTION)
    pointers = {connection.key: f"/dicomNetworkConnection/{number}" for number, connection in enumerate(connections)}
    return Links(parent_dn(device.dn), pointers)


def devices_dn_of(dn: str) -> str:
    """The DN above the device to which the entry at ``dn`` belongs."""
    while dn:
        above = parent_dn(dn)
        if dn.lstrip().lower().startswith("dicomdevicename="):
            return above
        dn = above
    return ""


def is_shown(shape: ObjectShape, entry: Entry, tree: Tree) -> bool:
    """True if the object of an auxiliary class is in the document: the entry has the class, or what belongs in it."""
    return (
        entry.is_a(shape.object_class)
        or any(tree.below(entry.key, child) for child in shape.children)
        or any(is_shown(inner, entry, tree) for inner in shape.extensions)
    )


def _object(shape: ObjectShape, entry: Entry, tree: Tree, links: Links) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for field in shape.fields:
        value = shown(field, entry, links)
        if not isinstance(value, Absent):
            found[field.name] = value
    for extension in shape.extensions:
        if is_shown(extension, entry, tree):
            found[extension.object_class] = _object(extension, entry, tree, links)
    for child in shape.children:
        found[child.object_class] = [_object(child, below, tree, links) for below in tree.below(entry.key, child)]
    return found
