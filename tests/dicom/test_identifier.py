"""Identifiers as they come from the wire: the same as pydicom reads them."""

from __future__ import annotations

import pytest
from pydicom import Dataset
from pydicom.dataelem import DataElement

from dcm4py_leading.dicom.identifier import decode, decode_identifier
from dcm4py_leading.dicom.message import Request
from dcm4py_leading.errors import IdentifierMismatch
from dcm4py_leading.service.encode import encoded

IMPLICIT, EXPLICIT, DEFLATED, BIG = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.2",
)


def request(data: bytes, transfer_syntax: str) -> Request:
    parts = (memoryview(data[at : at + 7]) for at in range(0, len(data), 7))
    return Request(
        command="C-FIND",
        message_id=1,
        context_id=1,
        sop_class_uid="",
        sop_instance_uid="",
        move_destination="",
        move_originator=("", None),
        abstract_syntax="",
        transfer_syntax=transfer_syntax,
        data=parts,
    )


def keys() -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.QueryRetrieveLevel = "STUDY"
    ds.PatientName = "Müller^*"
    ds.PatientID = ""
    ds.StudyDate = None
    ds.ModalitiesInStudy = ["CT", "MR"]
    ds.NumberOfStudyRelatedInstances = None
    ds.SmallestImagePixelValue = None
    ds.RequestAttributesSequence = [Dataset()]
    ds.ReferencedStudySequence = []
    ds.add(DataElement(0x00091001, "LO", ""))
    return ds


@pytest.mark.parametrize("transfer_syntax", [IMPLICIT, EXPLICIT, DEFLATED, BIG])
def test_an_identifier_is_what_pydicom_reads(transfer_syntax: str) -> None:
    data = encoded(keys(), transfer_syntax)
    identifier = decode_identifier(request(data, transfer_syntax))
    expected = decode(data, transfer_syntax)
    assert identifier == expected
    assert [(element.tag, element.VR, element.value) for element in identifier] == [
        (element.tag, element.VR, element.value) for element in expected
    ]


def test_what_cannot_be_inflated_is_an_identifier_mismatch() -> None:
    with pytest.raises(IdentifierMismatch):
        decode_identifier(request(b"no deflated data set", DEFLATED))
