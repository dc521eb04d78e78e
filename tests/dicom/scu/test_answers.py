"""Responses to our own queries that are odd, and what is read of them."""

from __future__ import annotations

import pytest

from dcm4py_leading.dicom.scu.answers import plain_answer, read_answer
from dcm4py_leading.errors import InvalidObject

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
NAME, PATIENT_ID, STUDY = 0x00100010, 0x00100020, 0x0020000D
WANTED = (NAME, PATIENT_ID, STUDY)


def element(tag: int, vr: bytes, value: bytes) -> bytes:
    """In Explicit VR Little Endian, or Implicit where ``vr`` is empty."""
    head = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little")
    length = len(value).to_bytes(2 if vr else 4, "little")
    return head + vr + length + value


GOOD = [element(NAME, b"PN", b"A^B "), element(PATIENT_ID, b"LO", b"ID"), element(STUDY, b"UI", b"1.2.3\0")]
PLAIN = b"".join(GOOD)


@pytest.mark.parametrize(
    "data",
    [
        PLAIN,
        b"".join(reversed(GOOD)),
        PLAIN + GOOD[2],
        PLAIN + b"\xfe\xff\x0d\xe0" + bytes(4),
        element(0x00081040, b"??", b"abcd") + PLAIN,
        element(0x00081040, b"", b"abcdef") + PLAIN,
        PLAIN + element(0x00280010, b"US", b"abc"),
    ],
    ids=["plain", "descending", "twice", "a trailing delimiter", "VR ??", "without VR", "an odd number"],
)
def test_requested_elements_are_read_whatever_else_is_odd(data: bytes) -> None:
    assert plain_answer(data, EXPLICIT, WANTED) == PLAIN
    ds = read_answer(data, EXPLICIT, WANTED, is_whole=True)
    assert (str(ds.PatientName), ds.PatientID, ds.StudyInstanceUID) == ("A^B", "ID", "1.2.3")


def test_a_number_that_nobody_asked_for_does_no_harm_without_vr() -> None:
    data = element(NAME, b"", b"A^B ") + element(0x00280010, b"", b"abc")
    assert str(read_answer(data, IMPLICIT, WANTED, is_whole=True).PatientName) == "A^B"


@pytest.mark.parametrize(
    "data", [PLAIN + element(NAME, b"PN", b"C^D "), PLAIN[:-3], PLAIN + element(0x00321064, b"SQ", b"")[:-1]]
)
def test_two_values_or_a_cut_answer_are_no_answer(data: bytes) -> None:
    with pytest.raises(InvalidObject):
        read_answer(data, EXPLICIT, WANTED, is_whole=True)
