"""What is cut from the bytes of an object is what pydicom would have given."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dcm4py_leading.archive.index.indexed_attributes import AttributeExtractor, Levels
from dcm4py_leading.config.ldif.source import LdifSource
from dcm4py_leading.config.snapshot import load_snapshot
from dcm4py_leading.dataset.integrity import plain_spans
from dcm4py_leading.dataset.scan import Span, encoding_of
from dcm4py_leading.errors import InvalidObject
from dcm4py_leading.model.archive import AttributeFilter, Entity
from dcm4py_leading.model.values import Level
from tests.fixtures.archive import make_filter
from tests.fixtures.datasets import sample_path
from tests.fixtures.part10 import read_header
from tests.fixtures.slapd import OUR_LDIF

IMAGE_TAGS = (0x00080008, 0x00080012, 0x00080013, 0x00200032, 0x00201041, 0x00204000, 0x00280010, 0x0040A043)
STUDY_TAGS = (0x00080020, 0x00080030, 0x00080050, 0x00080051, 0x00080090, 0x00081030, 0x00081032, 0x00101010)


@cache
def quickstart_filters() -> Mapping[Entity, AttributeFilter]:
    source = LdifSource([OUR_LDIF / "quickstart.ldif"])
    return load_snapshot(source, "dcm4chee-arc", properties={}, data_dir=Path("/data")).device.archive.attribute_filters


def everything(header: Dataset) -> Mapping[Entity, AttributeFilter]:
    """Filters that let everything pass that can be told from bytes."""
    tags = [int(tag) for tag in header.keys() if not tag.is_private and tag < 0x7FE00008]
    return {entity: make_filter(entity, *tags) for entity in Entity}


FILES = [
    path
    for path in sorted((Path(pydicom.__file__).parent / "data").rglob("*.dcm"))
    if path.read_bytes()[128:132] == b"DICM" and path.stat().st_size < 1_000_000
]


def cut(data: bytes, syntax: str, keeper: AttributeExtractor, *, start: int = 0) -> Levels | None:
    spans: Mapping[int, Span] | None = plain_spans(data, syntax, start=start)
    encoding = encoding_of(syntax)
    return None if spans is None or encoding is None else keeper.cut(memoryview(data), spans, encoding)


def start_of(data: bytes) -> int:
    return 144 + int.from_bytes(data[140:144], "little")


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_real_objects_give_what_pydicom_gives(path: Path) -> None:
    data = path.read_bytes()
    header = read_header(BytesIO(data))
    syntax = str(header.file_meta.get("TransferSyntaxUID", ImplicitVRLittleEndian))
    for filters in ({}, quickstart_filters(), everything(header)):
        keeper = AttributeExtractor(filters)
        try:
            found = cut(data, syntax, keeper, start=start_of(data))
        except InvalidObject:
            return
        if found is not None:
            assert found == keeper.take(read_header(BytesIO(data)))
            assert cut(data, syntax, keeper, start=start_of(data)) == found


def test_common_objects_are_cut() -> None:
    keeper = AttributeExtractor(quickstart_filters())
    for name in ("CT_small.dcm", "MR_small.dcm", "MR_small_implicit.dcm", "JPEG2000.dcm", "test-SR.dcm", "rtdose.dcm"):
        data = sample_path(name).read_bytes()
        header = read_header(BytesIO(data))
        assert cut(data, str(header.file_meta.TransferSyntaxUID), keeper, start=start_of(data)) is not None, name


LETTERS = st.text(st.sampled_from("aZ09 .^=\\-+_:\0\n\x1bäü山"), max_size=12)
DIGITS = st.text(st.sampled_from("0123456789.-+ eE\\"), max_size=18)
VALUES: dict[int, tuple[str, st.SearchStrategy[str]]] = {
    0x00080012: ("DA", DIGITS),
    0x00080013: ("TM", DIGITS),
    0x00080008: ("CS", LETTERS),
    0x00080020: ("DA", st.one_of(DIGITS, st.just("20240309"))),
    0x00080050: ("SH", LETTERS),
    0x00080060: ("CS", LETTERS),
    0x00080090: ("PN", LETTERS),
    0x00081030: ("LO", LETTERS),
    0x00100010: ("PN", LETTERS),
    0x00100020: ("LO", LETTERS),
    0x00100021: ("LO", LETTERS),
    0x00100030: ("DA", DIGITS),
    0x00101010: ("AS", LETTERS),
    0x00200011: ("IS", DIGITS),
    0x00200013: ("IS", DIGITS),
    0x00200032: ("DS", DIGITS),
    0x00201041: ("DS", DIGITS),
    0x00204000: ("LT", LETTERS),
}
UIDS = (0x00080016, 0x00080018, 0x0020000D, 0x0020000E)
CODES = st.sampled_from(["", "ISO_IR 100", "ISO_IR 192", "ISO_IR 13", "\\ISO 2022 IR 87", "GB18030", "nonsense", " "])


def element(tag: int, vr: str, value: bytes, *, implicit: bool, long: bool = False) -> bytes:
    head = tag.to_bytes(4, "big")
    head = head[1::-1] + head[3:1:-1]
    if implicit:
        return head + len(value).to_bytes(4, "little") + value
    if long:
        return head + vr.encode() + b"\0\0" + len(value).to_bytes(4, "little") + value
    return head + vr.encode() + len(value).to_bytes(2, "little") + value


@st.composite
def objects(draw: st.DrawFn) -> tuple[bytes, str]:
    """A data set with odd values, UIDs apart, and its transfer syntax."""
    implicit = draw(st.booleans())
    charset = draw(CODES)
    encoding = draw(st.sampled_from(["latin-1", "utf-8", "gb18030", "shift_jis"]))
    parts: dict[int, bytes] = {}
    for tag, (vr, strategy) in VALUES.items():
        if draw(st.booleans()):
            vr = draw(st.sampled_from([vr] * 9 + ["UN", "ST", "LO"])) if not implicit else vr
            value = draw(strategy).encode(encoding, "replace")
            value += draw(st.sampled_from([b" ", b"\0"])) * (len(value) % 2)
            parts[tag] = element(tag, vr, value, implicit=implicit, long=vr == "UN")
    if charset:
        code = charset.encode()
        parts[0x00080005] = element(0x00080005, "CS", code + b" " * (len(code) % 2), implicit=implicit)
    if draw(st.booleans()):
        item = element(0x00080104, "LO", draw(LETTERS).encode("utf-8").ljust(20)[:20], implicit=implicit)
        sequence = b"\xfe\xff\x00\xe0" + len(item).to_bytes(4, "little") + item
        tag = draw(st.sampled_from([0x00081032, 0x0040A043]))
        parts[tag] = element(tag, "SQ", sequence, implicit=implicit, long=True)
    if draw(st.booleans()):
        parts[0x00280010] = element(0x00280010, "US", draw(st.binary(min_size=2, max_size=4)), implicit=implicit)
    for tag in UIDS:
        parts[tag] = element(tag, "UI", b"1.2.3\0", implicit=implicit)
    syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    return b"".join(parts[tag] for tag in sorted(parts)), str(syntax)


FILTERS = {
    Entity.INSTANCE: make_filter(Entity.INSTANCE, *IMAGE_TAGS),
    Entity.STUDY: make_filter(Entity.STUDY, *STUDY_TAGS),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@given(objects(), st.sampled_from([AttributeExtractor({}), AttributeExtractor(FILTERS)]))
def test_odd_values_give_what_pydicom_gives(made: tuple[bytes, str], keeper: AttributeExtractor) -> None:
    data, syntax = made
    found = cut(data, syntax, keeper)
    if found is not None:
        assert found == keeper.take(header_of(data, syntax))


def header_of(data: bytes, syntax: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID(syntax)
    file = DicomBytesIO()
    file.is_little_endian, file.is_implicit_VR = True, False
    write_dataset(file, meta)
    group = file.getvalue()
    length = b"\x02\x00\x00\x00UL\x04\x00" + len(group).to_bytes(4, "little")
    return read_header(BytesIO(bytes(128) + b"DICM" + length + group + data))


def test_levels_above_the_instance_are_worked_out_once_for_a_series() -> None:
    data = sample_path("CT_small.dcm").read_bytes()
    keeper, syntax = AttributeExtractor(quickstart_filters()), str(ExplicitVRLittleEndian)
    other = data.replace(b"1.3.6.1.4.1.5962.1.1.1.1.1.", b"1.3.6.1.4.1.5962.1.1.1.1.2.")
    first, second = (cut(each, syntax, keeper, start=start_of(each)) for each in (data, other))
    assert first is not None and second is not None
    assert first[Level.IMAGE] != second[Level.IMAGE]
    assert [first[level] is second[level] for level in (Level.PATIENT, Level.STUDY, Level.SERIES)] == [True] * 3


@pytest.mark.parametrize("odd", UIDS)
@pytest.mark.parametrize("uid", [b"", b"1.2 ", b"1.2\\1.3 "])
def test_object_with_an_odd_uid_is_left_to_pydicom(odd: int, uid: bytes) -> None:
    parts = [element(tag, "UI", uid if tag == odd else b"1.2.34", implicit=False) for tag in UIDS]
    assert cut(b"".join(parts), str(ExplicitVRLittleEndian), AttributeExtractor({})) is None


def test_private_attributes_are_left_to_pydicom() -> None:
    data = sample_path("CT_small.dcm").read_bytes()
    keeper = AttributeExtractor({Entity.INSTANCE: make_filter(Entity.INSTANCE, 0x00091001)})
    assert cut(data, str(ExplicitVRLittleEndian), keeper, start=start_of(data)) is None
