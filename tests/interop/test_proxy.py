"""In front of a real PACS: queries and retrieves go through, answers and objects are coerced."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fixtures.datasets import make_study
from tests.fixtures.dcmtk import DcmQrScp, StoreScp, findscu, movescu
from tests.fixtures.orthanc import Orthanc
from tests.fixtures.ports import free_port
from tests.fixtures.processes import Peer
from tests.fixtures.service import DEVICE, Seed

STUDY = "1.2.826.0.1.3680043.8.498.71"
QUERY_RULE = f"""
dn: cn=Leading query,{DEVICE}
changetype: add
objectClass: dcmArchiveAttributeCoercion
cn: Leading query
dcmDIMSE: C_FIND_RSP
dicomTransferRole: SCU
dcmLeadingCFindSCP: QRSCP
"""


def pacs_device(port: int) -> str:
    devices = DEVICE.partition(",")[2]
    device = f"dicomDeviceName=pacs,{devices}"
    return f"""
dn: {device}
changetype: add
objectClass: dicomDevice
dicomDeviceName: pacs
dicomInstalled: TRUE

dn: cn=dicom,{device}
changetype: add
objectClass: dicomNetworkConnection
cn: dicom
dicomHostname: localhost
dicomPort: {port}

dn: dicomAETitle=PACS,{device}
changetype: add
objectClass: dicomNetworkAE
dicomAETitle: PACS
dicomNetworkConnectionReference: cn=dicom,{device}
dicomAssociationInitiator: TRUE
dicomAssociationAcceptor: TRUE
"""


class Scene:
    """Ours in front of PACS, which has studies of OLD; the leading archive has them as NEW."""

    def __init__(self, seed: Seed, pacs: Orthanc | DcmQrScp, leading: Orthanc | DcmQrScp) -> None:
        self.seed, self.pacs, self.leading = seed, pacs, leading


@pytest.fixture(params=["orthanc", "dcmqrscp"])
def scene(
    request: pytest.FixtureRequest,
    seed: Seed,
    orthanc: Callable[..., Orthanc],
    dcmqrscp: Callable[..., DcmQrScp],
    tmp_path: Path,
) -> Scene:
    seed.lead()
    port = free_port()
    us = Peer(ae_title="DCM4CHEE", port=seed.archive_port)
    pacs: Orthanc | DcmQrScp
    leading: Orthanc | DcmQrScp
    if request.param == "orthanc":
        pacs = orthanc(ae_title="PACS", destinations=[us], settings={"DicomPort": port})
        leading = dcmqrscp(port=seed.leading_port)
    else:
        pacs = dcmqrscp(ae_title="PACS", port=port, destinations=[us])
        leading = orthanc(ae_title="QRSCP", settings={"DicomPort": seed.leading_port})
    seed.change(QUERY_RULE, pacs_device(port))
    seed.set(DEVICE, dcmSpanningCFindSCP="PACS", dcmFallbackCMoveSCP="PACS")
    for number in (0, 1):
        pacs.store(
            make_study(
                tmp_path / f"old{number}", patient_id="OLD", patient_name="Old^Name", study_uid=f"{STUDY}.{number}"
            )
        )
        leading.store(
            make_study(
                tmp_path / f"new{number}",
                patient_id="NEW",
                patient_name="New^Name",
                study_uid=f"{STUDY}.{number}",
                instances=1,
            )
        )
    seed.start()
    return Scene(seed, pacs, leading)


@pytest.mark.ldap("dcmSpanningCFindSCP")
def test_matches_of_the_pacs_are_answered_with_the_leading_values(scene: Scene) -> None:
    outcome = findscu(
        scene.seed.archive_port,
        called_ae_title="DCM4CHEE",
        level="STUDY",
        keys={"StudyInstanceUID": "", "PatientID": "OLD", "PatientName": "", "RetrieveAETitle": ""},
    )
    assert outcome.status == 0x0000
    assert {(m.StudyInstanceUID, m.PatientID, str(m.PatientName), m.RetrieveAETitle) for m in outcome.matches} == {
        (f"{STUDY}.{number}", "NEW", "New^Name", "DCM4CHEE") for number in (0, 1)
    }


@pytest.mark.ldap("dcmFallbackCMoveSCP")
def test_objects_of_the_pacs_are_moved_with_the_leading_values(scene: Scene, storescp: Callable[..., StoreScp]) -> None:
    viewer = storescp(port=scene.seed.viewer_port, options=("+xa", "+B", "+uf"))
    outcome = movescu(
        scene.seed.archive_port,
        called_ae_title="DCM4CHEE",
        destination="STORESCP",
        level="STUDY",
        keys={"StudyInstanceUID": f"{STUDY}.0"},
    )
    assert outcome.status == 0x0000 and outcome.final is not None
    assert outcome.final.completed == len(viewer.datasets()) == 3
    assert {(ds.StudyInstanceUID, ds.PatientID, str(ds.PatientName)) for ds in viewer.datasets()} == {
        (f"{STUDY}.0", "NEW", "New^Name")
    }
    assert scene.seed.objects == []
