"""Data sets from bytes and back: what cannot be decoded stays, what is decoded is encoded in the set that is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydicom import Dataset

import dcm4py_leading
from dcm4py_leading.coercion.changes import apply
from dcm4py_leading.coercion.update import plan_update, update
from dcm4py_leading.dataset.data_sets import declare_default, read, write
from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE, IMPLICIT_LITTLE, Encoding
from dcm4py_leading.dataset.text.charset import character_set, lost, specific_character_set, unified
from dcm4py_leading.errors import CoercionFailed, UnencodableText
from dcm4py_leading.model.coercion import UpdatePolicy

NAME, COMMENTS, INSTITUTION, SEQUENCE, MEANING = 0x00100010, 0x00104000, 0x00080080, 0x00081032, 0x00080104


def element(tag: int, vr: bytes, value: bytes) -> bytes:
    head = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little") + vr
    value += b" " * (len(value) % 2 and vr != b"SQ")
    if vr in (b"SQ", b"UN", b"UT", b"UC"):
        return head + b"\0\0" + len(value).to_bytes(4, "little") + value
    return head + len(value).to_bytes(2, "little") + value


def item(*elements: bytes) -> bytes:
    content = b"".join(elements)
    return b"\xfe\xff\x00\xe0" + len(content).to_bytes(4, "little") + content


def codes(text: str) -> bytes:
    return element(0x00080005, b"CS", text.encode())


def name(octets: bytes) -> bytes:
    return element(NAME, b"PN", octets)


@pytest.mark.parametrize("declared", ["ISO_IR 192", "ISO_IR 100", "FOO", "\\ISO 2022 IR 87", " iso_ir 192", "GBK"])
@pytest.mark.parametrize("encoding", [EXPLICIT_LITTLE, IMPLICIT_LITTLE], ids=["explicit", "implicit"])
def test_octets_of_another_set_are_written_as_they_were(declared: str, encoding: Encoding) -> None:
    parts = [codes(declared), element(SEQUENCE, b"SQ", item(element(MEANING, b"LO", b"gr\xfcn\xff")))]
    data = b"".join([*parts, name(b"M\xfcller^J\xf6rg\\\x80"), element(COMMENTS, b"LT", b"gr\xfcn \x1b$B\\ ")])
    ds = read(data, EXPLICIT_LITTLE)
    again = write(ds, encoding)
    assert write(read(again, encoding), EXPLICIT_LITTLE) == data


def test_item_is_decoded_in_the_set_of_what_it_is_in_or_in_its_own() -> None:
    inner = item(element(MEANING, b"LO", "Größe".encode()))
    own = item(codes("ISO_IR 126"), element(MEANING, b"LO", "Δ".encode("iso8859_7")))
    ds = read(codes("ISO_IR 192") + element(SEQUENCE, b"SQ", inner + own), EXPLICIT_LITTLE)
    assert [one.CodeMeaning for one in ds.ProcedureCodeSequence] == ["Größe", "Δ"]


def test_values_are_parted_by_characters_and_not_by_octets() -> None:
    ds = read(codes("GBK") + element(INSTITUTION, b"LO", b"\x81\x5c\\x"), EXPLICIT_LITTLE)
    assert list(ds[INSTITUTION].value) == ["乗", "x"]


def test_text_in_an_element_of_vr_un_is_decoded_where_the_dictionary_knows_it() -> None:
    ds = read(codes("ISO_IR 192") + element(NAME, b"UN", "Müller".encode()), EXPLICIT_LITTLE)
    assert (ds[NAME].VR, str(ds.PatientName)) == ("PN", "Müller")


def test_default_set_is_what_the_octets_are_in() -> None:
    ds = read(name(b"M\xfcller"), EXPLICIT_LITTLE)
    declare_default(ds, "ISO_IR 100")
    assert (str(ds.PatientName), character_set(ds)) == ("Müller", ("ISO_IR 100",))


def test_text_that_the_set_lacks_is_told_by_the_attribute_alone() -> None:
    ds = Dataset()
    ds.PatientName = "Müller"
    with pytest.raises(UnencodableText, match=r"^PatientName has a character that its character set does not have$"):
        write(ds, EXPLICIT_LITTLE)


LOCAL_LATIN = element(INSTITUTION, b"LO", b"Stadtspital Z\xfcrich")


@pytest.mark.parametrize(
    ("declared", "octets", "new", "needed"),
    [
        ("", b"Z\xfcrich", "Müller", ("", "ISO 2022 IR 100")),
        ("", b"Z\xfcrich", "Łucja", ("", "ISO 2022 IR 101")),
        ("", b"Z\xfcrich", "山田", ("", "ISO 2022 IR 87")),
        ("", b"Z\xfcrich", "Müller Łucja", ("", "ISO 2022 IR 101")),
        ("", b"Z\xfcrich", "Åsa Łucja Δ", ("", "ISO 2022 IR 100", "ISO 2022 IR 101", "ISO 2022 IR 126")),
        ("ISO_IR 100", b"\x80 1", "Δ", ("ISO 2022 IR 100", "ISO 2022 IR 126")),
        ("ISO_IR 192", b"Z\xfcrich", "Δ 山", ("ISO_IR 192",)),
        ("ISO_IR 100", b"Z\xfcrich", "Δ", ("ISO_IR 192",)),
        ("", b"Zuerich", "Müller", ("ISO_IR 192",)),
        ("ISO_IR 100", b"\x1b[1m", "Δ", ("ISO_IR 192",)),  # no code extensions, before and after
    ],
)
def test_chosen_set_keeps_the_meaning_of_old_octets(
    declared: str, octets: bytes, new: str, needed: tuple[str, ...]
) -> None:
    start = codes(declared) if declared else b""
    ds = read(start + element(INSTITUTION, b"LO", octets) + name(b"Old"), EXPLICIT_LITTLE)
    leading = Dataset()
    leading.SpecificCharacterSet = "ISO_IR 192"
    leading.PatientName = new
    update(ds, leading, UpdatePolicy.OVERWRITE)
    again = read(write(ds, EXPLICIT_LITTLE), EXPLICIT_LITTLE)
    assert (character_set(again), str(again.PatientName)) == (needed, new)
    raw = write(ds, EXPLICIT_LITTLE)
    assert octets in raw or needed == ("ISO_IR 192",)


@pytest.mark.parametrize(
    ("declared", "octets", "new"),
    [("FOO", b"Z\xfc", "Müller"), ("GBK", b"Z\xfc", "ﾔﾏ"), ("", b"Z\xfc", "Nguyễn"), ("", b"\x1b$B \xfc", "Müller")],
)
def test_where_no_set_is_true_for_both_the_attributes_are_named(declared: str, octets: bytes, new: str) -> None:
    start = codes(declared) if declared else b""
    ds = read(start + element(INSTITUTION, b"LO", octets), EXPLICIT_LITTLE)
    leading = Dataset()
    leading.PatientName = new
    with pytest.raises(CoercionFailed, match=r"PatientName is not in .*InstitutionName") as caught:
        plan_update(ds, leading, UpdatePolicy.OVERWRITE)
    assert ("dcmDefaultCharacterSet" in str(caught.value)) == (not declared)
    assert new not in str(caught.value)


def test_undecodable_text_is_not_carried_into_another_set() -> None:
    ds = read(codes("ISO_IR 100") + name(b"Ours"), EXPLICIT_LITTLE)
    theirs = read(codes("ISO_IR 192") + name(b"M\xfcller"), EXPLICIT_LITTLE)
    assert update(ds, theirs, UpdatePolicy.OVERWRITE) == []
    same = read(codes("ISO_IR 192") + name(b"Ours"), EXPLICIT_LITTLE)
    update(same, theirs, UpdatePolicy.OVERWRITE)
    assert b"M\xfcller" in write(same, EXPLICIT_LITTLE)


def test_text_that_would_be_lost_in_a_set_is_named() -> None:
    ds = read(codes("ISO_IR 192") + name(b"M\xfcller"), EXPLICIT_LITTLE)
    assert (lost(ds, ("ISO_IR 100",)), lost(ds, ("iso_ir 192",))) == ("PatientName", None)


def test_all_text_follows_another_set() -> None:
    ds = read(codes("ISO_IR 100") + LOCAL_LATIN + name(b"M\xfcller"), EXPLICIT_LITTLE)
    from dcm4py_leading.coercion.changes import set_attribute

    apply(ds, [set_attribute(specific_character_set(("ISO_IR 192",)))])
    assert "Zürich".encode() in write(ds, EXPLICIT_LITTLE)
    assert unified(("ISO_IR 192",), []) == ("ISO_IR 192",)


def test_nothing_else_reads_or_writes_data_sets_with_the_codec_of_pydicom() -> None:
    root = Path(dcm4py_leading.__file__).parent
    forbidden = re.compile(r"\b(read_dataset|dcmread|write_dataset|dcmwrite|save_as|pydicom\.charset)\b")
    found = [
        str(path.relative_to(root)) for path in sorted(root.rglob("*.py")) if forbidden.search(path.read_text("utf-8"))
    ]
    assert found == ["dataset/data_sets.py"]
