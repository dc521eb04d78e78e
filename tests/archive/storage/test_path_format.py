from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset

from dcm4py_leading.archive.storage.path_format import compile_path_format
from dcm4py_leading.coercion.formats.attributes_format import Uids

NOW = datetime(2024, 3, 9, 7, 5, 2)


def path(text: str, now: datetime = NOW, **attributes: object) -> str:
    ds = Dataset()
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return compile_path_format(text).path(ds, now)


@pytest.mark.ldap("dcmStoragePathFormat")
def test_default_format_has_the_day_and_hashes_of_the_uids() -> None:
    text = "{now,date,yyyy/MM/dd}/{0020000D,hash}/{0020000E,hash}/{00080018,hash}"
    uids: dict[str, Any] = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.4", "SOPInstanceUID": "1.2.3.4.5"}
    assert path(text, **uids) == "2024/03/09/02C82A3A/71668980/B1EA2F47"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{00080020,date,yyyy/MM/dd}/{00080030,time,HH}", "2011/10/12/09"),
        ("{StudyDate,date-P1M,yyyy/MM/dd}", "2011/09/12"),
        ("{00080008[1]}/{00080018}.dcm", "PRIMARY/1.2.3.4.5.dcm"),
        ("{00080018,md5}", "08vpsu2l2shpb0kc3orpgfnhv0"),
        ("{00200011,offset,100}/{00200013,number,000}", "101/002"),
        ("{00400275.00401001}/x", "P1/x"),
        ("{00200011,choice,0#a/b|9#c}/x", "a/b/x"),
    ],
)
def test_value_is_formatted_as_in_dcm4che(text: str, expected: str) -> None:
    procedure = Dataset()
    procedure.RequestedProcedureID = "P1"
    attributes: dict[str, Any] = {
        "StudyDate": "20111012",
        "StudyTime": "0930",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "SOPInstanceUID": "1.2.3.4.5",
        "SeriesNumber": 1,
        "InstanceNumber": 2,
        "RequestAttributesSequence": [procedure],
    }
    assert path(text, **attributes) == expected


def test_random_parts_differ_each_time() -> None:
    text = "{rnd}/{rnd,uuid}/{rnd,uid}"
    assert re.fullmatch(r"[0-9A-F]{8}/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/2\.25\.\d+", path(text))
    assert path(text) != path(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{00100020}/x", "x"),
        ("{00100020}", "_"),
        ("{00080020,date,yyyy}/x", "null/x"),
        ("{0020000D,hash}/x", "null/x"),
        ("{00400275.00401001}/x", "null/x"),
        ("{00200011,number,000}/x", "000/x"),
    ],
)
def test_absent_value_leaves_the_file_in_the_storage(text: str, expected: str) -> None:
    assert path(text) == expected


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{00200013,number,0E0}", "{00200013,number,0E0}"),
        ("{now,date-P1M}", "{now,date-P1M}"),
        ("{now,date,yyyy/MMM}", "MMM"),
        ("{NoSuchAttribute}", "{NoSuchAttribute}"),
        ("{00100020", "braces"),
        ("../{00080018}", ".."),
        ("'..'/{00080018}", ".."),
        ("a/./{00080018}", ".."),
    ],
)
def test_unsupported_attributes_are_named(text: str, named: str) -> None:
    with pytest.raises(ValueError, match=re.escape(named)):
        compile_path_format(text)


@pytest.mark.parametrize("text", ["{now,date,'..'/yyyy}", "{00200013,choice,0#../..}", "x/.{00100020}/{00100020}."])
def test_no_pattern_leads_out(text: str) -> None:
    assert not [element for element in path(text).split("/") if element[:1] in ("", ".")]


def test_name_with_a_leading_dot_is_a_name_of_its_own() -> None:
    assert path("{00100020}/...{00080018}", PatientID=".incoming", SOPInstanceUID="1.2") == "_incoming/___1.2"


def test_element_longer_than_a_file_system_takes_is_cut_between_characters() -> None:
    assert path("{00104000}/x", PatientComments="a" + "é" * 200) == "a" + "é" * 127 + "/x"


@given(
    st.text(max_size=80), st.sampled_from(["{00100020}", "a/{00100020}/b", "{00100020,upper}", "{00100020,slice,1}"])
)
def test_no_value_adds_an_element_or_leads_out(value: str, text: str) -> None:
    ds = Dataset()
    ds.add_new(0x00100020, "LT", value)
    elements = compile_path_format(text).path(ds, NOW).split("/")
    assert len(elements) <= len(text.split("/"))
    assert not [element for element in elements if element[:1] in ("", ".")]
    assert all(len(element.encode()) <= 255 and "\0" not in element for element in elements)


UIDS = st.from_regex(r"[0-9.]{0,64}", fullmatch=True)
KINDS = [
    "",
    ",hash",
    ",md5",
    ",upper",
    ",urlencoded",
    ",slice,2",
    ",number,000",
    ",offset,1",
    ",date,yyyy",
    ",choice,0#a|1#b",
]


@given(
    UIDS, UIDS, st.sampled_from(KINDS), st.sampled_from(["0020000D", "00200052", "00400275.0020000D", "0020000D[1]"])
)
def test_uids_give_what_a_data_set_of_them_gives(study: str, sop: str, kind: str, source: str) -> None:
    ds = Dataset()
    ds.StudyInstanceUID, ds.SOPInstanceUID = study, sop
    form = compile_path_format(f"{{now,date,yyyy/MM/dd}}/{{{source}{kind}}}/{{00080018,hash}}.{{00080018}}")
    assert form.path(Uids({0x0020000D: study, 0x00080018: sop}), NOW) == form.path(ds, NOW)
