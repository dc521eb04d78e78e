"""Normal forms of values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag

from dcm4py_leading.dataset.normal import (
    element_of,
    first_text,
    normal_date,
    normal_name,
    normal_name_group,
    normal_number,
    normal_time,
    spellings,
    time_span,
    values_text,
)
from tests.fixtures.rules import data_set

NAMES = st.text(st.sampled_from("aAİıIiẞßsS^ äÄéÉ"), max_size=12)


def test_values_are_text_without_padding_and_empty_ones_are_left_out() -> None:
    ds = data_set(OtherPatientIDs=["A ", "", " B"], PatientName="Doe^John ", SeriesNumber=7, EncapsulatedDocument=b"12")
    assert values_text(ds, 0x00101000) == ["A", "B"]
    assert [first_text(ds, tag) for tag in (0x00101000, 0x00100010, 0x00200011)] == ["A", "Doe^John", "7"]
    assert [first_text(ds, tag) for tag in (0x00100020, 0x00420011)] == [None, None]


def test_a_value_that_cannot_be_read_is_none() -> None:
    ds = Dataset()
    sequence = BaseTag(0x00081032)
    ds[sequence] = RawDataElement(sequence, "SQ", 6, b"SECRET", 0, False, True)
    assert element_of(ds, sequence) is None
    assert values_text(ds, sequence) == []


@pytest.mark.parametrize(
    ("text", "number"), [("007", "7"), ("+7", "7"), ("-07", "-7"), ("-0", "0"), ("", None), ("7.0", None), ("٧", None)]
)
def test_a_number_has_no_zeros_before_it(text: str, number: str | None) -> None:
    assert normal_number(text) == number


@pytest.mark.parametrize(
    ("text", "date"),
    [("20261130", "20261130"), ("2026.11.30", "20261130"), ("2026.1130", None), ("2026113", None), ("", None)],
)
def test_a_date_is_of_eight_digits(text: str, date: str | None) -> None:
    assert normal_date(text) == date


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("07", ("070000000000", "075959999999")),
        ("0708", ("070800000000", "070859999999")),
        ("07:08:09", ("070809000000", "070809999999")),
        ("070809.12", ("070809120000", "070809129999")),
        ("070809.123456", ("070809123456", "070809123456")),
        ("7", None),
        ("070809.", None),
        ("070809.1234567", None),
    ],
)
def test_a_time_stands_for_all_that_it_leaves_out(text: str, span: tuple[str, str] | None) -> None:
    assert time_span(text) == span
    assert normal_time(text) == (None if span is None else span[0])


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("Doe^John", ("doe^john", "", "")),
        (" Doe  Smith ^ John^^", ("doe smith^john", "", "")),
        ("A=B=C", ("a", "b", "c")),
        ("A==C=D", ("a", "", "c")),
        ("", ("", "", "")),
        ("MU\u0308LLER", ("m\u00fcller", "", "")),
    ],
)
def test_a_name_is_compared_by_its_groups(text: str, groups: tuple[str, str, str]) -> None:
    assert normal_name(text) == groups


def test_all_forms_of_i_are_one_and_so_is_a_sharp_s() -> None:
    assert {normal_name_group(text) for text in ("Iıİi", "IIII", "ıııı")} == {"iiii"}
    assert normal_name_group("GROẞ") == normal_name_group("groß") == "groß"


@given(NAMES)
def test_a_normal_form_is_its_own(text: str) -> None:
    assert normal_name_group(normal_name_group(text)) == normal_name_group(text)


@given(NAMES)
def test_folding_keeps_the_number_of_characters(text: str) -> None:
    without_blanks = text.replace(" ", "").rstrip("^")
    assert len(normal_name_group(without_blanks)) == len(without_blanks)


def test_spellings_are_all_with_a_sharp_or_a_double_s() -> None:
    assert spellings("doe") == ["doe"]
    assert spellings("groß") == ["groß", "gross"]
    assert set(spellings("weissgroß")) == {"weissgroß", "weissgross", "weißgroß", "weißgross"}
    assert spellings("ßßßß") == ["ßßßß", "ssssssss"]


@given(st.text(st.sampled_from("asß"), max_size=10))
def test_spellings_begin_with_the_name_and_are_each_others(text: str) -> None:
    found = spellings(text)
    assert found[0] == text
    assert {one.replace("ß", "ss") for one in found} == {text.replace("ß", "ss")}
