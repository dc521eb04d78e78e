from __future__ import annotations

import zlib
from functools import cache
from io import BytesIO

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.filereader import data_element_generator
from pydicom.uid import ExplicitVRLittleEndian

from dcm4py_leading.dataset.part10 import encode_header, read_file_meta
from dcm4py_leading.errors import InvalidObject
from tests.fixtures.datasets import (
    CHARACTER_SETS,
    COMPRESSED,
    MULTI_FRAME,
    RADIOTHERAPY,
    REPORTS,
    UNCOMPRESSED,
    sample_path,
)
from tests.fixtures.part10 import verify

WHOLE = sorted({*UNCOMPRESSED, *COMPRESSED, *MULTI_FRAME, *REPORTS, *CHARACTER_SETS, *RADIOTHERAPY} - {"rtstruct.dcm"})
ODD = ("priv_SQ.dcm", "nested_priv_SQ.dcm", "UN_sequence.dcm", "badVR.dcm", "MR_small_padded.dcm", "693_J2KI.dcm")
CUT = sorted(name for name in (*WHOLE, *ODD) if sample_path(name).stat().st_size < 1_000_000 and "_dfl" not in name)


def file_of(
    elements: bytes, transfer_syntax_uid: str = str(ExplicitVRLittleEndian), sop_instance_uid: str = "1.2.3"
) -> BytesIO:
    header = encode_header(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.7",
        sop_instance_uid=sop_instance_uid,
        transfer_syntax_uid=transfer_syntax_uid,
        sending_ae_title="MODALITY",
    )
    return BytesIO(header + elements)


@cache
def content(name: str) -> tuple[bytes, frozenset[int]]:
    """A test file, and where elements of its top level end, as pydicom reads it."""
    data = sample_path(name).read_bytes()
    file = BytesIO(data)
    header = pydicom.dcmread(file, specific_tags=[0x00080005])
    file.seek(132)
    assert header.file_meta is not None
    start = 132 + 12 + header.file_meta.FileMetaInformationGroupLength
    file.seek(start)
    implicit, little = header.original_encoding
    ends = set()
    for _ in data_element_generator(file, bool(implicit), bool(little)):
        ends.add(file.tell())
    return data, frozenset(ends)


@pytest.mark.parametrize("name", [*WHOLE, *ODD])
def test_whole_file_is_accepted(name: str) -> None:
    verify(sample_path(name).read_bytes())


@pytest.mark.parametrize("name", ["MR_truncated.dcm", "rtplan_truncated.dcm"])
def test_file_that_ends_early_is_refused(name: str) -> None:
    with pytest.raises(InvalidObject) as caught:
        verify(sample_path(name).read_bytes())
    assert caught.value.status == 0xC000


@given(st.data())
def test_no_cut_within_an_element_passes(data: st.DataObject) -> None:
    whole, ends = content(data.draw(st.sampled_from(CUT)))
    # As many cuts near the ends of elements as anywhere.
    near = st.sampled_from(sorted(ends)).flatmap(
        lambda end: st.integers(max(end - 14, 0), min(end + 14, len(whole) - 1))
    )
    cut = data.draw(st.one_of(st.integers(0, len(whole) - 1), near).filter(lambda offset: offset not in ends))
    with pytest.raises(InvalidObject):
        verify(whole[:cut])


@given(st.data())
def test_no_cut_of_a_deflated_data_set_passes(data: st.DataObject) -> None:
    whole = sample_path("image_dfl.dcm").read_bytes()
    cut = data.draw(st.integers(0, len(whole) - 9))  # behind the stream, the trailer of a gzip file
    with pytest.raises(InvalidObject):
        verify(whole[:cut])


@pytest.mark.parametrize(
    "elements",
    [
        b"",
        b"garbage, more than eight bytes of it, where a data set should be",
        b"\x08\x00\x18\x00UI\x04\x001.2",
        # an item where no sequence is
        b"\xfe\xff\x00\xe0\x00\x00\x00\x00\x08\x00\x18\x00UI\x04\x001.2\x00",
        # a sequence of defined length whose item is longer
        b"\x08\x00\x40\x11SQ\x00\x00\x08\x00\x00\x00\xfe\xff\x00\xe0\x08\x00\x00\x00\x08\x00\x50\x11UI\x00\x00",
        # a sequence without its delimiter
        b"\x08\x00\x40\x11SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\x00\x00\x00\x00",
        # fragments without theirs
        b"\xe0\x7f\x10\x00OB\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\x00\x00\x00\x00",
        b"\x08\x00\x40\x11SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 5000,
    ],
    ids=["empty", "text", "short value", "item", "long item", "no delimiter", "no fragment delimiter", "nested"],
)
def test_bytes_that_break_the_encoding_are_refused(elements: bytes) -> None:
    with pytest.raises(InvalidObject):
        verify(file_of(elements).getvalue())


