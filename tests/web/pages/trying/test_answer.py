"""Answers of a leading archive as somebody types them."""

from __future__ import annotations

import pytest

from dcm4py_leading.dataset.dicom_json.model import data_set_of
from dcm4py_leading.web.pages.trying.answer import parse_answer


def test_nothing_typed_is_no_answer() -> None:
    assert parse_answer(" \n\n") is None


def test_keywords_and_tags_become_attributes() -> None:
    ds = data_set_of(parse_answer("PatientName=Yamada^Tarou=山田^太郎\n00100020 = A=B\nPatientComments=a\\b\nStudyID="))
    assert str(ds.PatientName) == "Yamada^Tarou=山田^太郎"
    assert (ds.PatientID, ds.PatientComments, ds.StudyID) == ("A=B", "a\\b", None)


def test_several_values_are_parted_by_a_backslash() -> None:
    assert parse_answer("ModalitiesInStudy=CT\\MR")["00080061"]["Value"] == ["CT", "MR"]


def test_numbers_are_numbers() -> None:
    found = parse_answer("Rows=512\nPatientSize=1.8")
    assert (found["00280010"]["Value"], found["00101020"]["Value"]) == ([512], ["1.8"])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("PatientName", "expected a keyword or tag, = and a value"),
        ("Nothing=SECRET", "expected a keyword or tag, = and a value"),
        ("00090010=SECRET", "expected a keyword or tag, = and a value"),
        ("OtherPatientIDsSequence=SECRET", "OtherPatientIDsSequence has no value that can be typed"),
        ("Rows=SECRET", "no value of Rows, which has VR US"),
        ("PatientName=A=B=C=SECRET", "no value of PatientName, which has VR PN"),
    ],
)
def test_wrong_line_is_named_without_its_value(line: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"line 2: {reason}") as err:
        parse_answer(f"StudyID=1\n{line}")
    assert "SECRET" not in str(err.value)
