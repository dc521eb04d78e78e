"""Entries below an entry, in tables by kind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.web.pages.entry.kinds import RULES, Kind, by_kind, kind_of
from dcm4py_leading.web.pages.entry.widgets import shown_values
from dcm4py_leading.web.pages.places import (
    Place,
    below,
    children_of,
    coercions_address,
    entry_address,
    name_of,
    new_address,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One entry of a table."""

    name: str
    address: str
    cells: tuple[tuple[str, str], ...]
    """Attribute and value, of several values all."""
    rules: int | None = None
    """Of an AE: how many rules it has."""
    rules_address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """The entries of one kind."""

    kind: Kind
    listed: tuple[Listed, ...]
    add: str
    """Address of the page that makes another one."""


def contents_of(place: Place) -> list[Contents]:
    """The tables of an entry. Coercion rules are not among them: they have a page of their own."""
    is_device, is_ae = not place.at, place.entry.is_a("dicomNetworkAE")
    is_archive = place.device.is_a("dcmArchiveDevice")
    found = []
    for kind, entries in by_kind(place.children):
        may_be = (is_archive or not kind.of_archive) and (kind.below_device if is_device else is_ae and kind.below_ae)
        if kind.key not in RULES and (entries or may_be):
            listed = tuple(_listed(place, kind, entry) for entry in entries)
            add = new_address(place.device_name, kind.key, at=place.at)
            found.append(Contents(kind=kind, listed=listed, add=add))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """An entry of a kind that has no table."""

    name: str
    address: str
    classes: str


def others_of(place: Place) -> list[Other]:
    """Other entries right below an entry: of services that this one does not have."""
    found = []
    for entry in place.children:
        if kind_of(entry) is None:
            classes = " ".join(value for value in entry.values("objectClass") if value.lower() != "top")
            address = entry_address(place.device_name, below(entry, place.device))
            found.append(Other(name=name_of(entry), address=address, classes=classes))
    return sorted(found, key=lambda other: (other.classes, other.name.casefold()))


def rules_below(entry: Entry, entries: Iterable[Entry]) -> list[Entry]:
    """The coercion rules right below an entry."""
    return [rule for kind, found in by_kind(children_of(entry, entries)) if kind.key in RULES for rule in found]


def masked_values(entry: Entry, attributes: Iterable[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Attributes with their values to be looked at: secrets are hidden."""
    return [(name, shown_values(entry, name)) for name in attributes]


def _listed(place: Place, kind: Kind, entry: Entry) -> Listed:
    is_ae = kind.object_class == "dicomNetworkAE"
    return Listed(
        name=name_of(entry),
        address=entry_address(place.device_name, below(entry, place.device)),
        cells=tuple((name, ", ".join(values)) for name, values in masked_values(entry, kind.listed)),
        rules=len(rules_below(entry, place.entries)) if is_ae else None,
        rules_address=coercions_address(place.device_name, name_of(entry)) if is_ae else "",
    )
