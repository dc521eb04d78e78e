"""Names of attributes in rules, and their values as text."""

from __future__ import annotations

import pytest
from pydicom import Dataset

from dcm4py_leading.coercion.attribute_path import is_attribute, items_of, parse_tag, values_of, vr_of
from tests.fixtures.rules import data_set


@pytest.mark.parametrize(
    ("name", "tag"), [("PatientName", 0x00100010), ("00100010", 0x00100010), ("0009ab01", 0x0009AB01)]
)
def test_a_keyword_or_eight_digits_name_an_attribute(name: str, tag: int) -> None:
    assert parse_tag(name) == tag
    assert is_attribute(name)


@pytest.mark.parametrize("name", ["", "PatientNam", "0010001", "001000100", "0010001G", "Patient's Name"])
def test_anything_else_is_no_name(name: str) -> None:
    assert not is_attribute(name)
    with pytest.raises(ValueError, match="unknown attribute"):
        parse_tag(name)


def test_the_keyword_that_was_meant_is_told() -> None:
    with pytest.raises(ValueError, match=r"did you mean PatientName\?$"):
        parse_tag("PatientNames")
    with pytest.raises(ValueError, match=r"hexadecimal digits$"):
        parse_tag("xyz")


def test_the_vr_is_that_of_the_dictionary() -> None:
    assert [vr_of(tag) for tag in (0x00100010, 0x00280106, 0x0009AB01)] == ["PN", "US", None]


def values(ds: Dataset, keyword: str) -> list[str]:
    return list(values_of(ds.get_item(keyword) and ds[keyword]))


def test_values_are_text_without_blanks_around_them() -> None:
    ds = data_set(
        PatientName="Doe^John ",
        OtherPatientIDs=["A ", " B"],
        SeriesNumber=7,
        PixelSpacing=["0.5", "1"],
        OffendingElement=[0x00100010, 0x0020000D],
        StudyInstanceUID="1.2",
        RequestAttributesSequence=[data_set(RequestedProcedureID="P")],
        EncapsulatedDocument=b"12",
    )
    ds.PatientID = None
    assert values(ds, "PatientName") == ["Doe^John"]
    assert values(ds, "OtherPatientIDs") == ["A", "B"]
    assert values(ds, "SeriesNumber") == ["7"]
    assert values(ds, "PixelSpacing") == ["0.5", "1"]
    assert values(ds, "OffendingElement") == ["00100010", "0020000D"]
    assert values(ds, "StudyInstanceUID") == ["1.2"]
    for keyword in ("RequestAttributesSequence", "EncapsulatedDocument", "PatientID", "StudyID"):
        assert values(ds, keyword) == []


def test_only_a_sequence_has_items() -> None:
    item = data_set(RequestedProcedureID="P")
    ds = data_set(RequestAttributesSequence=[item], PatientID="X")
    assert [items_of(ds, tag) for tag in (0x00400275, 0x00100020, 0x00081032)] == [[item], [], []]
