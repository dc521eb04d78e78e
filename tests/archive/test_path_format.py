from __future__ import annotations

import re
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset

from dcm4py_leading.archive.path_format import compile_path_format, java_hash

NOW = datetime(2024, 3, 9, 7, 5, 2)


def path(text: str, now: datetime = NOW, **attributes: object) -> str:
    ds = Dataset()
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return compile_path_format(text).path(ds, now)


@pytest.mark.ldap("dcmStoragePathFormat")
def test_default_format_has_the_day_and_hashes_of_the_uids() -> None:
    text = "{now,date,yyyy/MM/dd}/{0020000D,hash}/{0020000E,hash}/{00080018,hash}"
    uids = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.4", "SOPInstanceUID": "1.2.3.4.5"}
    assert path(text, **uids) == "2024/03/09/02C82A3A/71668980/" + java_hash("1.2.3.4.5")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{00080020,date,yyyy/MM/dd}/{00080030,time,HH}", "2011/10/12/09"),
        ("{00080020,date,yyyyMMdd'T'}", "20111012T"),
        ("{00080008[1]}/{00080018}.dcm", "PRIMARY/1.2.3.4.5.dcm"),
        ("{00080018,md5}", "08vpsu2l2shpb0kc3orpgfnhv0"),
        ("{00100010,upper}", "SIMSON^HOMER"),
        ("{00100020,slice,3}/{00100020,slice,3,6}", "456789/456"),
        ("{00100020,slice,-3}/{00100020,slice,-6,-3}", "789/456"),
        ("{00200011,offset,100}/{00200013,offset,-1}", "101/1"),
        ("{00100010,urlencoded}", "Simson%5EHomer"),
    ],
)
def test_value_is_formatted_as_in_dcm4che(text: str, expected: str) -> None:
    attributes = {
        "StudyDate": "20111012",
        "StudyTime": "0930",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "SOPInstanceUID": "1.2.3.4.5",
        "PatientName": "Simson^Homer",
        "PatientID": "123456789",
        "SeriesNumber": 1,
        "InstanceNumber": 2,
    }
    assert path(text, **attributes) == expected


def test_hash_is_that_of_java_outside_of_the_basic_plane_too() -> None:
    assert java_hash("") == "00000000"
    assert java_hash("hello") == "05E918D2"
    assert java_hash("\U0001d11e") == f"{31 * 0xD834 + 0xDD1E:08X}"


def test_random_parts_differ_each_time() -> None:
    text = "{rnd}/{rnd,uuid}/{rnd,uid}"
    assert re.fullmatch(r"[0-9A-F]{8}/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/2\.25\.\d+", path(text))
    assert path(text) != path(text)


@pytest.mark.parametrize(("text", "expected"), [("{00100020}/x", "x"), ("{00080020,date,yyyy}/x", "null/x")])
def test_absent_value_leaves_the_file_in_the_storage(text: str, expected: str) -> None:
    assert path(text) == expected


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{00200013,number,000}", "{00200013,number,000}"),
        ("{00200013,choice,0#a}", "{00200013,choice,0#a}"),
        ("{now,date-P1M,yyyy}", "{now,date-P1M,yyyy}"),
        ("{00081140.00081155}", "{00081140.00081155}"),
        ("{now,date,yyyy/MMM}", "MMM"),
        ("{PatientID}", "{PatientID}"),
        ("{00100020", "{00100020"),
        ("../{00080018}", ".."),
    ],
)
def test_what_is_not_supported_is_named(text: str, named: str) -> None:
    with pytest.raises(ValueError, match=re.escape(named)):
        compile_path_format(text)


@given(
    st.text(max_size=80), st.sampled_from(["{00100020}", "a/{00100020}/b", "{00100020,upper}", "{00100020,slice,1}"])
)
def test_no_value_adds_an_element_or_leads_out(value: str, text: str) -> None:
    ds = Dataset()
    ds.add_new(0x00100020, "LT", value)
    elements = compile_path_format(text).path(ds, NOW).split("/")
    assert len(elements) <= len(text.split("/"))
    assert not {"", ".", ".."} & set(elements)
    assert all(len(element.encode()) <= 255 and "\0" not in element for element in elements)
