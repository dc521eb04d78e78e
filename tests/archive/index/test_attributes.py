from __future__ import annotations

import pytest
from pydicom import Dataset
from pydicom.dataelem import DataElement
from pydicom.tag import Tag

from dcm4py_leading.archive.index.attributes import decode, encode, merged, selected
from tests.fixtures.datasets import CHARACTER_SETS, COMPRESSED, RADIOTHERAPY, REPORTS, UNCOMPRESSED, sample_path
from tests.fixtures.part10 import read_header

SAMPLES = sorted({*UNCOMPRESSED, *COMPRESSED, *REPORTS, *CHARACTER_SETS, *RADIOTHERAPY} - {"rtstruct.dcm"})


def header(name: str) -> Dataset:
    with sample_path(name).open("rb") as file:
        return read_header(file)


@pytest.mark.parametrize(
    "name", [*SAMPLES, "priv_SQ.dcm", "nested_priv_SQ.dcm", "UN_sequence.dcm", "chrSQEncoding.dcm"]
)
def test_every_attribute_comes_back_as_it_was(name: str) -> None:
    ds = header(name)
    tags = [tag for tag in ds.keys() if tag.group > 2 and tag.element]
    read = decode(encode(selected(ds, tags)))
    original = header(name)
    is_big_endian = original.original_encoding[1] is False
    for tag in tags:
        if is_big_endian and original[tag].VR in ("OW", "OF"):
            continue
        assert read[tag].VR == original[tag].VR
        assert read[tag] == original[tag], tag


@pytest.mark.parametrize("name", CHARACTER_SETS)
def test_character_set_of_the_object_is_kept(name: str) -> None:
    ds = header(name)
    read = decode(encode(selected(ds, [0x00100010])))
    assert read.SpecificCharacterSet == ds.SpecificCharacterSet
    assert str(read.PatientName) == str(ds.PatientName)


def test_attributes_that_are_not_asked_for_are_left_out() -> None:
    assert list(selected(header("CT_small.dcm"), [0x00100020, 0x7FFF0010]).keys()) == [Tag(0x00080005), Tag(0x00100020)]


def test_value_that_cannot_be_read_is_left_out() -> None:
    sequence = b"\x08\x00\x40\x11SQ\x00\x00\x04\x00\x00\x00abcd"
    nested = b"\xfe\xff\x00\xe0\x0b\x00\x00\x00\x28\x00\x10\x00US\x03\x00abc"
    in_sequence = b"\x08\x00\x15\x11SQ\x00\x00" + len(nested).to_bytes(4, "little") + nested
    study_id = b"\x20\x00\x10\x00SH\x02\x00S1"
    rows = b"\x28\x00\x10\x00US\x03\x00abc"
    ds = decode(sequence + in_sequence + study_id + rows)
    assert list(selected(ds, list(ds.keys())).keys()) == [0x00200010]


def test_text_beyond_the_character_set_is_kept_in_utf_8() -> None:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.PatientName = "山田^太郎"
    read = decode(encode(ds))
    assert read.SpecificCharacterSet == "ISO_IR 192"
    assert str(read.PatientName) == "山田^太郎"


def level(character_set: str | None, keyword: str, value: str) -> bytes:
    ds = Dataset()
    if character_set:
        ds.SpecificCharacterSet = character_set
    setattr(ds, keyword, value)
    return encode(ds)


@pytest.mark.parametrize(
    ("upper", "lower", "expected"),
    [
        (("ISO_IR 100", "Müller"), ("ISO_IR 100", "Schädel"), "ISO_IR 100"),
        (("ISO_IR 192", "Müller"), ("ISO_IR 100", "Schädel"), "ISO_IR 100"),
        (("ISO_IR 100", "Müller"), (None, "head"), "ISO_IR 192"),
        (("ISO_IR 144", "Люкceмбypг"), ("ISO_IR 100", "Schädel"), "ISO_IR 192"),
    ],
)
def test_levels_in_different_character_sets_are_merged_as_text(
    upper: tuple[str | None, str], lower: tuple[str | None, str], expected: str
) -> None:
    ds = merged([level(upper[0], "PatientName", upper[1]), level(lower[0], "SeriesDescription", lower[1])])
    assert ds.SpecificCharacterSet == expected
    written = decode(encode(ds))
    assert str(written.PatientName) == upper[1]
    assert written.SeriesDescription == lower[1]


def test_sequence_keeps_its_text_when_the_character_set_changes() -> None:
    item = Dataset()
    item.CodeMeaning = "Schädel"
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.add(DataElement(0x00081032, "SQ", [item]))
    merged_ds = merged([encode(ds), level("ISO_IR 144", "SeriesDescription", "Люкceмбypг")])
    written = decode(encode(merged_ds))
    assert written.SpecificCharacterSet == "ISO_IR 192"
    assert written.ProcedureCodeSequence[0].CodeMeaning == "Schädel"
    assert written.SeriesDescription == "Люкceмбypг"
