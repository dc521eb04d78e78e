from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.data import get_charset_files

from dcm4py_leading.coercion.changes import apply
from dcm4py_leading.coercion.steps.change_charset import compile_change_charset
from dcm4py_leading.errors import CoercionFailed
from tests.fixtures.rules import RETRIEVE, data_set


def written_and_read(ds):
    buffer = BytesIO()
    ds.save_as(buffer, implicit_vr=False, little_endian=True)
    buffer.seek(0)
    return dcmread(buffer, force=True)


def changed(ds, codes):
    changes = compile_change_charset(codes).changes(ds, RETRIEVE)
    assert changes is not None
    apply(ds, changes)
    return written_and_read(ds)


@pytest.mark.ldap("dcmURI")
@pytest.mark.parametrize(
    ("file", "codes", "expected"),
    [
        ("chrH31.dcm", "ISO_IR 192", "ISO_IR 192"),
        ("chrH32.dcm", "ISO_IR 192", "ISO_IR 192"),
        ("chrI2.dcm", "GB18030", "GB18030"),
        ("chrKoreanMulti.dcm", "ISO_IR 192", "ISO_IR 192"),
        ("chrX1.dcm", "GB18030", "GB18030"),
        ("chrGreek.dcm", "ISO_IR 192", "ISO_IR 192"),
        ("chrRuss.dcm", "ISO_IR 192", "ISO_IR 192"),
        ("chrH31.dcm", ":ISO 2022 IR 87", ["", "ISO 2022 IR 87"]),
    ],
)
def test_text_of_real_files_survives_in_the_new_set(file, codes, expected):
    (path,) = get_charset_files(file)
    name = str(dcmread(path, force=True).PatientName)
    again = changed(dcmread(path, force=True), codes)
    assert again.SpecificCharacterSet == expected
    assert str(again.PatientName) == name


@given(st.text("äöüßéÅ AZaz", max_size=40))
def test_there_and_back_again_is_the_same(text):
    ds = data_set(SpecificCharacterSet="ISO_IR 100", InstitutionName=text.strip())
    again = changed(changed(written_and_read(ds), "ISO_IR 192"), "ISO_IR 100")
    assert (again.InstitutionName or "") == text.strip()
    assert again.SpecificCharacterSet == "ISO_IR 100"


def test_text_of_items_is_encoded_anew():
    ds = data_set(SpecificCharacterSet="ISO_IR 100", RequestAttributesSequence=[data_set(RequestedProcedureID="Ä")])
    assert changed(written_and_read(ds), "ISO_IR 192").RequestAttributesSequence[0].RequestedProcedureID == "Ä"


def test_the_set_that_is_there_already_changes_nothing():
    assert compile_change_charset("ISO_IR 100").changes(data_set(SpecificCharacterSet="ISO_IR 100"), RETRIEVE) == []


def test_the_default_repertoire_is_an_absent_attribute():
    again = changed(data_set(SpecificCharacterSet="ISO_IR 100", PatientName="Smith"), "ISO_IR 6")
    assert "SpecificCharacterSet" not in again


@pytest.mark.parametrize("codes", ["ISO_IR 100", "ISO_IR 6", "ISO_IR 101"])
def test_text_that_the_new_set_lacks_fails_and_is_not_told(codes):
    ds = data_set(SpecificCharacterSet="ISO_IR 192", PatientName="Διονυσιος")
    with pytest.raises(CoercionFailed, match="not encoded in") as caught:
        compile_change_charset(codes).changes(ds, RETRIEVE)
    assert "Διονυσιος" not in str(caught.value)
    assert ds.SpecificCharacterSet == "ISO_IR 192"


@pytest.mark.parametrize(
    ("specific", "codes"),
    [
        ("ISO_IR 192", ("ISO_IR 192",)),
        ("ISO_IR 6", ()),
        ("ISO_IR 100:ISO_IR 144", ("ISO 2022 IR 100", "ISO 2022 IR 144")),
        (":ISO 2022 IR 149", ("", "ISO 2022 IR 149")),
    ],
)
def test_text_behind_the_scheme(specific, codes):
    assert compile_change_charset(specific).codes == codes


@pytest.mark.parametrize(
    ("specific", "reason"),
    [
        ("", "expected a character set"),
        ("UTF-8", "unknown character set 'UTF-8'"),
        ("ISO_IR 100:", "unknown character set ''"),
        (":", "unknown character set ''"),
        ("ISO_IR 192:ISO 2022 IR 87", "ISO_IR 192 allows no code extensions"),
        ("ISO 2022 IR 6:GB18030", "GB18030 allows no code extensions"),
    ],
)
def test_invalid_character_set_is_refused(specific, reason):
    with pytest.raises(ValueError, match=reason):
        compile_change_charset(specific)
