"""Data sets read as trees of elements, and written again; what other toolkits take is taken."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from dcm4py_leading.dataset.deflate import deflated, inflated
from dcm4py_leading.dataset.elements import DataSet, Items, Oddity
from dcm4py_leading.dataset.encoder import encode
from dcm4py_leading.dataset.reading import parse, read_data_set
from dcm4py_leading.dataset.scan import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, Encoding
from dcm4py_leading.errors import InvalidObject
from tests.dataset.test_scan import BROKEN, start_of_data_set
from tests.fixtures.encoded import ENCODINGS, data_sets, encoded
from tests.fixtures.samples import sample_files

IMPLICIT, EXPLICIT, BIG, DEFLATED = ("1.2.840.10008.1.2" + end for end in ("", ".1", ".2", ".1.99"))
ITEM_END, SEQUENCE_END = b"\xfe\xff\x0d\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0"
MODALITY, MANUFACTURER, NAME, ID, ROWS = 0x00080060, 0x00080070, 0x00100010, 0x00100020, 0x00280010
PIXEL_DATA = 0x7FE00010
UNDEFINED = 0xFFFFFFFF
LONG = (b"OB", b"OW", b"SQ", b"UN", b"UT")


@pytest.fixture(autouse=True)
def values_as_they_are() -> Iterator[None]:
    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        yield


def explicit(tag: int, vr: bytes, value: bytes, length: int | None = None, order: str = "<") -> bytes:
    length = len(value) if length is None else length
    head = struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF) + vr
    return head + (struct.pack(f"{order}2xL", length) if vr in LONG else struct.pack(f"{order}H", length)) + value


def implicit(tag: int, value: bytes, length: int | None = None) -> bytes:
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, len(value) if length is None else length) + value


def item(content: bytes, length: int | None = None) -> bytes:
    return implicit(0xFFFEE000, content, length)


def written(ds: DataSet, encoding: Encoding = EXPLICIT_LITTLE) -> bytes:
    return b"".join(encode(ds.elements, encoding))


def canonical(data: bytes, transfer_syntax_uid: str, **settings: Any) -> bytes:
    return written(read_data_set(data, transfer_syntax_uid, **settings))


def read_again(data: bytes, encoding: Encoding = EXPLICIT_LITTLE) -> Dataset:
    return read_dataset(BytesIO(data), encoding.is_implicit_vr, encoding.is_little_endian)


HEAD = explicit(MODALITY, b"CS", b"CT") + explicit(MANUFACTURER, b"LO", b"ACME")
TAIL = explicit(NAME, b"PN", b"DOE^JANE") + explicit(ID, b"LO", b"P1") + explicit(ROWS, b"US", b"\x02\x00")
IMPLICIT_TAIL = implicit(NAME, b"DOE^JANE") + implicit(ID, b"P1") + implicit(ROWS, b"\x02\x00")


@pytest.mark.parametrize("encoding", ENCODINGS, ids=str)
@given(data_sets())
@settings(max_examples=60)
def test_a_well_formed_data_set_is_written_as_it_was_read(encoding: Encoding, ds: Dataset) -> None:
    data = encoded(ds, encoding)
    read = parse(data, encoding)
    assert written(read, encoding) == data
    assert not read.oddities


@pytest.mark.parametrize("source", ENCODINGS, ids=str)
@pytest.mark.parametrize("target", ENCODINGS, ids=str)
@given(data_sets())
@settings(max_examples=30)
def test_encoder_output_reads_the_same_in_pydicom(source: Encoding, target: Encoding, ds: Dataset) -> None:
    data = encoded(ds, source)
    again = read_again(written(parse(data, source), target), target)
    if target.is_little_endian == source.is_little_endian:
        # From Implicit VR, private elements come without VR.
        assert strip(again) == strip(read_again(data, source))
    assert again.get("Rows") == ds.get("Rows")
    assert written(parse(written(parse(data, source), target), target), target) == written(parse(data, source), target)


def strip(ds: Dataset) -> dict[str, object]:
    ds.remove_private_tags()
    return ds.to_json_dict(suppress_invalid_tags=True)


@pytest.mark.parametrize("path", [p for p in sample_files() if p.name not in BROKEN], ids=lambda path: path.name)
def test_real_files_are_the_same_in_every_syntax(path: Path) -> None:
    content = path.read_bytes()
    ds = pydicom.dcmread(BytesIO(content), force=True)
    start = start_of_data_set(content)
    syntax = str(ds.file_meta.get("TransferSyntaxUID", ""))
    if not syntax:
        syntax = {(True, True): IMPLICIT, (False, True): EXPLICIT, (False, False): BIG}[ds.original_encoding]  # type: ignore[index]
    read = read_data_set(content, syntax, start=start)
    plain = inflated(content[start:]) if syntax == DeflatedExplicitVRLittleEndian else content[start:]
    original = Encoding(*ds.original_encoding) if syntax != DEFLATED else EXPLICIT_LITTLE
    if not any(tag & 0xFFFF == 0 for tag in read.elements) and not read.oddities:
        assert written(read, original) == bytes(plain)
    for target in (EXPLICIT_LITTLE, IMPLICIT_LITTLE):
        once = written(read, target)
        assert written(parse(once, target), target) == once
        again = read_again(once, target)
        assert list(again.keys()) == [tag for tag in sorted(ds.keys()) if tag & 0xFFFF]
        if original.is_little_endian:
            bulk = {
                tag: element.value for tag, element in read.elements.items() if not isinstance(element.value, tuple)
            }
            for tag, element in parse(once, target).elements.items():
                if tag in bulk and not isinstance(element.value, tuple):
                    assert bytes(element.value) == bytes(bulk[tag])


@given(data_sets(), st.sampled_from(ENCODINGS), st.data())
@settings(max_examples=400)
def test_whatever_comes_is_read_or_refused_by_name(ds: Dataset, encoding: Encoding, draw: st.DataObject) -> None:
    data = bytearray(encoded(ds, encoding))
    for _ in range(draw.draw(st.integers(1, 4))):
        at = draw.draw(st.integers(0, len(data)))
        match draw.draw(st.sampled_from(["replace", "cut", "insert", "end"])):
            case "replace":
                data[at : at + 1] = draw.draw(st.binary(min_size=1, max_size=2))
            case "cut":
                del data[at : at + draw.draw(st.integers(1, 12))]
            case "insert":
                data[at:at] = draw.draw(st.sampled_from([ITEM_END, SEQUENCE_END, b"??", b"\0", b"\xff\xff\xff\xff"]))
            case "end":
                del data[at:]
    try:
        read = parse(bytes(data), encoding)
    except InvalidObject:
        return
    again = written(read)
    assert not len(again) % 2
    assert written(parse(again, EXPLICIT_LITTLE)) == again
    assert list(read.elements) == sorted(set(read.elements))


def test_a_sequence_without_vr_in_big_endian_is_read() -> None:
    item = struct.pack(">HHL", 0xFFFE, 0xE000, 0xFFFFFFFF) + struct.pack(">HHL", 0x0008, 0x1150, 4) + b"1.2\0"
    sequence = struct.pack(">HHL", 0x0008, 0x1140, 0xFFFFFFFF) + item + struct.pack(">HHL", 0xFFFE, 0xE00D, 0)
    end = struct.pack(">HHL", 0xFFFE, 0xE0DD, 0)
    others = (struct.pack(">HH2sH", 0x0010, number, b"LO", 2) + b"P1" for number in (0x20, 0x21, 0x1000))
    read = parse(sequence + end + b"".join(others), EXPLICIT_BIG)
    items = read.elements[0x00081140].value
    assert isinstance(items, Items)
    assert items.items[0].elements[0x00081150].value == b"1.2\0"


@pytest.mark.parametrize(
    "values",
    [
        {0x00100010: b"AB^C", 0x00100020: b"PID4"},
        {0x00100020: b"PID4", 0x00100030: b""},
        {0x00100010: b"DOE^JANE", 0x00100020: b"PATIENT1"},
        {0x00081040: b"abcd", 0x00081048: b"efgh", 0x00081050: b"ijkl"},
    ],
)
def test_several_elements_without_vr_in_a_row_are_read(values: dict[int, bytes]) -> None:
    without_vr = b"".join(
        struct.pack("<HHL", tag >> 16, tag & 0xFFFF, len(value)) + value for tag, value in values.items()
    )
    first = [struct.pack("<HH2sH", 0x0008, number, b"SH", 2) + b"A1" for number in (0x50, 0x51, 0x52, 0x53)]
    last = struct.pack("<HH2sH", 0x0040, 0x0009, b"SH", 2) + b"A1"
    for behind in (b"", last):
        read = parse(b"".join(first) + without_vr + behind, EXPLICIT_LITTLE)
        assert {tag: read.value(tag) for tag in values} == values
        assert len(read.elements) == len(first) + len(values) + bool(behind)


@given(st.binary(max_size=200), st.sampled_from([IMPLICIT, EXPLICIT, BIG, DEFLATED, "1.2.840.10008.1.2.4.95"]))
@settings(max_examples=400)
def test_noise_is_read_or_refused_by_name(data: bytes, syntax: str) -> None:
    try:
        canonical(data, syntax)
    except InvalidObject:
        return


@pytest.mark.parametrize(
    ("data", "oddity"),
    [
        (HEAD + TAIL + ITEM_END, Oddity.STRAY_DELIMITER),
        (HEAD + TAIL + SEQUENCE_END + ITEM_END, Oddity.STRAY_DELIMITER),
        (ITEM_END + HEAD + TAIL, Oddity.STRAY_DELIMITER),
        (TAIL + HEAD, Oddity.OUT_OF_ORDER),
        (HEAD + TAIL + explicit(NAME, b"PN", b"DOE^JANE"), Oddity.TWICE),
        (HEAD[:10] + explicit(MANUFACTURER, b"??", b"ACME") + TAIL, Oddity.UNKNOWN_VR),
        (HEAD[:10] + explicit(MANUFACTURER, b"\0\0", b"ACME") + TAIL, Oddity.UNKNOWN_VR),
        (HEAD[:10] + explicit(MANUFACTURER, b"ZZ", b"ACME") + TAIL, Oddity.UNKNOWN_VR),
        (HEAD[:10] + b"\x08\0\x70\0ZZ\0\0\x04\0\0\0ACME" + TAIL, Oddity.UNKNOWN_VR),
        (HEAD[:10] + b"\x08\0\x70\0??\0\0\x04\0\0\0ACME" + TAIL, Oddity.UNKNOWN_VR),
        (HEAD[:10] + b"\x08\0\x70\0UN\x04\0ACME" + TAIL, Oddity.UNKNOWN_VR),
        (HEAD[:10] + implicit(MANUFACTURER, b"ACME") + TAIL, Oddity.OTHER_FORM),
        (implicit(MODALITY, b"CT") + HEAD[10:] + TAIL, Oddity.OTHER_FORM),
        (HEAD[:10] + explicit(MANUFACTURER, b"LO", b"ACM") + TAIL, Oddity.ODD_LENGTH),
    ],
)
def test_odd_entries_do_no_harm(data: bytes, oddity: Oddity) -> None:
    read = parse(data, EXPLICIT_LITTLE)
    assert oddity in read.oddities
    assert not read.conflicting
    ds = read_again(written(read))
    assert (ds.Modality, ds.Manufacturer.rstrip(), ds.PatientName, ds.PatientID, ds.Rows) == (
        *("CT", "ACM" if oddity is Oddity.ODD_LENGTH else "ACME", "DOE^JANE", "P1", 2),
    )
    for encoding in (IMPLICIT_LITTLE, EXPLICIT_BIG):
        again = read_again(written(read, encoding), encoding)
        assert (again.Modality, again.PatientID, again.Rows) == ("CT", "P1", 2)


def test_an_element_with_vr_among_those_without() -> None:
    read = parse(implicit(MODALITY, b"CT") + explicit(MANUFACTURER, b"LO", b"ACME") + IMPLICIT_TAIL, IMPLICIT_LITTLE)
    assert read.oddities == {Oddity.OTHER_FORM}
    assert written(read) == HEAD + TAIL


def test_an_element_with_vr_whose_letters_would_be_a_length_that_is_there() -> None:
    pixels = implicit(PIXEL_DATA, bytes(0x60000))
    data = implicit(MODALITY, b"CT") + explicit(MANUFACTURER, b"LO", b"ACME") + IMPLICIT_TAIL + pixels
    assert parse(data, IMPLICIT_LITTLE).value(ID) == b"P1"


@pytest.mark.parametrize("nested", [ITEM_END, b""])
def test_a_delimiter_behind_a_sequence_without_items(nested: bytes) -> None:
    empty = explicit(0x00081110, b"SQ", b"") + SEQUENCE_END
    content = empty + explicit(0x00081150, b"UI", b"1.2\0")
    sequence = explicit(0x00081140, b"SQ", item(content + nested, UNDEFINED if nested else None))
    read = parse(HEAD + empty + sequence + TAIL, EXPLICIT_LITTLE)
    ds = read_again(written(read))
    assert ds.ReferencedImageSequence[0].ReferencedSOPClassUID == "1.2"
    assert ds.ReferencedStudySequence == []
    assert ds.PatientID == "P1"


def test_an_item_without_its_delimiter_ends_with_the_sequence() -> None:
    sequence = explicit(0x00081140, b"SQ", item(explicit(0x00081150, b"UI", b"1.2\0"), UNDEFINED), UNDEFINED)
    read = parse(HEAD + sequence + SEQUENCE_END + TAIL, EXPLICIT_LITTLE)
    assert read_again(written(read)).ReferencedImageSequence[0].ReferencedSOPClassUID == "1.2"
    assert read.value(ID) == b"P1"


def test_first_of_repeated_elements_counts_and_the_conflict_is_told() -> None:
    read = parse(HEAD + TAIL + explicit(NAME, b"PN", b"ROE^RICH") + explicit(ID, b"LO", b"P1"), EXPLICIT_LITTLE)
    assert read.conflicting.keys() == {NAME}
    assert written(read) == HEAD + TAIL


def test_an_element_that_comes_twice_among_others_out_of_order_is_noticed() -> None:
    data = TAIL + HEAD + explicit(ID, b"LO", b"P2") + explicit(ROWS, b"US", b"\3\0")
    for encoding, content in (
        (EXPLICIT_LITTLE, data),
        (IMPLICIT_LITTLE, written(parse(TAIL, EXPLICIT_LITTLE), IMPLICIT_LITTLE)),
    ):
        again = content if encoding == EXPLICIT_LITTLE else content + implicit(MODALITY, b"CT") + implicit(ID, b"P2")
        read = parse(again, encoding)
        assert read.value(ID) == b"P1"
        assert ID in read.conflicting


def test_private_sequences_and_unknown_elements_of_undefined_length() -> None:
    inner = implicit(0x00081150, b"1.2\0")
    creator = explicit(0x00090010, b"LO", b"ACME")
    unknown = explicit(0x00091001, b"UN", item(inner, UNDEFINED) + ITEM_END + SEQUENCE_END, UNDEFINED)
    data = HEAD + creator + unknown + TAIL
    read = parse(data, EXPLICIT_LITTLE)
    assert written(read) == data
    as_implicit = written(read, IMPLICIT_LITTLE)
    again = written(parse(as_implicit, IMPLICIT_LITTLE))
    assert read_again(again)[0x00091001].value[0].ReferencedSOPClassUID == "1.2"
    big = written(read, EXPLICIT_BIG)
    assert item(inner, UNDEFINED) in big  # PS3.5 6.2.2: little endian even there
    assert written(parse(big, EXPLICIT_BIG)) == data


def test_items_in_explicit_vr_under_an_unknown_vr() -> None:
    inner = explicit(0x00081150, b"UI", b"1.2\0")
    unknown = explicit(0x00091001, b"UN", item(inner, UNDEFINED) + ITEM_END + SEQUENCE_END, UNDEFINED)
    ds = read_again(written(parse(HEAD + unknown + TAIL, EXPLICIT_LITTLE), IMPLICIT_LITTLE), IMPLICIT_LITTLE)
    assert ds[0x00091001].value[0].ReferencedSOPClassUID == "1.2"


@pytest.mark.parametrize(
    ("tag", "value", "vr"),
    [
        (0x00189073, b"\x18\0\x63\0\0\0", b"UN"),  # FD of 6 octets
        (0x00089459, b"\x18\0", b"UN"),
        (0x00089459, b"\x18\0\0\0", b"FL"),
        (0x01F11026, b"0.264 ", b"UN"),
        (0x01F10010, b"ELSCINT1", b"LO"),
        (0x00080070, bytes(0x10000), b"UN"),
        (0x00080070, bytes(0xFFFE), b"LO"),
        (0x00280106, b"\x01\0", b"US"),
        (0x60003000, b"\x01\0", b"OW"),
        (0x00080003, b"\0\0\0\0", b"UN"),  # not in the data dictionary
        (0x00081140, b"no items", b"UN"),
        (0x00081140, b"", b"SQ"),
    ],
)
def test_the_vr_of_an_element_that_had_none(tag: int, value: bytes, vr: bytes) -> None:
    data = written(parse(implicit(tag, value), IMPLICIT_LITTLE))
    assert data[4:6] == vr
    read = parse(data, EXPLICIT_LITTLE)
    assert not read.oddities
    assert written(read, IMPLICIT_LITTLE) == implicit(tag, value)


@pytest.mark.parametrize(("representation", "vr"), [(b"\0\0", b"US"), (b"\1\0", b"SS")])
def test_signed_or_not_depends_on_pixel_representation(representation: bytes, vr: bytes) -> None:
    ambiguous = implicit(0x00283002, b"\1\0\2\0\3\0") + implicit(0x00283006, b"\1\0")
    nested = implicit(0x00283000, item(ambiguous))
    data = written(
        parse(implicit(0x00280103, representation) + implicit(0x00280120, b"\1\0") + nested, IMPLICIT_LITTLE)
    )
    assert data[14:16] == vr
    lut = parse(data, EXPLICIT_LITTLE).elements[0x00283000].value
    assert isinstance(lut, tuple)
    elements = lut.items[0].elements  # type: ignore[union-attr]
    assert [elements[tag].vr for tag in (0x00283002, 0x00283006)] == [vr, b"US"]


def test_a_number_that_is_cut_off_is_no_number_with_a_padding() -> None:
    data = written(parse(explicit(ROWS, b"US", b"\1\0\2"), EXPLICIT_LITTLE))
    assert data == explicit(ROWS, b"UN", b"\1\0\2\0")


def test_odd_words_of_bytes_are_padded_in_both_orders() -> None:
    little = written(parse(explicit(PIXEL_DATA, b"OW", b"\1\2\3"), EXPLICIT_LITTLE))
    assert little == explicit(PIXEL_DATA, b"OW", b"\1\2\3\0")
    big = written(parse(little, EXPLICIT_LITTLE), EXPLICIT_BIG)
    assert big == explicit(PIXEL_DATA, b"OW", b"\2\1\0\3", order=">")
    assert written(parse(big, EXPLICIT_BIG)) == little


def test_irreversible_change_is_unknown() -> None:
    odd = explicit(0x00189073, b"FD", b"\1\2\3\4\5\6", order=">")
    assert written(parse(odd, EXPLICIT_BIG)) == explicit(0x00189073, b"UN", b"\1\2\3\4\5\6")


def test_fragments_of_odd_length_are_padded() -> None:
    data = explicit(PIXEL_DATA, b"OB", item(b"") + item(b"\1\2\3") + SEQUENCE_END, UNDEFINED)
    read = parse(data, EXPLICIT_LITTLE)
    assert read.oddities == {Oddity.ODD_LENGTH}
    expected = explicit(PIXEL_DATA, b"OB", item(b"") + item(b"\1\2\3\0") + SEQUENCE_END, UNDEFINED)
    assert written(read) == expected


def test_group_lengths_go() -> None:
    data = explicit(0x00080000, b"UL", b"\4\0\0\0") + HEAD + TAIL
    assert canonical(data, EXPLICIT) == HEAD + TAIL


@pytest.mark.parametrize(
    ("data", "syntax", "reason"),
    [
        (HEAD + TAIL, IMPLICIT, "declared transfer syntax"),
        (HEAD + TAIL, BIG, "declared transfer syntax"),
        (implicit(MODALITY, b"CT") + implicit(MANUFACTURER, b"ACME") + IMPLICIT_TAIL, EXPLICIT, "declared transfer"),
        (HEAD + TAIL, DEFLATED, "not deflated"),
        (HEAD + TAIL[:-1], EXPLICIT, "at byte"),
        (HEAD + TAIL + b"\0\0", EXPLICIT, "ends early"),
        (HEAD + TAIL + item(b""), EXPLICIT, "unexpected item at byte"),
        (HEAD + explicit(0x00081140, b"SQ", b"no items") + TAIL, EXPLICIT, "an item was expected at byte"),
        (HEAD + explicit(0x00081140, b"SQ", item(b"", UNDEFINED), UNDEFINED), EXPLICIT, "no end"),
    ],
)
def test_invalid_data_is_refused_with_its_fault(data: bytes, syntax: str, reason: str) -> None:
    with pytest.raises(InvalidObject, match=reason):
        canonical(data, syntax)


def test_depth_and_number_of_elements_are_bounded() -> None:
    deep = explicit(0x00081140, b"SQ", item(b"", UNDEFINED), UNDEFINED) * 100
    with pytest.raises(InvalidObject, match="nested"):
        parse(explicit(0x00081140, b"SQ", b"\xfe\xff\x00\xe0\xff\xff\xff\xff", UNDEFINED) * 100, EXPLICIT_LITTLE)
    with pytest.raises(InvalidObject):
        parse(deep, EXPLICIT_LITTLE)
    many = explicit(0x00081140, b"SQ", item(b"") * 50) + TAIL
    assert len(parse(many, EXPLICIT_LITTLE, most_elements=54).elements) == 4
    with pytest.raises(InvalidObject, match="too many"):
        parse(many, EXPLICIT_LITTLE, most_elements=53)


def test_broken_element_that_is_not_requested_is_ignored() -> None:
    broken = explicit(0x00081140, b"SQ", b"no items")
    assert canonical(HEAD + broken + TAIL, EXPLICIT, wanted={ID}) == explicit(ID, b"LO", b"P1")
    endless = explicit(0x00400275, b"SQ", item(b"??", UNDEFINED), UNDEFINED)
    assert canonical(HEAD + TAIL + endless, EXPLICIT, wanted={ID}) == explicit(ID, b"LO", b"P1")
    with pytest.raises(InvalidObject):
        canonical(HEAD + TAIL + endless, EXPLICIT, wanted={ID, PIXEL_DATA})


@pytest.mark.parametrize("syntax", [DEFLATED, "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"])
@pytest.mark.parametrize("deflate", [deflated, zlib.compress, lambda data: zlib.compress(data) + b"\0"])
def test_deflated_data_sets_are_inflated(syntax: str, deflate: object) -> None:
    assert callable(deflate)
    assert canonical(b"head" + deflate(TAIL + HEAD), syntax, start=4) == HEAD + TAIL


def test_data_that_inflates_beyond_the_bound_is_refused() -> None:
    data = deflated(HEAD + explicit(PIXEL_DATA, b"OW", bytes(1 << 20)))
    assert len(canonical(data, DEFLATED)) > 1 << 20
    with pytest.raises(InvalidObject, match="more than 1000000 octets"):
        canonical(data, DEFLATED, most_inflated=1_000_000)
    with pytest.raises(InvalidObject, match="ends early"):
        canonical(data[:-20], DEFLATED)


def test_nothing_is_an_empty_data_set() -> None:
    assert canonical(b"", EXPLICIT) == b""
