"""All compressed files of pydicom and of pydicom-data are decompressed, or refused by name; twins are the reference."""

from __future__ import annotations

from pathlib import Path

import data_store
import imagecodecs
import numpy
import pydicom
import pytest
from pydicom import dcmread
from pydicom.uid import HTJ2K, UID, HTJ2KLossless

from dcm4py_leading.dataset.elements import Element, Elements, Fragments
from dcm4py_leading.dataset.pixels.image_pixel import image_pixel
from dcm4py_leading.dataset.pixels.pixel_data import PIXEL_DATA, decompressed, is_decodable
from dcm4py_leading.dataset.reading import read_data_set
from dcm4py_leading.errors import InvalidObject, SubOperationFailed
from tests.fixtures.encapsulated import picture
from tests.fixtures.part10 import start_and_syntax

FOLDERS = (Path(pydicom.__file__).parent / "data" / "test_files", Path(data_store.__file__).parent / "data")
FILES = {path.name: path for folder in FOLDERS for path in folder.glob("*.dcm")}
DAMAGED = {
    "JPEG2000-embedded-sequence-delimiter.dcm": "the JPEG 2000 code stream lacks tiles",
    "SC_rgb_jpeg.dcm": "it looks like Implicit VR Little Endian",
    "emri_small_jpeg_2k_lossless_too_short.dcm": "the data set ends early",
}
TWINS = {
    "693_J2KR.dcm": ("693_UNCR.dcm", 0),
    "693_J2KI.dcm": ("693_UNCI.dcm", 1),
    "MR2_J2KR.dcm": ("MR2_UNCR.dcm", 0),
    "MR2_J2KI.dcm": ("MR2_UNCI.dcm", 1),
    "RG1_J2KR.dcm": ("RG1_UNCR.dcm", 0),
    "RG1_J2KI.dcm": ("RG1_UNCI.dcm", 1),
    "RG3_J2KR.dcm": ("RG3_UNCR.dcm", 0),
    "RG3_J2KI.dcm": ("RG3_UNCI.dcm", 1),
    "US1_J2KR.dcm": ("US1_UNCR.dcm", 0),
    "US1_J2KI.dcm": ("US1_UNCI.dcm", 1),
    "MR_small_RLE.dcm": ("MR_small.dcm", 0),
    "MR_small_jp2klossless.dcm": ("MR_small.dcm", 0),
    "MR_small_jpeg_ls_lossless.dcm": ("MR_small.dcm", 0),
    "OBXXXX1A_rle.dcm": ("OBXXXX1A.dcm", 0),
    "OBXXXX1A_rle_2frame.dcm": ("OBXXXX1A_2frame.dcm", 0),
    "SC_rgb_rle.dcm": ("SC_rgb.dcm", 0),
    "SC_rgb_rle_2frame.dcm": ("SC_rgb_2frame.dcm", 0),
    "SC_rgb_rle_16bit.dcm": ("SC_rgb_16bit.dcm", 0),
    "SC_rgb_rle_32bit.dcm": ("SC_rgb_32bit.dcm", 0),
    "SC_rgb_dcmtk_+eb+cr.dcm": ("SC_rgb_dcmtk_ebcr_dcmd.dcm", 1),
    "emri_small_RLE.dcm": ("emri_small.dcm", 0),
    "emri_small_jpeg_2k_lossless.dcm": ("emri_small.dcm", 0),
    "emri_small_jpeg_ls_lossless.dcm": ("emri_small.dcm", 0),
    "rtdose_rle.dcm": ("rtdose.dcm", 0),
    "rtdose_rle_1frame.dcm": ("rtdose_1frame.dcm", 0),
}
"""The same image uncompressed, and by how much a sample may differ."""


def is_compressed(path: Path) -> bool:
    try:
        _, syntax = start_and_syntax(path.read_bytes())
    except InvalidObject:
        return False
    return syntax.startswith(("1.2.840.10008.1.2.4.", "1.2.840.10008.1.2.5"))


