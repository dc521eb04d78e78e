from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.data import get_charset_files, get_testdata_file

from dcm4py_leading.coercion.update import update
from dcm4py_leading.dataset import data_sets
from dcm4py_leading.dataset.data_sets import declare_default, decode_text
from dcm4py_leading.dataset.scan import IMPLICIT_LITTLE, Encoding
from dcm4py_leading.dataset.text.charset import character_set
from dcm4py_leading.dataset.text.text import can_encode, decode
from dcm4py_leading.model.coercion import UpdatePolicy

PYDICOM_FILES = sorted(Path(path).name for path in get_charset_files("chr*.dcm"))
GERMAN, CZECH, RUSSIAN, GREEK = "Äneas^Rüdiger", "Čapek^Říp", "Люкceмбypг", "Διονυσιος"
JAPANESE = "Yamada^Tarou=山田^太郎=やまだ^たろう"
KOREAN = "Hong^Gildong=洪^吉洞=홍^길동"
CHINESE = "Wang^XiaoDong=王^小东"


def read(name: str) -> Dataset:
    (path,) = [path for path in get_charset_files("chr*.dcm") if Path(path).name == name]
    ds = dcmread(path)
    decode_text(ds)
    return ds


def written_and_read(ds: Dataset) -> Dataset:
    is_implicit_vr, is_little_endian = ds.original_encoding
    encoding = IMPLICIT_LITTLE if is_implicit_vr is None else Encoding(is_implicit_vr, bool(is_little_endian))
    return data_sets.read(data_sets.write(ds, encoding), encoding)


def data_set(name: str, charset: str | list[str] | None) -> Dataset:
    """A data set as it comes from a peer: with its text in bytes."""
    ds = Dataset()
    if charset is not None:
        ds.SpecificCharacterSet = charset
    ds.PatientName = name
    return written_and_read(ds)


@pytest.mark.parametrize(
    ("local", "leading", "expected"),
    [
        (("Müller", "ISO_IR 192"), (GERMAN, "ISO_IR 100"), ("ISO_IR 192",)),
        (("Müller", "ISO_IR 100"), (GERMAN, "ISO_IR 192"), ("ISO_IR 100",)),
        (("Müller", "ISO_IR 100"), (RUSSIAN, "ISO_IR 192"), ("ISO_IR 192",)),
        (("Müller", "ISO_IR 100"), (CZECH, "ISO_IR 101"), ("ISO_IR 192",)),
        (("Müller", "ISO_IR 100"), ("Plain", "ISO_IR 101"), ("ISO_IR 100",)),
        (("Plain", None), (GERMAN, "ISO_IR 100"), ("ISO_IR 192",)),
        (("Plain", None), ("Other", "ISO_IR 100"), ()),
        (("Müller", "ISO_IR 100"), ("Other", None), ("ISO_IR 100",)),
        (("Plain", None), (JAPANESE, ["", "ISO 2022 IR 87"]), ("ISO_IR 192",)),
        (("Plain", ["", "ISO 2022 IR 87"]), (JAPANESE, "ISO_IR 192"), ("", "ISO 2022 IR 87")),
        (("Plain", ["", "ISO 2022 IR 149"]), (KOREAN, "ISO_IR 192"), ("", "ISO 2022 IR 149")),
        (("Plain", ["", "ISO 2022 IR 87"]), (KOREAN, "ISO_IR 192"), ("ISO_IR 192",)),
        (("Plain", "GB18030"), (CHINESE, "ISO_IR 192"), ("GB18030",)),
        (("Plain", "GB18030"), (RUSSIAN, "ISO_IR 144"), ("GB18030",)),
    ],
)
def test_merged_name_survives_whatever_the_character_sets(
    local: tuple[str, str | None], leading: tuple[str, str | None], expected: tuple[str, ...]
) -> None:
    ds = data_set(*local)
    ds.add_new(0x00100040, "CS", "O")
    update(ds, data_set(*leading), UpdatePolicy.MERGE)
    again = written_and_read(ds)
    assert str(again.PatientName) == leading[0]
    assert character_set(again) == expected