def test_deflated_garbage_is_refused() -> None:
    deflated = "1.2.840.10008.1.2.1.99"
    with pytest.raises(InvalidObject):
        verify(file_of(b"\xff" * 100, deflated).getvalue())
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    whole = compressor.compress(b"\x08\x00\x18\x00UI\x06\x001.2.") + compressor.flush()
    with pytest.raises(InvalidObject, match="ends early"):
        verify(file_of(whole, deflated).getvalue())


@pytest.mark.parametrize("size", [0, 65536, 1 << 24])
def test_deflated_value_of_any_size_is_accepted(size: int) -> None:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    pixel_data = b"\xe0\x7f\x10\x00OB\x00\x00" + size.to_bytes(4, "little") + bytes(size)
    verify(file_of(compressor.compress(pixel_data) + compressor.flush(), "1.2.840.10008.1.2.1.99").getvalue())


def test_private_transfer_syntax_is_taken_as_explicit_little_endian() -> None:
    verify(file_of(b"\x08\x00\x18\x00UI\x06\x001.2.34", "1.3.6.1.4.1.99.1").getvalue())


def test_header_names_the_object_and_its_sender() -> None:
    header = pydicom.dcmread(file_of(b"\x08\x00\x18\x00UI\x06\x001.2.34", sop_instance_uid="1.2.34"))
    assert header.file_meta.MediaStorageSOPInstanceUID == "1.2.34"
    assert header.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert header.file_meta.SourceApplicationEntityTitle == "MODALITY"
    assert header.file_meta.ImplementationClassUID.startswith("2.25.")
    assert header.SOPInstanceUID == "1.2.34"


@pytest.mark.parametrize("name", [name for name in WHOLE if name != "rtstruct.dcm"])
def test_file_meta_information_is_read_as_pydicom_reads_it(name: str) -> None:
    path = sample_path(name)
    expected = pydicom.dcmread(path, stop_before_pixels=True)
    with path.open("rb") as file:
        meta = read_file_meta(file)
        assert meta is not None
        file.seek(meta.end)
        start = file.read(100)
    assert meta.media_storage_sop_class_uid == expected.file_meta.MediaStorageSOPClassUID
    assert meta.media_storage_sop_instance_uid == expected.file_meta.MediaStorageSOPInstanceUID
    assert meta.transfer_syntax_uid == expected.file_meta.TransferSyntaxUID
    length = expected.file_meta.get("FileMetaInformationGroupLength")
    if length is not None:
        assert meta.end == 144 + length
    assert path.read_bytes()[meta.end :].startswith(start)


def test_file_meta_information_without_its_length_ends_where_the_data_set_begins() -> None:
    whole = file_of(b"\x08\x00\x18\x00UI\x06\x001.2.34").getvalue()
    meta = read_file_meta(BytesIO(whole[:132] + whole[144:]))
    assert meta is not None
    assert whole[144:][meta.end - 132 :] == b"\x08\x00\x18\x00UI\x06\x001.2.34"


@pytest.mark.parametrize("content", [b"", b"DICM", bytes(128), bytes(128) + b"TIFF", b"Thank you" * 100])
def test_file_other_than_dicom_has_no_file_meta_information(content: bytes) -> None:
    assert read_file_meta(BytesIO(content)) is None


@given(st.binary(max_size=300))
def test_file_meta_information_that_cannot_be_read_is_told(rest: bytes) -> None:
    with pytest.raises(InvalidObject, match="File Meta Information"):
        read_file_meta(BytesIO(bytes(128) + b"DICM" + rest))


def test_file_meta_information_that_is_cut_is_told() -> None:
    whole = file_of(b"").getvalue()
    for end in range(132, whole.index(b"1.2.840.10008.1.2.1") + 1):
        with pytest.raises(InvalidObject, match="File Meta Information"):
            read_file_meta(BytesIO(whole[:end]))
