"""Kinds of entries below a device that have pages of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dcm4py_leading.config.dn import escape_rdn_value
from dcm4py_leading.config.entry import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of entry."""

    key: str
    """In addresses and keys of texts."""
    object_class: str
    companions: tuple[str, ...] = ()
    """Auxiliary classes of a new entry (RFC 4512 2.4)."""
    naming: tuple[str, ...]
    """Attributes of the RDN."""
    listed: tuple[str, ...] = ()
    """Attributes that a table of such entries shows."""
    below_device: bool = True
    below_ae: bool = False
    of_archive: bool = False
    """Of a device with the class dcmArchiveDevice; others need none."""

    def dn(self, naming: Mapping[str, str], parent: str) -> str:
        """The DN of an entry with these values of its naming attributes."""
        rdn = "+".join(f"{attribute}={escape_rdn_value(naming[attribute])}" for attribute in self.naming)
        return f"{rdn},{parent}"


KINDS: tuple[Kind, ...] = (
    Kind(
        key="ae",
        object_class="dicomNetworkAE",
        companions=("dcmNetworkAE", "dcmArchiveNetworkAE"),
        naming=("dicomAETitle",),
        listed=("dicomDescription", "dcmOtherAETitle", "dicomInstalled"),
    ),
    Kind(
        key="connection",
        object_class="dicomNetworkConnection",
        companions=("dcmNetworkConnection",),
        naming=("cn",),
        listed=("dicomHostname", "dicomPort", "dcmProtocol", "dicomInstalled"),
    ),
    Kind(
        key="rule",
        object_class="dcmArchiveAttributeCoercion",
        naming=("cn",),
        listed=("dcmDIMSE", "dicomTransferRole", "dcmLeadingCFindSCP"),
        below_ae=True,
        of_archive=True,
    ),
    Kind(
        key="rule2",
        object_class="dcmArchiveAttributeCoercion2",
        naming=("cn",),
        listed=("dcmDIMSE", "dicomTransferRole", "dcmURI"),
        below_ae=True,
        of_archive=True,
    ),
    Kind(
        key="storage",
        object_class="dcmStorage",
        naming=("dcmStorageID",),
        listed=("dcmURI", "dcmReadOnly"),
        of_archive=True,
    ),
    Kind(
        key="attribute_set",
        object_class="dcmAttributeSet",
        naming=("dcmAttributeSetID", "dcmAttributeSetType"),
        listed=("dcmAttributeSetType", "dicomInstalled"),
        of_archive=True,
    ),
    Kind(
        key="attribute_filter",
        object_class="dcmAttributeFilter",
        naming=("dcmEntity",),
        listed=("dcmAttributeUpdatePolicy",),
        of_archive=True,
    ),
    Kind(
        key="view",
        object_class="dcmQueryRetrieveView",
        naming=("dcmQueryRetrieveViewID",),
        listed=("dcmHideNotRejectedInstances",),
        of_archive=True,
    ),
    Kind(
        key="capability",
        object_class="dicomTransferCapability",
        companions=("dcmTransferCapability",),
        naming=("cn",),
        listed=("dicomSOPClass", "dicomTransferRole"),
        below_device=False,
        below_ae=True,
    ),
)
RULES = frozenset({"rule", "rule2"})
"""Keys of the two kinds of coercion rules."""


def kind_of(entry: Entry) -> Kind | None:
    """The kind of an entry; None for a device, and for what has no pages."""
    classes = {value.strip().lower() for value in entry.values("objectClass")}
    return next((kind for kind in KINDS if kind.object_class.lower() in classes), None)


def kind_named(key: str) -> Kind | None:
    """The kind of that key."""
    return next((kind for kind in KINDS if kind.key == key), None)


def is_rule(entry: Entry) -> bool:
    """True if the entry is a coercion rule of either version."""
    kind = kind_of(entry)
    return kind is not None and kind.key in RULES


def by_kind(entries: Iterable[Entry]) -> Sequence[tuple[Kind, list[Entry]]]:
    """The entries of each kind, in the order of a page; kinds of which there is none are there too."""
    found: dict[str, list[Entry]] = {kind.key: [] for kind in KINDS}
    for entry in entries:
        kind = kind_of(entry)
        if kind is not None:
            found[kind.key].append(entry)
    return [(kind, sorted(found[kind.key], key=lambda entry: entry.dn.casefold())) for kind in KINDS]
