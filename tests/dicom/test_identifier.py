"""Identifiers as they come from the wire: the same as pydicom reads them."""

from __future__ import annotations

import struct

import pytest
from pydicom import Dataset
from pydicom.dataelem import DataElement

from dcm4py_leading.dataset import deflate
from dcm4py_leading.dicom.identifier import decode, decode_identifier
from dcm4py_leading.dicom.message import Request
from dcm4py_leading.errors import IdentifierMismatch, TooMuchInflated
from dcm4py_leading.model import bounds
from dcm4py_leading.service.retrieve.encode import encoded

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


def test_identifier_that_cannot_be_inflated_is_a_mismatch() -> None:
    with pytest.raises(IdentifierMismatch):
        decode_identifier(request(b"no deflated data set", DEFLATED))


def test_deflated_object_without_room_is_refused_for_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deflate, "_BUDGET", deflate._Budget(1000))
    other = deflate.inflated(deflate.deflated(bytes(1000)))
    data = encoded(cut_keys(), DEFLATED)
    with pytest.raises(TooMuchInflated) as raised:
        decode_identifier(request(data, DEFLATED))
    assert raised.value.status == 0xA700
    del other
    assert decode_identifier(request(data, DEFLATED)).StudyInstanceUID == "1.2.33"


def cut_keys() -> Dataset:
    """Keys of every form: short and long VRs, sequences of both kinds of length, a private element."""
    ds = Dataset()
    ds.QueryRetrieveLevel = "STUDY"
    ds.PatientName = "DOE^*"
    ds.OtherPatientIDsSequence = [Dataset()]
    ds.OtherPatientIDsSequence[0].PatientID = "4711"
    ds.add(DataElement(0x00111001, "UN", b"private!"))
    ds.StudyInstanceUID = "1.2.33"
    ds.RequestAttributesSequence = [Dataset(), Dataset()]
    ds.RequestAttributesSequence[0].ScheduledProcedureStepID = "ID"
    ds.RequestAttributesSequence[1].ScheduledProtocolCodeSequence = [Dataset()]
    ds["RequestAttributesSequence"].is_undefined_length = True
    ds.TextValue = "a text of some length"
    return ds


@pytest.mark.parametrize("transfer_syntax", [IMPLICIT, EXPLICIT, BIG])
def test_an_identifier_that_is_cut_is_refused_wherever_that_is(transfer_syntax: str) -> None:
    ds = cut_keys()
    data = encoded(ds, transfer_syntax)
    ends: dict[int, Dataset] = {}
    whole = Dataset()
    for element in ds:
        whole.add(element)
        ends[len(encoded(whole, transfer_syntax))] = decode(encoded(whole, transfer_syntax), transfer_syntax)
    for length in range(1, len(data) + 1):
        if length in ends:
            assert decode_identifier(request(data[:length], transfer_syntax)) == ends[length], length
        else:
            with pytest.raises(IdentifierMismatch):
                decode_identifier(request(data[:length], transfer_syntax))


def test_a_deflated_identifier_that_is_cut_is_refused_wherever_that_is() -> None:
    data = encoded(cut_keys(), DEFLATED)
    for length in range(1, len(data) - 2):
        with pytest.raises(IdentifierMismatch):
            decode_identifier(request(data[:length], DEFLATED))


def element(tag: int, value: bytes) -> bytes:
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, len(value)) + value


LEVEL = element(0x00080052, b"STUDY ")
UID = element(0x0020000D, b"1.2.33")


@pytest.mark.parametrize(
    "data",
    [
        UID + LEVEL,
        LEVEL + UID + UID,
        LEVEL + UID + element(0xFFFEE00D, b""),
        LEVEL + UID + element(0xFFFEE0DD, b"") * 2,
        element(0x00080000, b"\x0e\0\0\0") + LEVEL + UID,
    ],
    ids=["out of order", "the same key twice", "item delimiter", "sequence delimiters", "group length"],
)
def test_oddities_that_leave_no_doubt_are_taken(data: bytes) -> None:
    identifier = decode_identifier(request(data, IMPLICIT))
    assert (identifier.QueryRetrieveLevel, identifier.StudyInstanceUID) == ("STUDY", "1.2.33")


def test_a_key_that_comes_twice_with_different_values_is_refused() -> None:
    with pytest.raises(IdentifierMismatch, match=r"\(0020,000D\)"):
        decode_identifier(request(LEVEL + UID + element(0x0020000D, b"1.2.34"), IMPLICIT))


def nested(depth: int) -> bytes:
    begin = struct.pack("<HHLHHL", 0x40, 0x275, 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF)
    end = struct.pack("<HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    return begin * depth + end * depth


ITEMS = struct.pack("<HHL", 0x40, 0x275, 0xFFFFFFFF), element(0xFFFEE000, b""), element(0xFFFEE0DD, b"")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (LEVEL + UID + nested(bounds.IDENTIFIER_DEPTH + 1), "deep"),
        (LEVEL + UID + nested(300), "deep"),
        (LEVEL + UID + ITEMS[0] + ITEMS[1] * 1_000_000 + ITEMS[2], "longer than"),
        (LEVEL + UID + ITEMS[0] + ITEMS[1] * 400_000 + ITEMS[2], "too many elements"),
        (LEVEL + b"".join(element(0x00410000 + at, b"") for at in range(0x1000, 0x9000)), "too many elements"),
        (LEVEL + element(0x0020000D, b"1.2\\" * bounds.IDENTIFIER_VALUES), "values"),
    ],
    ids=["nested", "nested very deep", "a million items", "items", "elements", "values"],
)
def test_an_identifier_beyond_its_bounds_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(IdentifierMismatch, match=why):
        decode_identifier(request(data, IMPLICIT))


def test_an_identifier_within_its_bounds_is_taken() -> None:
    uids = b"\\".join(b"1.2.%d" % number for number in range(bounds.IDENTIFIER_VALUES))
    data = LEVEL + element(0x0020000D, uids) + nested(bounds.IDENTIFIER_DEPTH)
    assert len(decode_identifier(request(data, IMPLICIT)).StudyInstanceUID) == bounds.IDENTIFIER_VALUES
