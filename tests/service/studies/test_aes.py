"""The AEs of ours whose studies can be looked at."""

from __future__ import annotations

from tests.fixtures.service import DEVICE, Seed


def test_an_ae_that_takes_objects_comes_before_further_views_of_the_archive(seed: Seed) -> None:
    connection = f"cn=dicom,{DEVICE}"
    view = f"dicomAETitle=AS_RECEIVED,{DEVICE}"
    seed.change(
        f"dn: {view}\nchangetype: add\nobjectClass: dicomNetworkAE\ndicomAETitle: AS_RECEIVED\n"
        f"dicomNetworkConnectionReference: {connection}\ndicomAssociationInitiator: TRUE\n"
        "dicomAssociationAcceptor: TRUE"
    )
    seed.change(
        f"dn: cn=find,{view}\nchangetype: add\nobjectClass: dicomTransferCapability\ncn: find\n"
        "dicomSOPClass: 1.2.840.10008.5.1.4.1.2.2.1\ndicomTransferRole: SCP\n"
        "dicomTransferSyntax: 1.2.840.10008.1.2"
    )
    assert [ae.ae_title for ae in seed.start().studies_aes()] == ["DCM4CHEE", "AS_RECEIVED"]
