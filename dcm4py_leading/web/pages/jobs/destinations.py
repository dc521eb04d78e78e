"""AEs that objects may be sent to, and those that they may not, with the reason."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydicom.uid import UID

from dcm4py_leading.config.dn import parent_dn, rdn_assertions
from dcm4py_leading.config.entry import Entry

_ACCEPTED = "dcmAcceptedMoveDestination"


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """An AE of another device that accepts associations."""

    ae_title: str
    description: str
    device_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Destinations:
    """Choice of a destination, by title."""

    offered: tuple[Destination, ...]
    refused: tuple[Destination, ...]
    """Those that dcmAcceptedMoveDestination of the AE of ours does not list."""


def destinations_of(aes: Iterable[Entry], own_device: str, own_entries: Sequence[Entry], ae_title: str) -> Destinations:
    """Destinations for the AE of that title, which is one of ``own_entries``, of ``own_device``."""
    accepted = _accepted(own_entries, ae_title)
    found: dict[str, Destination] = {}
    for ae in aes:
        device_name = ", ".join(value for _, value in rdn_assertions(parent_dn(ae.dn)))
        if device_name.casefold() == own_device.casefold() or not _is_there(ae):
            continue
        text = next(iter(ae.values("dicomDescription")), "")
        for title in ae.values("dicomAETitle"):
            found.setdefault(title, Destination(ae_title=title, description=text, device_name=device_name))
    by_title = [found[title] for title in sorted(found)]
    return Destinations(
        offered=tuple(one for one in by_title if not accepted or one.ae_title in accepted),
        refused=tuple(one for one in by_title if accepted and one.ae_title not in accepted),
    )


def takes_objects(entries: Sequence[Entry], ae_title: str) -> bool:
    """True if the AE of that title has a Storage SCP, or tells no transfer capability at all.

    ``entries`` are those of its device.
    """
    keys = [entry.key for entry in entries if ae_title in entry.values("dicomAETitle")]
    capabilities = [entry for entry in entries if entry.key[1:] in keys and entry.is_a("dicomTransferCapability")]
    return not capabilities or any(
        "SCP" in map(str.upper, entry.values("dicomTransferRole"))
        and any(_is_storage(uid) for uid in entry.values("dicomSOPClass"))
        for entry in capabilities
    )


def _accepted(own_entries: Sequence[Entry], ae_title: str) -> frozenset[str]:
    """Values of dcmAcceptedMoveDestination: those of the AE, else those of the device; empty for all."""
    ae = [entry for entry in own_entries if ae_title in entry.values("dicomAETitle")]
    device = [entry for entry in own_entries if entry.is_a("dicomDevice")]
    return next((frozenset(values) for one in (*ae, *device) if (values := one.values(_ACCEPTED))), frozenset())


def _is_there(ae: Entry) -> bool:
    return all(
        "FALSE" not in (value.strip().upper() for value in ae.values(attribute))
        for attribute in ("dicomAssociationAcceptor", "dicomInstalled")
    )


def _is_storage(sop_class_uid: str) -> bool:
    """True if objects of this SOP class can be stored; one that nobody knows may be."""
    name = UID(sop_class_uid).name
    return name == sop_class_uid or ("Storage" in name and "Commitment" not in name)
