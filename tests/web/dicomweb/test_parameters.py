"""The parser of query parameters: what clients write, and any text at all."""

from __future__ import annotations

from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcm4py_leading.model.values import Level
from dcm4py_leading.web.dicomweb.parameters import WrongParameter, read_parameters

OHIF = (
    "PatientName=*X*&00100020=*ID*&ModalitiesInStudy=CT&StudyDate=20240101-20240131&limit=101&offset=0"
    "&fuzzymatching=false&includefield=00081030%2C00080060%2C00080090%2C00100030"
)
WEASIS = "00100020=ID&&00080020=20240101-20240131&includefield=00080020,00080030,00081190&limit=10&offset=0&"


def test_query_of_ohif() -> None:
    read = read_parameters(OHIF, Level.STUDY)
    assert read.keys == [
        ((0x00100010,), ("*X*",)),
        ((0x00100020,), ("*ID*",)),
        ((0x00080061,), ("CT",)),
        ((0x00080020,), ("20240101-20240131",)),
    ]
    assert read.included == [0x00081030, 0x00080060, 0x00080090, 0x00100030]
    assert (read.limit, read.offset, read.is_fuzzy) == (101, 0, False)


def test_query_of_weasis() -> None:
    read = read_parameters(WEASIS, Level.STUDY)
    assert [path for path, _ in read.keys] == [(0x00100020,), (0x00080020,)]
    assert read.included == [0x00080020, 0x00080030, 0x00081190]


def test_path_leads_through_a_sequence() -> None:
    read = read_parameters("RequestAttributesSequence.00400009=A", Level.SERIES)
    assert read.keys == [((0x00400275, 0x00400009), ("A",))]


def test_attribute_without_a_value_is_only_returned() -> None:
    read = read_parameters("StudyDescription=&AccessionNumber", Level.STUDY)
    assert (read.keys, read.included) == ([], [0x00081030, 0x00080050])


def test_include_field_adds_up() -> None:
    read = read_parameters("includefield=all&includefield=PatientName%2cstudydate", Level.STUDY)
    assert read.includes_all and read.included == [0x00100010, 0x00080020]


def test_so_many_attributes_are_too_many() -> None:
    with pytest.raises(WrongParameter, match="too many"):
        read_parameters("&".join(["PatientID=x"] * 65), Level.STUDY)
    with pytest.raises(WrongParameter, match="includefield"):
        read_parameters("includefield=" + ",".join(f"{0x00100000 + n:08X}" for n in range(600)), Level.STUDY)


def test_value_that_went_astray_is_not_repeated() -> None:
    with pytest.raises(WrongParameter) as raised:
        read_parameters("M%C3%BCller%5E%C3%84nne=x", Level.STUDY)
    assert "ller" not in str(raised.value)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    for query in (text, quote(text), f"PatientName={quote(text)}", f"includefield={quote(text)}", f"orderby={text}"):
        try:
            read_parameters(query, Level.IMAGE)
        except WrongParameter as err:
            assert str(err)


VALUES = st.lists(
    st.text(st.characters(blacklist_characters="\\", blacklist_categories=("Cs", "Cc")), min_size=1)
    .map(str.strip)
    .filter(bool),
    min_size=1,
    max_size=8,
)


@given(VALUES)
def test_texts_with_commas_come_through_when_these_are_encoded(values: list[str]) -> None:
    read = read_parameters(f"StudyDescription={','.join(map(quote_plus, values))}", Level.STUDY)
    assert read.keys == [((0x00081030,), tuple(values))]


@given(st.lists(st.from_regex(r"[1-9][0-9]{0,3}(\.[1-9][0-9]{0,3}){1,5}", fullmatch=True), min_size=1, max_size=8))
def test_uids_are_alternatives_however_they_are_parted(uids: list[str]) -> None:
    expected = [((0x0020000D,), tuple(uids))]
    for separator in (",", "%2C", "%2c", "%5C", "%5c%5C", "\\", "\\\\"):
        assert read_parameters(f"StudyInstanceUID={separator.join(uids)}", Level.STUDY).keys == expected
