from io import BytesIO

import pytest
from pydicom import Dataset, dcmread

from dcm4py_leading.coercion.changes import apply
from dcm4py_leading.coercion.steps.trim_iso2022 import TrimISO2022Step
from tests.fixtures.rules import RETRIEVE, data_set


def written_and_read(ds):
    buffer = BytesIO()
    ds.save_as(buffer, implicit_vr=False, little_endian=True)
    buffer.seek(0)
    return dcmread(buffer, force=True)


def trimmed(ds):
    changes = TrimISO2022Step().changes(ds, RETRIEVE)
    apply(ds, changes or [])
    return changes


@pytest.mark.ldap("dcmTrimISO2022CharacterSet")
@pytest.mark.parametrize(
    ("code", "name"),
    [("100", "Müller^Jürgen"), ("101", "Łódź"), ("144", "Люкceмбypг"), ("126", "Διονυσιος"), ("166", "ไทย")],
)
def test_single_byte_set_loses_its_code_extensions_and_keeps_its_text(code, name):
    ds = written_and_read(data_set(SpecificCharacterSet=f"ISO 2022 IR {code}", PatientName=name))
    assert trimmed(ds) is not None
    again = written_and_read(ds)
    assert again.SpecificCharacterSet == f"ISO_IR {code}"
    assert str(again.PatientName) == name


def test_the_default_repertoire_needs_no_name():
    ds = data_set(SpecificCharacterSet="ISO 2022 IR 6", PatientName="Smith^J")
    trimmed(ds)
    assert "SpecificCharacterSet" not in ds
    assert str(written_and_read(ds).PatientName) == "Smith^J"


@pytest.mark.parametrize(
    "codes",
    [
        [],
        ["ISO_IR 100"],
        ["ISO_IR 192"],
        ["ISO 2022 IR 87"],
        ["ISO 2022 IR 149"],
        ["", "ISO 2022 IR 149"],
        ["ISO 2022 IR 100", "ISO 2022 IR 126"],
        ["ISO 2022 IR 6", "ISO 2022 IR 100"],
    ],
)
def test_text_that_needs_its_extensions_or_has_none_is_not_touched(codes):
    ds = Dataset()
    if codes:
        ds.SpecificCharacterSet = codes
    assert TrimISO2022Step().changes(ds, RETRIEVE) is None


def test_it_touches_nothing_else():
    assert TrimISO2022Step().writes == frozenset({0x00080005})
