"""The DICOM JSON Model out of bytes: what pydicom reads of it is what was written."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset

from dcm4py_leading.dataset.data_sets import write
from dcm4py_leading.dataset.dicom_json.writing import json_element, json_object
from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE


def written(ds: Dataset) -> dict[str, object]:
    found: dict[str, object] = json.loads(json_object(write(ds, EXPLICIT_LITTLE)))
    return found


def test_each_kind_of_value() -> None:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientName = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    ds.PatientID = ""
    ds.OtherPatientIDs = ["A", "", "C"]
    ds.StudyDate = "20240101"
    ds.SeriesNumber = 7
    ds.PixelSpacing = ["0.5", "1.25"]
    ds.Rows = 512
    ds.RecommendedDisplayFrameRateInFloat = 1.5
    ds.StudyInstanceUID = "1.2.3"
    ds.FrameIncrementPointer = 0x00181063
    ds.PatientComments = "one\\two"
    ds.RedPaletteColorLookupTableData = b"\x01\x02"
    ds["RedPaletteColorLookupTableData"].VR = "OW"
    assert written(ds) == {
        "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]},
        "00080020": {"vr": "DA", "Value": ["20240101"]},
        "00089459": {"vr": "FL", "Value": [1.5]},
        "00100010": {
            "vr": "PN",
            "Value": [{"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}],
        },
        "00100020": {"vr": "LO"},
        "00101000": {"vr": "LO", "Value": ["A", None, "C"]},
        "00104000": {"vr": "LT", "Value": ["one\\two"]},
        "0020000D": {"vr": "UI", "Value": ["1.2.3"]},
        "00200011": {"vr": "IS", "Value": ["7"]},
        "00280009": {"vr": "AT", "Value": ["00181063"]},
        "00280010": {"vr": "US", "Value": [512]},
        "00280030": {"vr": "DS", "Value": ["0.5", "1.25"]},
        "00281201": {"vr": "OW", "InlineBinary": "AQI="},
    }


def test_items_have_the_character_set_of_the_whole() -> None:
    item = Dataset()
    item.ScheduledProcedureStepDescription = "Schädel"
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.RequestAttributesSequence = [item, Dataset()]
    found = written(ds)
    assert found["00080005"] == {"vr": "CS", "Value": ["ISO_IR 192"]}
    assert found["00400275"] == {"vr": "SQ", "Value": [{"00400007": {"vr": "LO", "Value": ["Schädel"]}}, {}]}


def test_octets_that_are_no_text_are_shown() -> None:
    data = b"\x10\x00\x10\x00PN\x04\x00M\xfcl "
    assert json.loads(json_object(data)) == {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "M\\xfcl"}]}}


def test_members_are_added_left_out_and_sorted() -> None:
    data = b"\x08\x00\x52\x00CS\x06\x00STUDY \x20\x00\x0d\x00UI\x04\x001.2\x00"
    added = {0x00081190: json_element(0x00081190, "UR", ["https://x/y"])}
    found = json.loads(json_object(data, without=(0x00080052,), added=added))
    assert list(found) == ["00081190", "0020000D"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_of_json_is_null(value: float) -> None:
    ds = Dataset()
    ds.RecommendedDisplayFrameRateInFloat = value
    assert written(ds)["00089459"] == {"vr": "FL", "Value": [None]}


TEXTS = st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\\^=")).map(str.strip)


@given(TEXTS, st.lists(TEXTS.filter(bool), min_size=1, max_size=4))
def test_pydicom_reads_the_same_text(description: str, others: list[str]) -> None:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.add_new(0x00081030, "LO", description or None)
    ds.add_new(0x00101001, "PN", others)
    read = Dataset.from_json(json_object(write(ds, EXPLICIT_LITTLE)))
    assert (read.StudyDescription or "") == description
    names = read.OtherPatientNames
    assert ([str(names)] if len(others) == 1 else [str(name) for name in names]) == others
