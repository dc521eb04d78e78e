"""The DICOM JSON Model, read as clients write it."""

from __future__ import annotations

import io
from typing import Any

import pydicom
import pytest
from pydicom import Dataset

from dcm4py_leading.dataset.dicom_json.reading import tree_of_json
from dcm4py_leading.dataset.elements import Value
from dcm4py_leading.dataset.encoder import encode
from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE
from dcm4py_leading.errors import InvalidObject
from tests.fixtures.datasets import read_sample


def no_bulk_data(uri: str, tag: int, depth: int) -> Value:
    raise InvalidObject(f"{uri} of {tag:08X} in {depth}")


def read(told: Any) -> Dataset:
    octets = b"".join(map(bytes, encode(tree_of_json(told, no_bulk_data), EXPLICIT_LITTLE)))
    return pydicom.dcmread(io.BytesIO(octets), force=True)


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "MR_small.dcm", "reportsi.dcm", "rtplan.dcm", "rtstruct.dcm", "waveform_ecg.dcm"]
)
def test_what_pydicom_tells_is_read_back(name: str) -> None:
    sample = read_sample(name)
    sample.remove_private_tags()
    again = read(sample.to_json_dict())
    sample.SpecificCharacterSet = "ISO_IR 192"
    assert Dataset.from_json(again.to_json_dict()) == Dataset.from_json(sample.to_json_dict())


@pytest.mark.parametrize(
    ("tag", "content", "value"),
    [
        ("00100010", {"vr": "PN", "Value": [{"Alphabetic": "Müller^Änne", "Phonetic": "x"}]}, "Müller^Änne==x"),
        ("00100010", {"vr": "PN", "Value": ["Roe"]}, "Roe"),
        ("00100010", {"vr": "PN"}, ""),
        ("00100020", {"vr": "LO", "Value": [None]}, ""),
        ("00080008", {"vr": "CS", "Value": ["A", None, "B"]}, ["A", "", "B"]),
        ("00200013", {"vr": "IS", "Value": ["7"]}, 7),
        ("00200013", {"vr": "IS", "Value": [7.0]}, 7),
        ("00281050", {"vr": "DS", "Value": [0.1, "2.5"]}, [0.1, 2.5]),
        ("00281050", {"vr": "DS", "Value": [-1.2345678901234567]}, -1.2345678901235),
        ("00280010", {"vr": "US", "Value": ["512"]}, 512),
        ("00280010", {"Value": [512]}, 512),
        ("00280009", {"vr": "AT", "Value": ["00181063"]}, 0x00181063),
        ("00280106", {"vr": "SS", "Value": [-1]}, -1),
        ("00189073", {"vr": "FD", "Value": [1]}, 1.0),
        ("00081140", {"vr": "SQ", "Value": [None]}, [Dataset()]),
        ("00420011", {"vr": "OB", "InlineBinary": "AQI="}, b"\1\2"),
    ],
)
def test_values(tag: str, content: dict[str, Any], value: object) -> None:
    assert read({tag: content})[tag].value == value


def test_file_meta_and_group_lengths_are_left_out() -> None:
    assert list(read({"00020010": {"vr": "UI", "Value": ["1.2"]}, "00080000": {"vr": "UL", "Value": [1]}})) == list(
        read({})
    )


def nested(depth: int) -> dict[str, Any]:
    return {} if not depth else {"00081140": {"vr": "SQ", "Value": [nested(depth - 1)]}}


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ([], "a data set is no JSON object"),
        ({"PatientName": {}}, "the name of a member is no tag"),
        ({"00100010": 7}, r"element \(0010,0010\): it has no VR"),
        ({"00100010": {"vr": "XX"}}, r"element \(0010,0010\): it has no VR"),
        ({"00100010": {"vr": "PN", "Value": "Roe"}}, "its Value is no array"),
        ({"00100010": {"vr": "PN", "Value": [7]}}, "its Value is none of VR PN"),
        ({"00100020": {"vr": "LO", "Value": [7]}}, "its Value is none of VR LO"),
        ({"00280010": {"vr": "US", "Value": [70000]}}, "its Value is none of VR US"),
        ({"00280010": {"vr": "US", "Value": [1.5]}}, "its Value is none of VR US"),
        ({"00281050": {"vr": "DS", "Value": [True]}}, "its Value is none of VR DS"),
        ({"00281050": {"vr": "DS", "Value": [float("nan")]}}, "its Value is none of VR DS"),
        ({"00420011": {"vr": "OB", "InlineBinary": "?"}}, "its InlineBinary is no Base64"),
        ({"00420011": {"vr": "OB", "Value": [1]}}, "its Value is none of VR OB"),
        ({"00420011": {"vr": "OB", "BulkDataURI": 1}}, "its BulkDataURI is none"),
        ({"00420011": {"vr": "OB", "BulkDataURI": "u"}}, "u of 00420011 in 0"),
        (nested(40), "sequences are nested more than 32 deep"),
    ],
)
def test_what_is_wrong_is_told_without_its_value(told: Any, reason: str) -> None:
    with pytest.raises(InvalidObject, match=reason):
        read(told)
