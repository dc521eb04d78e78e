"""The positions of the elements, against where pydicom finds them."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.filereader import read_dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE, Encoding, Span, Unscannable, encoding_of, scan
from tests.fixtures.encoded import ENCODINGS, data_sets, encoded
from tests.fixtures.samples import sample_files

PIXEL_DATA = 0x7FE00010
BROKEN = {"MR_truncated.dcm", "rtplan_truncated.dcm", "SC_rgb_jpeg.dcm", "no_meta.dcm"}
"""Test files that are cut off, or not encoded as they say."""
ODD_LENGTHS = {"meta_missing_tsyntax.dcm", "nested_priv_SQ.dcm"}


@pytest.fixture(autouse=True)
def values_as_they_are() -> Iterator[None]:
    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("path", sample_files(), ids=lambda path: path.name)
def test_the_elements_of_a_real_file_are_where_pydicom_finds_them(path: Path) -> None:
    content = path.read_bytes()
    ds = pydicom.dcmread(BytesIO(content), force=True)
    if ds.file_meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        assert encoding_of(DeflatedExplicitVRLittleEndian) is None
        return
    is_implicit, is_little = ds.original_encoding
    assert is_implicit is not None and is_little is not None
    encoding, start = Encoding(is_implicit, is_little), start_of_data_set(content)
    try:
        spans, end = scan(content, encoding, start=start)
    except Unscannable:
        assert path.name in BROKEN | ODD_LENGTHS
        return
    assert path.name not in BROKEN
    assert end == len(content)
    assert_spans(content, spans, ds)
    upper, stopped = scan(content, encoding, start=start, stop_before=PIXEL_DATA)
    assert upper == {tag: span for tag, span in spans.items() if tag < PIXEL_DATA}
    assert stopped == (spans[PIXEL_DATA][0] if PIXEL_DATA in spans else end)


def start_of_data_set(content: bytes) -> int:
    if content[128:132] != b"DICM":
        return 0
    if content[132:136] == b"\2\0\0\0":
        return 144 + int.from_bytes(content[140:144], "little")
    _, end = scan(content, EXPLICIT_LITTLE, start=132, stop_before=0x00030000)
    return end


def assert_spans(content: bytes, spans: Mapping[int, Span], ds: Dataset) -> None:
    assert list(spans) == sorted(ds.keys())
    following: int | None = None
    for tag, (begin, value, end) in spans.items():
        assert following in (None, begin)
        following = end
        raw = ds.get_item(tag)
        if isinstance(raw, RawDataElement):
            assert raw.value_tell == value
            assert raw.length == 0xFFFFFFFF or (raw.value or b"") == content[value:end]


@given(data_sets(), st.sampled_from(ENCODINGS), st.integers(0, 1 << 32))
def test_the_elements_of_any_data_set_are_where_pydicom_finds_them(
    ds: Dataset, encoding: Encoding, stop_before: int
) -> None:
    data = encoded(ds, encoding)
    spans, end = scan(data, encoding)
    assert end == len(data)
    assert_spans(data, spans, read_dataset(BytesIO(data), encoding.is_implicit_vr, encoding.is_little_endian))
    before = {tag: span for tag, span in spans.items() if tag < stop_before}
    assert scan(data, encoding, stop_before=stop_before)[0] == before


@given(data_sets(), st.sampled_from(ENCODINGS), st.data())
def test_bytes_that_are_cut_off_or_mangled_raise_unscannable_and_nothing_else(
    ds: Dataset, encoding: Encoding, data: st.DataObject
) -> None:
    content = bytearray(encoded(ds, encoding))
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, max(len(content) - 1, 0)), st.integers(0, 255)))):
        if content:
            content[at] = value
    with suppress(Unscannable):
        _, end = scan(content, encoding)
        assert end == len(content)
    whole, _ = scan(bytes(encoded(ds, encoding)), encoding)
    cut = data.draw(st.integers(0, len(content)))
    is_between = cut == 0 or cut in {stop for _, _, stop in whole.values()}
    try:
        scan(encoded(ds, encoding)[:cut], encoding)
    except Unscannable:
        assert not is_between
    else:
        assert is_between


@given(st.binary(max_size=200), st.sampled_from(ENCODINGS))
def test_any_bytes_raise_unscannable_and_nothing_else(content: bytes, encoding: Encoding) -> None:
    with suppress(Unscannable):
        scan(content, encoding)


UN = b"\x09\x00\x10\x10UN\0\0\xff\xff\xff\xff"
ITEM, END_OF_ITEM, END = b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0" + bytes(4), b"\xfe\xff\xdd\xe0" + bytes(4)


def test_the_items_of_an_un_of_undefined_length_are_in_implicit_vr() -> None:
    within = b"\x10\x00\x20\x00\x02\0\0\0P1"
    un = UN + ITEM + b"\xff" * 4 + within + END_OF_ITEM + END
    spans, _ = scan(un + b"\x10\x00\x20\x00LO\x02\0P2", EXPLICIT_LITTLE)
    assert spans == {0x00091010: (0, 12, len(un)), 0x00100020: (len(un), len(un) + 8, len(un) + 10)}


def test_the_fragments_of_encapsulated_pixel_data_are_one_element() -> None:
    pixels = b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + ITEM + bytes(4) + ITEM + b"\x04\0\0\0abcd" + END
    spans, _ = scan(pixels + b"\xfc\xff\xfc\xffOB\0\0\x02\0\0\0\0\0", EXPLICIT_LITTLE)
    assert spans[PIXEL_DATA] == (0, 12, len(pixels))
    assert 0xFFFCFFFC in spans


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_sequences_nested_without_end_raise_unscannable(encoding: Encoding) -> None:
    order = "<" if encoding.is_little_endian else ">"
    item = struct.pack(order + "HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    if encoding.is_implicit_vr:
        sequence = struct.pack("<HHL", 0x0040, 0xA730, 0xFFFFFFFF)
    else:
        sequence = struct.pack(order + "HH2sHL", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF)
    with pytest.raises(Unscannable):
        scan((sequence + item) * 10_000, encoding)


@pytest.mark.parametrize("second", [0x20, 0x10])
def test_tags_that_do_not_ascend_raise_unscannable(second: int) -> None:
    with pytest.raises(Unscannable):
        scan(b"\x10\x00\x20\x00LO\0\0\x10\x00" + bytes([second]) + b"\x00LO\0\0", EXPLICIT_LITTLE)
