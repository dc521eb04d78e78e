"""Unique AE Titles Registry, kept in step with the AEs of the directory (PS3.15 H.1.1.3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from dcm4py_leading.config.dn import dn_key, escape_rdn_value
from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.writing.changes import AttributeChange, EntryChange, Kind
from dcm4py_leading.config.writing.tree import REGISTRY_RDN, Tree, registered_aes


def with_registry(changes: Sequence[EntryChange], tree: Tree) -> tuple[EntryChange, ...]:
    """The changes, and those of the registry: titles that come are entered before their AEs, titles of which no AE is
    left are removed after them. Nothing where the tree has no registry.

    A title that is already registered stays: the registry does not say whose it is. Raises ConfigUnavailable.
    """
    come, gone = set(_titles(changes, Kind.ADD)), set(_titles(changes, Kind.DELETE))
    if not (come or gone):
        return tuple(changes)
    registry = f"{REGISTRY_RDN},{tree.root_dn()}"
    if not tree.source.read_entries(registry, with_below=False):
        return tuple(changes)
    registered = {title: entry for entry in registered_aes(tree) for title in entry.values("dicomAETitle")}
    deleted = {dn_key(change.dn) for change in changes if change.kind is Kind.DELETE}
    others = tree.source.ae_dns(gone)
    left = {title for title, dns in others.items() if any(dn_key(dn) not in deleted for dn in dns)}
    return (
        *(_entry(title, registry) for title in sorted(come - registered.keys())),
        *changes,
        *(_removal(registered[title]) for title in sorted((gone - come - left) & registered.keys())),
    )


def entering(ae_title: str, tree: Tree) -> EntryChange | None:
    """Change that enters a title; None where it is entered already. Raises ConfigUnavailable."""
    registered = any(ae_title in entry.values("dicomAETitle") for entry in registered_aes(tree))
    return None if registered else _entry(ae_title, f"{REGISTRY_RDN},{tree.root_dn()}")


def removing(ae_title: str, tree: Tree) -> EntryChange | None:
    """Change that removes a title; None where it is not entered. Raises ConfigUnavailable."""
    for entry in registered_aes(tree):
        if ae_title in entry.values("dicomAETitle"):
            return _removal(entry)
    return None


def _titles(changes: Iterable[EntryChange], kind: Kind) -> Iterator[str]:
    for change in changes:
        if change.kind is kind:
            values = {found.attribute.lower(): (*found.old, *found.new) for found in change.attributes}
            if "dicomnetworkae" in (name.lower() for name in values.get("objectclass", ())):
                yield from values.get("dicomaetitle", ())


def _entry(title: str, registry: str) -> EntryChange:
    return EntryChange(
        dn=f"dicomAETitle={escape_rdn_value(title)},{registry}",
        kind=Kind.ADD,
        attributes=(
            AttributeChange(attribute="objectClass", old=(), new=("dicomUniqueAETitle",)),
            AttributeChange(attribute="dicomAETitle", old=(), new=(title,)),
        ),
    )


def _removal(entry: Entry) -> EntryChange:
    attributes = (AttributeChange(attribute=entry.spell(name), old=entry.values(name), new=()) for name in entry)
    return EntryChange(dn=entry.dn, kind=Kind.DELETE, attributes=tuple(attributes))
