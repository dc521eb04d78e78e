"""Lengths, byte order and padding of value representations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcm4py_leading.dataset.vr import HAS_LONG_LENGTH, WORD_SIZES, dictionary_vr, fits, is_whole, padding, swapped


@pytest.mark.parametrize(
    ("vr", "length", "expected"),
    [
        (b"US", 2, True),
        (b"US", 3, False),
        (b"AT", 2, False),  # its words are of two octets, its values of four
        (b"AT", 4, True),
        (b"FD", 12, False),
        (b"LO", 0xFFFE, True),
        (b"LO", 0x10000, False),
        (b"UT", 0x10000, True),
        (b"OW", 0x10000, True),
        (b"OW", 3, False),
    ],
)
def test_a_value_fits_by_its_words_and_the_size_of_its_length(vr: bytes, length: int, expected: bool) -> None:
    assert fits(vr, length) is expected


def test_text_is_padded_with_a_blank_and_all_else_with_nul() -> None:
    blank = {vr for vr in HAS_LONG_LENGTH if padding(vr) == b" "}
    assert {b"AE", b"CS", b"DA", b"DS", b"IS", b"LO", b"LT", b"PN", b"SH", b"ST", b"TM", b"UC", b"UR", b"UT"} < blank
    assert not blank & {b"UI", b"OB", b"UN", b"OW", b"US", b"FD"}


def test_words_are_turned_round() -> None:
    assert bytes(swapped(b"\1\2\3\4", b"US")) == b"\2\1\4\3"
    assert bytes(swapped(b"\1\2\3\4", b"UL")) == b"\4\3\2\1"
    assert bytes(swapped(b"\1\2\3\4", b"AT")) == b"\2\1\4\3"
    assert bytes(swapped(b"\1\2\3\4", b"OB")) == b"\1\2\3\4"
    assert bytes(swapped(b"\1\2\3", b"UL")) == b"\1\2\3"
    assert bytes(swapped(b"\1\2\3", b"OW")) == b"\2\1\0\3"


@given(st.sampled_from(sorted(WORD_SIZES)), st.binary(max_size=64))
def test_a_value_turned_round_twice_is_itself(vr: bytes, value: bytes) -> None:
    expected = value + b"\0" * (len(value) % 2) if vr == b"OW" else value
    assert bytes(swapped(swapped(value, vr), vr)) == expected
    assert is_whole(vr, len(value)) or swapped(value, vr) == value


def test_the_vr_of_a_tag_is_that_of_the_dictionary() -> None:
    vrs = {0x00100010: "PN", 0x00280106: "US or SS", 0x00100000: "UL", 0x00090010: "LO", 0x00091001: "", 0x00105555: ""}
    assert {tag: dictionary_vr(tag) for tag in vrs} == vrs
