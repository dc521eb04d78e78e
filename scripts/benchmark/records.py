"""LDIF records that adapt the trees of ldif/ to what is measured."""

from __future__ import annotations

from scripts.benchmark.raw.messages import MAX_PDU_LENGTH

DEVICES = "cn=Devices,cn=DICOM Configuration,dc=dcm4che,dc=org"


def system(ae_title: str, port: int) -> str:
    """A system on this machine that is not in the quickstart tree."""
    device = f"dicomDeviceName=bench-{ae_title.lower()},{DEVICES}"
    return (
        f"dn: {device}\nchangetype: add\nobjectClass: dicomDevice\n"
        f"dicomDeviceName: bench-{ae_title.lower()}\ndicomInstalled: TRUE\n\n"
        f"dn: cn=dicom,{device}\nchangetype: add\nobjectClass: dicomNetworkConnection\n"
        f"cn: dicom\ndicomHostname: 127.0.0.1\ndicomPort: {port}\n\n"
        f"dn: dicomAETitle={ae_title},{device}\nchangetype: add\nobjectClass: dicomNetworkAE\n"
        f"dicomAETitle: {ae_title}\ndicomNetworkConnectionReference: cn=dicom,{device}\n"
        "dicomAssociationInitiator: FALSE\ndicomAssociationAcceptor: TRUE"
    )


def pdu_lengths(device: str) -> str:
    """The same maximum PDU length as everybody else."""
    return (
        f"dn: cn=dicom,{device}\nchangetype: modify\n"
        f"replace: dcmReceivePDULength\ndcmReceivePDULength: {MAX_PDU_LENGTH}\n-\n"
        f"replace: dcmSendPDULength\ndcmSendPDULength: {MAX_PDU_LENGTH}\n-"
    )


def large_cache(device: str) -> str:
    """Room for every study and no stale time-out: what is measured has a warm cache."""
    return (
        f"dn: {device}\nchangetype: modify\n"
        "replace: dcmLeadingCFindSCPQueryCacheSize\ndcmLeadingCFindSCPQueryCacheSize: 5000\n-\n"
        "replace: dcmLeadingCFindSCPQueryCacheStaleTimeout\n-"
    )


def rule(device: str, name: str, dimse: str, role: str) -> str:
    """A rule by which the leading archive QRSCP is asked."""
    return (
        f"dn: cn={name},{device}\nchangetype: add\nobjectClass: dcmArchiveAttributeCoercion\ncn: {name}\n"
        f"dcmDIMSE: {dimse}\ndicomTransferRole: {role}\ndcmLeadingCFindSCP: QRSCP"
    )


def in_front_of(device: str, shared: str, ae_title: str, pacs: str) -> str:
    """One more AE of a device, in front of a PACS, with the transfer capabilities of the AE ``shared``."""
    return (
        f"dn: dicomAETitle={ae_title},{device}\nchangetype: add\nobjectClass: dicomNetworkAE\n"
        f"objectClass: dcmNetworkAE\nobjectClass: dcmArchiveNetworkAE\ndicomAETitle: {ae_title}\n"
        f"dicomNetworkConnectionReference: cn=dicom,{device}\n"
        "dicomAssociationInitiator: TRUE\ndicomAssociationAcceptor: TRUE\n"
        f"dcmShareTransferCapabilitiesFromAETitle: {shared}\n"
        f"dcmSpanningCFindSCP: {pacs}\ndcmFallbackCMoveSCP: {pacs}"
    )
