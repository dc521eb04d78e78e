"""Values that are typed line by line: out of elements and back, and what cannot be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataelem import DataElement

from dcm4py_leading.errors import DocumentInvalid
from dcm4py_leading.service.editing.typed import element_of, lines_of, normal, typed_vr

PATIENT_NAME, BIRTH_DATE, OTHER_NAMES, COMMENTS = 0x00100010, 0x00100030, 0x00101001, 0x00104000
PATIENT_ID, SEQUENCE, DESCRIPTION, WEIGHT, ACCESSION = 0x00100020, 0x00081032, 0x00081030, 0x00101030, 0x00080050


@pytest.mark.parametrize(
    ("tag", "lines"),
    [
        (PATIENT_NAME, ("Größe^Änne=山田^太郎=やまだ^たろう",)),
        (PATIENT_NAME, ("=山田",)),
        (PATIENT_NAME, ()),
        (OTHER_NAMES, ("One^Name", "Two^Name=二")),
        (OTHER_NAMES, ("", "Two^Name")),
        (BIRTH_DATE, ("19700131",)),
        (COMMENTS, ("first line\nsecond \\ line",)),
        (WEIGHT, ("70.5",)),
        (DESCRIPTION, ("Knee",)),
    ],
)
def test_lines_are_those_that_were_typed(tag: int, lines: tuple[str, ...]) -> None:
    element = element_of(tag, lines)
    assert (element.tag, element.VR, lines_of(element)) == (tag, typed_vr(tag), lines)


def test_ends_of_lines_are_those_of_dicom() -> None:
    assert element_of(COMMENTS, ("a\nb",)).value == "a\r\nb"
    assert normal(["a\r\nb ", ""], "LT") == ("a\nb",)


def test_a_name_with_empty_groups_at_its_end_is_the_same_name() -> None:
    assert normal(["Doe^John=="], "PN") == lines_of(DataElement(PATIENT_NAME, "PN", "Doe^John="))


@pytest.mark.parametrize(
    ("tag", "lines", "reason"),
    [
        (BIRTH_DATE, ("31.1.1970",), "VR DA"),
        (BIRTH_DATE, ("19700131", "19700201"), "one value"),
        (ACCESSION, ("x" * 17,), "VR SH"),
        (PATIENT_ID, ("a\\b",), "backslash"),
        (PATIENT_ID, ("a\x1b$Bb",), "control"),
        (PATIENT_NAME, ("a=b=c=d",), "component groups"),
        (PATIENT_NAME, ("x" * 65,), "VR PN"),
        (WEIGHT, ("heavy",), "VR DS"),
        (SEQUENCE, ("x",), "cannot be typed"),
        (0x00090010, ("x",), "cannot be typed"),
    ],
)
def test_invalid_value_is_refused_with_the_tag_of_its_attribute(tag: int, lines: tuple[str, ...], reason: str) -> None:
    with pytest.raises(DocumentInvalid, match=reason) as refused:
        element_of(tag, lines)
    (fault,) = refused.value.faults
    assert fault.path == f"/{tag:08X}"
    assert not any(line in str(fault) for line in lines)


@given(st.text(st.characters(categories=["L", "Nd", "Zs"]), max_size=60).map(str.strip))
def test_any_text_of_letters_comes_back(text: str) -> None:
    lines = normal([text], "LO")
    assert lines_of(element_of(DESCRIPTION, lines)) == lines