_SETS: list[tuple[str | list[str] | None, str]] = [
    (None, "Plain"),
    ("ISO_IR 100", GERMAN),
    ("ISO_IR 101", CZECH),
    ("ISO_IR 144", RUSSIAN),
    ("ISO_IR 126", GREEK),
    ("ISO_IR 192", CHINESE),
    ("GB18030", CHINESE),
    (["", "ISO 2022 IR 87"], JAPANESE),
    (["", "ISO 2022 IR 149"], KOREAN),
    (["ISO 2022 IR 100", "ISO 2022 IR 144"], GERMAN + RUSSIAN),
]


@pytest.mark.parametrize("local", _SETS, ids=str)
@pytest.mark.parametrize("leading", _SETS, ids=str)
def test_any_two_character_sets_meet_without_loss(
    local: tuple[str | list[str] | None, str], leading: tuple[str | list[str] | None, str]
) -> None:
    ds = data_set(local[1], local[0])
    ds = written_and_read(ds)
    theirs = data_set(leading[1], leading[0])
    ours = Dataset()
    ours.ResponsiblePerson = local[1]
    update(ds, ours, UpdatePolicy.MERGE)
    update(ds, theirs, UpdatePolicy.MERGE)
    again = written_and_read(ds)
    assert (str(again.PatientName), str(again.ResponsiblePerson)) == (leading[1], local[1])


@pytest.mark.parametrize("name", PYDICOM_FILES)
def test_all_text_of_a_real_object_survives_a_new_character_set(name: str) -> None:
    before, ds = read(name), read(name)
    new = Dataset()
    new.SpecificCharacterSet = "ISO_IR 192"
    new.StudyDescription = GREEK + "山ж"
    update(ds, new, UpdatePolicy.MERGE)
    again = written_and_read(ds)
    assert again.StudyDescription == new.StudyDescription
    for element in before:
        if element.tag not in (0x00080005, 0x00081030) and element.tag.element != 0:
            assert again[element.tag] == element


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "MR_small_bigendian.dcm", "JPEG2000.dcm", "reportsi.dcm", "rtplan.dcm"]
)
def test_object_keeps_everything_else_with_a_new_character_set(name: str) -> None:
    path = get_testdata_file(name, download=False)
    assert path is not None
    before, ds = dcmread(path), dcmread(path)
    update(ds, data_set(RUSSIAN, "ISO_IR 144"), UpdatePolicy.MERGE)
    again = written_and_read(ds)
    assert (again.SpecificCharacterSet, again.PatientName) == ("ISO_IR 192", RUSSIAN)
    for element in before:
        if element.tag not in (0x00080005, 0x00100010) and element.tag.element != 0:
            assert again[element.tag] == element


@pytest.mark.parametrize("name", [name for name in PYDICOM_FILES if not name.startswith("chrSQ")])
def test_name_of_a_real_object_is_carried_over(name: str) -> None:
    ds = data_set("Plain", "ISO_IR 100")
    update(ds, read(name), UpdatePolicy.MERGE, only={0x00100010})
    assert written_and_read(ds).PatientName == read(name).PatientName


def test_object_that_gets_no_new_text_keeps_its_bytes() -> None:
    ds = read("chrRuss.dcm")
    new = Dataset()
    new.PatientID = "4711"
    update(ds, new, UpdatePolicy.MERGE)
    assert written_and_read(ds).PatientName == read("chrRuss.dcm").PatientName


def test_items_follow_the_new_character_set() -> None:
    item = Dataset()
    item.CodeMeaning = "Schädel"
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.ProcedureCodeSequence = [item]
    ds = written_and_read(ds)
    update(ds, data_set(RUSSIAN, "ISO_IR 144"), UpdatePolicy.MERGE)
    assert written_and_read(ds).ProcedureCodeSequence[0].CodeMeaning == "Schädel"


