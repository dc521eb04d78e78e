"""Which object of which study an encoded object is: certain, or an error."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from dcm4py_leading.dataset.identity import identity_of
from dcm4py_leading.errors import InvalidObject, ObjectMismatch
from dcm4py_leading.service.retrieve.encode import encoded

CT, STUDY, OTHER = "1.2.840.10008.5.1.4.1.1.2", "1.2.3", "1.2.999"
SYNTAXES = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)


def make_object(study: str | None = STUDY, pixels: int = 100) -> Dataset:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = CT, "1.2.3.1.1"
    ds.PatientID, ds.PatientName = "PID", "Old^Name"
    if study is not None:
        ds.StudyInstanceUID = study
    ds.SeriesInstanceUID = "1.2.3.1"
    ds.PixelData = bytes(pixels)
    ds["PixelData"].VR = "OW"
    return ds


def element(tag: int, vr: bytes, value: bytes) -> bytes:
    """In Explicit VR Little Endian."""
    value += b"\0" * (len(value) % 2)
    return (
        (tag >> 16).to_bytes(2, "little")
        + (tag & 0xFFFF).to_bytes(2, "little")
        + vr
        + len(value).to_bytes(2, "little")
        + value
    )


ELEMENTS = [
    element(0x00080016, b"UI", CT.encode()),
    element(0x00080018, b"UI", b"1.2.3.1.1"),
    element(0x00100020, b"LO", b"PID "),
    element(0x0020000D, b"UI", STUDY.encode()),
    element(0x0020000E, b"UI", b"1.2.3.1"),
]


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_identity_is_read_from_any_transfer_syntax(syntax: str) -> None:
    identity = identity_of(encoded(make_object(), syntax), syntax)
    assert (identity.sop_class_uid, identity.sop_instance_uid) == (CT, "1.2.3.1.1")
    assert (identity.patient_id, identity.study_instance_uid, identity.series_instance_uid) == ("PID", STUDY, "1.2.3.1")
    assert identity.is_in_order == (syntax != DeflatedExplicitVRLittleEndian)


@given(st.permutations(ELEMENTS))
def test_identity_is_read_from_elements_in_any_order(elements: list[bytes]) -> None:
    identity = identity_of(b"".join(elements), ExplicitVRLittleEndian)
    assert (identity.sop_instance_uid, identity.study_instance_uid) == ("1.2.3.1.1", STUDY)
    assert identity.is_in_order == (elements == ELEMENTS)


@given(st.permutations([*ELEMENTS, element(0x0020000D, b"UI", OTHER.encode())]))
def test_two_studies_are_none_in_whatever_order(elements: list[bytes]) -> None:
    with pytest.raises(ObjectMismatch, match="StudyInstanceUID twice"):
        identity_of(b"".join(elements), ExplicitVRLittleEndian)


def test_the_same_study_twice_is_one() -> None:
    identity = identity_of(b"".join([*ELEMENTS, ELEMENTS[3]]), ExplicitVRLittleEndian)
    assert identity.study_instance_uid == STUDY and not identity.is_in_order


def test_another_study_behind_the_pixel_data_is_seen() -> None:
    data = encoded(make_object(), ExplicitVRLittleEndian) + element(0x0020000D, b"UI", OTHER.encode())
    with pytest.raises(ObjectMismatch, match="StudyInstanceUID twice"):
        identity_of(data, ExplicitVRLittleEndian)


@pytest.mark.parametrize("value", [b"", b"1.2.3\\1.2.999", b"1.2 .3", b"1.2.\xff3"])
def test_anything_but_one_uid_is_none(value: bytes) -> None:
    with pytest.raises(ObjectMismatch, match="StudyInstanceUID"):
        identity_of(b"".join([*ELEMENTS[:3], element(0x0020000D, b"UI", value)]), ExplicitVRLittleEndian)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_an_object_without_a_study_has_none(syntax: str) -> None:
    with pytest.raises(ObjectMismatch, match="no StudyInstanceUID"):
        identity_of(encoded(make_object(None), syntax), syntax)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_truncated_object_has_no_identity_wherever_cut(syntax: str) -> None:
    data = encoded(make_object(), syntax)
    whole = identity_of(data, syntax)
    for size in range(len(data)):
        try:
            found = identity_of(data[:size], syntax)
        except (InvalidObject, ObjectMismatch):
            continue
        # It was cut between two elements, behind those that tell what it is.
        assert (found.sop_instance_uid, found.study_instance_uid) == (whole.sop_instance_uid, whole.study_instance_uid)


def test_random_octets_have_none() -> None:
    with pytest.raises((InvalidObject, ObjectMismatch)):
        identity_of(b"\x99\x11" + bytes(range(256)) * 4, ExplicitVRLittleEndian)


def test_more_than_one_deflated_block_is_looked_at_to_its_end() -> None:
    plain = encoded(make_object(pixels=200_000), ExplicitVRLittleEndian) + element(0x0020000D, b"UI", OTHER.encode())
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = squeeze.compress(plain) + squeeze.flush()
    with pytest.raises(ObjectMismatch, match="twice"):
        identity_of(data, DeflatedExplicitVRLittleEndian)
