"""Where objects may be sent: who takes them, and whom dcmAcceptedMoveDestination leaves out."""

from __future__ import annotations

import pytest

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.web.pages.jobs.destinations import destinations_of, takes_objects

_DEVICES = "cn=Devices,cn=DICOM Configuration,dc=dcm4che,dc=org"
OWN = f"dicomDeviceName=Archive,{_DEVICES}"
CT, STUDY_FIND, COMMITMENT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.1.20.1"


def ae(title: str, device: str = "viewer", **attributes: str) -> Entry:
    dn = f"dicomAETitle={title},dicomDeviceName={device},{_DEVICES}"
    told = {name: (value,) for name, value in attributes.items()}
    return Entry.of(dn, {"objectClass": ("dicomNetworkAE",), "dicomAETitle": (title,), **told})


def own(on_ae: tuple[str, ...] = (), on_device: tuple[str, ...] = ()) -> list[Entry]:
    device = {"objectClass": ("dicomDevice",), "dcmAcceptedMoveDestination": on_device}
    entry = {"objectClass": ("dicomNetworkAE",), "dicomAETitle": ("OURS",), "dcmAcceptedMoveDestination": on_ae}
    return [Entry.of(OWN, device), Entry.of(f"dicomAETitle=OURS,{OWN}", entry)]


def titles(*aes: Entry, own_entries: list[Entry] | None = None) -> tuple[list[str], list[str]]:
    found = destinations_of(aes, "archive", own_entries or own(), "OURS")
    return [one.ae_title for one in found.offered], [one.ae_title for one in found.refused]


def test_aes_of_other_devices_that_accept_associations_are_offered_by_title() -> None:
    told = titles(
        ae("STORE", dicomAssociationAcceptor="TRUE"),
        ae("ANY"),
        ae("CALLS_ONLY", dicomAssociationAcceptor="FALSE"),
        ae("AWAY", dicomInstalled="FALSE"),
        ae("OURS", device="Archive"),
    )
    assert told == (["ANY", "STORE"], [])


@pytest.mark.parametrize(
    "own_entries", [own(on_ae=("ANY",)), own(on_device=("ANY",)), own(on_ae=("ANY",), on_device=("STORE",))]
)
def test_those_that_are_not_accepted_are_told_apart(own_entries: list[Entry]) -> None:
    assert titles(ae("STORE"), ae("ANY"), own_entries=own_entries) == (["ANY"], ["STORE"])


def capability(sop_class: str, role: str, title: str = "STORE") -> Entry:
    content = {
        "objectClass": ("dicomTransferCapability",),
        "dicomSOPClass": (sop_class,),
        "dicomTransferRole": (role,),
    }
    return Entry.of(f"cn={sop_class} {role},dicomAETitle={title},dicomDeviceName=viewer,{_DEVICES}", content)


@pytest.mark.parametrize(
    ("capabilities", "takes"),
    [
        ([], True),
        ([capability(CT, "SCP")], True),
        ([capability(CT, "SCU")], False),
        ([capability(STUDY_FIND, "SCP")], False),
        ([capability(COMMITMENT, "SCP")], False),
        ([capability("1.2.3.4.5", "SCP")], True),
        ([capability(STUDY_FIND, "SCP"), capability(CT, "scp")], True),
        ([capability(STUDY_FIND, "SCP", title="OTHER")], True),
    ],
)
def test_an_ae_takes_objects_unless_its_capabilities_say_otherwise(capabilities: list[Entry], takes: bool) -> None:
    entries = [ae("STORE"), ae("OTHER"), *capabilities]
    assert takes_objects(entries, "STORE") is takes
