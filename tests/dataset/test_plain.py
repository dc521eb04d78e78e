"""Plain values: those that pydicom writes as it has read them."""

from __future__ import annotations

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcm4py_leading.dataset import data_sets
from dcm4py_leading.dataset.normal import first_text
from dcm4py_leading.dataset.plain import compared_text, is_plain
from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE

TAGS = {
    b"AE": 0x00080054,
    b"AS": 0x00101010,
    b"CS": 0x00080060,
    b"DA": 0x00080020,
    b"DS": 0x00101030,
    b"IS": 0x00200013,
    b"LO": 0x00081030,
    b"LT": 0x00104000,
    b"PN": 0x00100010,
    b"SH": 0x00080050,
    b"ST": 0x00080081,
    b"TM": 0x00080030,
    b"UI": 0x0020000D,
    b"US": 0x00280010,
    b"UL": 0x00081161,
}
PARTS = ("0", "1.5", "-2", "19991231", "1.2.840", "A", "Doe^John", " ", "\\", "=", "\0", "\n", "ü", "E+1", "000")


def element(vr: bytes, value: bytes) -> bytes:
    """The element in Explicit VR Little Endian."""
    tag = TAGS[vr]
    numbers = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little")
    return numbers + vr + len(value).to_bytes(2, "little") + value


@given(
    st.sampled_from(sorted(TAGS)),
    st.binary(max_size=8) | st.lists(st.sampled_from(PARTS), max_size=4).map(lambda parts: "".join(parts).encode()),
)
def test_a_plain_value_is_written_and_compared_as_pydicom_has_it(vr: bytes, value: bytes) -> None:
    for padded in (value, value + b" ", value + b"\0"):
        if not is_plain(vr, padded):
            continue
        with warnings.catch_warnings(action="ignore"):
            ds = data_sets.read(element(vr, padded), EXPLICIT_LITTLE)
            text = first_text(ds, TAGS[vr])
            for _ in ds.iterall():  # which parses the value
                pass
            written = data_sets.write(ds, EXPLICIT_LITTLE)
        assert written == element(vr, padded)
        assert compared_text(vr, padded) == text


@pytest.mark.parametrize(
    ("vr", "value"),
    [
        (b"PN", b"Doe^John"),
        (b"LO", b"two words "),
        (b"CS", b"A\\B "),
        (b"DS", b"1.50\\-2E3 "),
        (b"IS", b"-7"),
        (b"DA", b"20261130"),
        (b"UI", b"1.2.840\0"),
        (b"US", b"\1\2\3\4"),
        (b"LT", b"a b "),
        (b"SH", b""),
    ],
)
def test_common_values_are_plain(vr: bytes, value: bytes) -> None:
    assert is_plain(vr, value)


@pytest.mark.parametrize(
    ("vr", "value"),
    [
        (b"PN", "Müller".encode("latin-1")),
        (b"PN", b"Doe^John=A"),
        (b"LO", b" leading"),
        (b"LO", b"odd"),
        (b"CS", b"A\\ B"),
        (b"IS", b"+7"),
        (b"DA", b"2026.11.30"),
        (b"US", b"\1\2\3"),
        (b"SQ", b""),
        (b"UT", b"text"),
        (b"LT", b"a\nbc"),
        (b"LO", b"x" * 0x10000),
    ],
)
def test_what_pydicom_may_write_otherwise_is_not_plain(vr: bytes, value: bytes) -> None:
    assert not is_plain(vr, value)