def test_item_that_names_its_own_character_set_keeps_it() -> None:
    item = Dataset()
    item.SpecificCharacterSet = "ISO_IR 101"
    item.CodeMeaning = "Čelo"
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.ProcedureCodeSequence = [item]
    ds = written_and_read(ds)
    update(ds, data_set(RUSSIAN, "ISO_IR 144"), UpdatePolicy.MERGE)
    again = written_and_read(ds).ProcedureCodeSequence[0]
    assert (again.SpecificCharacterSet, again.CodeMeaning) == ("ISO_IR 101", "Čelo")


def test_name_that_was_encoded_once_is_encoded_anew() -> None:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.PatientName = GERMAN
    written_and_read(ds)
    ds_with_russian = data_set("x", None)
    ds_with_russian.InstitutionName = RUSSIAN
    update(ds, ds_with_russian, UpdatePolicy.SUPPLEMENT)
    assert str(written_and_read(ds).PatientName) == GERMAN


def in_bytes(text: str, encoding: str) -> str:
    """What is written as ``text`` in ``encoding`` where a data set names no character set."""
    return decode(text.encode(encoding), (), "PN")


@pytest.mark.ldap("dcmDefaultCharacterSet")
def test_text_without_character_set_is_read_in_the_default_one() -> None:
    ds = data_set(in_bytes(RUSSIAN, "iso8859_5"), None)
    declare_default(ds, "ISO_IR 144")
    assert ds.PatientName == RUSSIAN
    assert ds.SpecificCharacterSet == "ISO_IR 144"


@pytest.mark.parametrize("implicit_vr", [True, False])
def test_items_without_character_set_are_read_in_the_default_one(implicit_vr: bool) -> None:
    item = Dataset()
    item.CodeMeaning = in_bytes(RUSSIAN, "iso8859_5")
    ds = Dataset()
    ds.ProcedureCodeSequence = [item]
    encoding = Encoding(implicit_vr, True)
    ds = data_sets.read(data_sets.write(ds, encoding), encoding)
    declare_default(ds, "ISO_IR 144")
    assert ds.ProcedureCodeSequence[0].CodeMeaning == RUSSIAN


def test_default_character_set_gives_way_to_a_named_one() -> None:
    ds = data_set(GERMAN, "ISO_IR 100")
    declare_default(ds, "ISO_IR 144")
    assert (ds.PatientName, ds.SpecificCharacterSet) == (GERMAN, "ISO_IR 100")


@pytest.mark.parametrize(
    ("text", "codes", "expected"),
    [
        ("plain", (), True),
        ("ü", (), False),
        ("ü", ("ISO_IR 6",), False),
        ("ü", ("ISO_IR 100",), True),
        ("ü", ("ISO_IR 101",), True),
        ("ø", ("ISO_IR 101",), False),
        ("ü", ("", "ISO 2022 IR 87"), False),
        ("ü", ("", "ISO 2022 IR 100"), True),
        ("œ€", ("ISO_IR 203",), True),
        ("山", ("", "ISO 2022 IR 87"), True),
        ("ヤマ", ("ISO_IR 13",), False),  # full width
        ("ﾔﾏ", ("ISO_IR 13",), True),
        ("¥", ("ISO_IR 13",), False),  # would part values
        ("ü", ("ISO_IR 999",), False),
        ("\ufffd", ("ISO_IR 100",), False),
    ],
)
def test_text_that_a_character_set_can_encode(text: str, codes: tuple[str, ...], expected: bool) -> None:
    assert can_encode(text, codes, "LO") is expected


def test_decoding_leaves_pixel_data_unread() -> None:
    ds = read("chrSQEncoding1.dcm")
    ds.add_new(0x7FE00010, "OW", b"\0\0")
    ds = written_and_read(ds)
    decode_text(ds)
    unread: object = ds.get_item(0x7FE00010)
    assert type(unread).__name__ == "RawDataElement"
