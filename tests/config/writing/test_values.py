"""Values as they are compared before writing, and as octets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcm4py_leading.config.entry import text_of
from dcm4py_leading.config.writing.values import identity, is_binary, octets_of, spelling, without

DN, OTHER_DN = "cn=dicom, dicomDeviceName=CT,dc=x", "CN=dicom,dicomdevicename=CT,DC=x"


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [("userCertificate;binary", True), ("jpegPhoto", True), ("x;binary", True), ("dicomDescription", False)],
)
def test_some_attributes_are_octets(attribute: str, expected: bool) -> None:
    assert is_binary(attribute) is expected


@given(st.binary(max_size=20))
def test_octets_come_back_from_the_text_that_an_entry_shows(octets: bytes) -> None:
    text = text_of(octets)
    # A text that looks like escaped octets is what it looks like: only then may the octets be others.
    assert text_of(octets_of("jpegPhoto", text)) == text
    if b"\\" not in octets:
        assert octets_of("jpegPhoto", text) == octets


def test_a_text_is_its_octets_whatever_it_looks_like() -> None:
    assert octets_of("dicomDescription", "\\xff ü") == "\\xff ü".encode()
    assert octets_of("jpegPhoto", "\\xff") == b"\xff"
    assert octets_of("jpegPhoto", "\\x41") == b"\\x41"  # these octets would have been shown as A


@pytest.mark.parametrize(
    ("attribute", "one", "other", "is_same_value", "is_same_spelling"),
    [
        ("dicomDescription", "a  b ", "a b", True, False),
        ("dicomDescription", "a", "b", False, False),
        ("objectClass", "dicomDevice", "DICOMDEVICE", True, True),
        ("dicomNetworkConnectionReference", DN, OTHER_DN, True, True),
        ("dicomNetworkConnectionReference", "no DN", "no dn", False, False),
        ("userCertificate", "a ", "a", False, False),
        ("unknownAttribute", "A", "a", False, False),
    ],
)
def test_values_are_one_for_the_directory_or_for_people(
    attribute: str, one: str, other: str, is_same_value: bool, is_same_spelling: bool
) -> None:
    assert (identity(attribute, one) == identity(attribute, other)) is is_same_value
    assert (spelling(attribute, one) == spelling(attribute, other)) is is_same_spelling


def test_a_class_top_is_never_missed() -> None:
    assert without("objectClass", ["top", "dicomDevice", "dcmDevice"], ["DICOMDEVICE"]) == ("dcmDevice",)
    assert without("dicomDescription", ["top", "a"], ["a"]) == ("top",)
    assert without("dicomDescription", ["a  b"], ["a b"]) == ("a  b",)
    assert without("dicomDescription", ["a  b"], ["a b"], identity) == ()