WITHOUT_IMAGE = {"UN_sequence.dcm"}
COMPRESSED = sorted(name for name, path in FILES.items() if is_compressed(path) and name not in WITHOUT_IMAGE)


def native_of(path: Path) -> Elements:
    data = path.read_bytes()
    start, syntax = start_and_syntax(data)
    assert is_decodable(syntax)
    return decompressed(read_data_set(data[start:], syntax).elements, syntax)


def octets(elements: Elements) -> bytes:
    value = elements[PIXEL_DATA].value
    assert not isinstance(value, tuple)
    return bytes(value)


def test_there_are_files_of_all_kinds() -> None:
    assert len(COMPRESSED) > 55
    assert DAMAGED.keys() | TWINS.keys() <= set(COMPRESSED)


@pytest.mark.parametrize("name", COMPRESSED)
def test_file_is_decompressed_or_refused(name: str) -> None:
    if name in DAMAGED:
        with pytest.raises((SubOperationFailed, InvalidObject), match=DAMAGED[name]):
            native_of(FILES[name])
        return
    native = native_of(FILES[name])
    found = octets(native)
    length = image_pixel(native).native_length
    assert len(found) == length + length % 2
    if name not in TWINS:
        assert len(set(found)) > 1
        return
    twin, most = TWINS[name]
    ds = dcmread(FILES[twin])
    kind = f"{'i' if ds.PixelRepresentation else 'u'}{ds.BitsAllocated // 8}"
    ours, theirs = (numpy.frombuffer(data[:length], f"<{kind}").astype(int) for data in (found, ds.PixelData))
    if ds.SamplesPerPixel == 3 and ds.PlanarConfiguration == 1:
        theirs = theirs.reshape(int(ds.get("NumberOfFrames", 1)), 3, -1).transpose(0, 2, 1).reshape(-1)
    assert numpy.abs(ours - theirs).max() <= most


def image_of(stream: bytes | bytearray, frame: numpy.ndarray) -> Elements:
    """The elements of an image with one compressed frame."""
    words = {
        0x00280002: (frame.ndim == 3 and 3) or 1,
        0x00280010: frame.shape[0],
        0x00280011: frame.shape[1],
        0x00280100: frame.dtype.itemsize * 8,
        0x00280101: frame.dtype.itemsize * 8,
        0x00280102: frame.dtype.itemsize * 8 - 1,
        0x00280103: 0,
    }
    elements = {tag: Element(tag, b"US", value.to_bytes(2, "little")) for tag, value in words.items()}
    colours = b"RGB " if frame.ndim == 3 else b"MONOCHROME2 "
    elements[0x00280004] = Element(0x00280004, b"CS", colours)
    elements[PIXEL_DATA] = Element(PIXEL_DATA, b"OB", Fragments((b"", bytes(stream) + b"\0" * (len(stream) % 2))))
    return dict(sorted(elements.items()))


FRAMES = {
    "8 bit": picture().astype("u1"),
    "16 bit": (picture() * 16).astype("u2"),
    "RGB": picture(samples=3).astype("u1"),
}


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize("syntax", [HTJ2KLossless, HTJ2K])
def test_high_throughput_jpeg_2000(kind: str, syntax: UID) -> None:
    frame = FRAMES[kind]
    stream = imagecodecs.htj2k_encode(frame, reversible=True)
    assert octets(decompressed(image_of(stream, frame), syntax))[: frame.nbytes] == frame.tobytes()


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize("container", [False, True])
def test_jpeg_xl(kind: str, container: bool) -> None:
    frame, syntax = FRAMES[kind], "1.2.840.10008.1.2.4.110"
    stream = imagecodecs.jpegxl_encode(frame, lossless=True, usecontainer=container)
    assert is_decodable(syntax)
    assert octets(decompressed(image_of(stream, frame), syntax))[: frame.nbytes] == frame.tobytes()
    with pytest.raises(SubOperationFailed, match="JPEG XL"):
        decompressed(image_of(stream[: len(stream) // 2], frame), syntax)
    with pytest.raises(SubOperationFailed, match="another image"):
        decompressed(image_of(stream, frame[:-1]), syntax)
