"""Native pixel data of compressed images: what DCMTK makes of them, with all frames, or refused by name."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from copy import deepcopy
from io import BytesIO
from pathlib import Path

import numpy
import pytest
from pydicom import Dataset
from pydicom.dataelem import DataElement
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.uid import UID

from dcm4py_leading.dataset.elements import Element, Elements, Fragments
from dcm4py_leading.dataset.encoder import encode
from dcm4py_leading.dataset.pixels.pixel_data import decompressed
from dcm4py_leading.dataset.reading import parse
from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE
from dcm4py_leading.errors import SubOperationFailed
from tests.fixtures.datasets import read_sample
from tests.fixtures.encapsulated import (
    ENCODERS,
    JPEG,
    JPEG_2000,
    JPEG_EXTENDED,
    JPEG_LOSSLESS,
    JPEG_LS,
    JPEG_LS_NEAR_LOSSLESS,
    RLE,
    code_streams,
    compressed,
    decompressed_by_dcmtk,
    encapsulate,
    image,
    in_jpeg_2000,
    offsets_of,
    padded,
    picture,
    smooth_picture,
)

PIXEL_DATA, PHOTOMETRIC, PLANAR, LOSSY = 0x7FE00010, 0x00280004, 0x00280006, 0x00282110
FAMILIES = (JPEG, JPEG_LOSSLESS, JPEG_LS, JPEG_2000, RLE)


def decompress(ds: Dataset, syntax: str) -> frozenset[int]:
    """Make ``ds`` what becomes of it in Explicit VR Little Endian; the tags of what changed."""
    before = tree_of(ds)
    after = decompressed(before, syntax)
    assert list(after) == sorted(after)
    again = read_dataset(BytesIO(b"".join(encode(after, EXPLICIT_LITTLE))), False, True)
    for tag in [tag for tag in ds.keys() if tag not in again]:
        del ds[tag]
    ds.update(again)
    return frozenset(tag for tag in before.keys() | after.keys() if after.get(tag) is not before.get(tag))


def tree_of(ds: Dataset) -> Elements:
    """As a receiver reads it."""
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_dataset(buffer, ds)
    return parse(buffer.getvalue(), EXPLICIT_LITTLE).elements


def pixels(ds: Dataset) -> numpy.ndarray:
    """All samples of a native image, as stored."""
    kind = "ui"[ds.PixelRepresentation]
    count = ds.Rows * ds.Columns * ds.SamplesPerPixel * int(ds.get("NumberOfFrames", 1))
    return numpy.frombuffer(ds.PixelData, dtype=f"<{kind}{ds.BitsAllocated // 8}", count=count)


def unused(ds: Dataset) -> int:
    """How many bits of a sample are not used."""
    return int(ds.BitsAllocated - ds.BitsStored)


def native_of(ds: Dataset) -> Dataset:
    decompress(ds, ds.file_meta.TransferSyntaxUID)
    return ds


def three_frames(syntax: str, directory: Path) -> Dataset:
    """An image of three frames, with a fragment for each."""
    frames = [picture(number=number).astype("u1") for number in range(3)]
    ds = image(frames)
    return in_jpeg_2000(ds, frames) if syntax == JPEG_2000 else compressed(ds, syntax, directory)


# -- as DCMTK -------------------------------------------------------------------------------------------------------

IMAGES: dict[str, Callable[[], Dataset]] = {
    "8 bit": lambda: image([picture().astype("u1")]),
    "8 bit, odd length, three frames": lambda: image([picture(number=n).astype("u1") for n in range(3)]),
    "12 bit": lambda: image([picture().astype("u2")], bits_stored=12),
    "16 bit": lambda: image([(picture() * 16).astype("u2")]),
    "16 bit signed": lambda: image([(picture() - 2048).astype("i2")]),
    "12 bit signed": lambda: image([(picture() - 2048).astype("i2")], bits_stored=12),
    "RGB": lambda: image([picture(samples=3).astype("u1")]),
    "RGB, two frames": lambda: image([picture(samples=3, number=n).astype("u1") for n in range(2)]),
    "palette": lambda: image([picture().astype("u1")], photometric="PALETTE COLOR"),
    "YBR_FULL": lambda: image([picture(samples=3).astype("u1")], photometric="YBR_FULL"),
}
LOSSLESS = ("1.2.840.10008.1.2.4.57", JPEG_LOSSLESS, JPEG_LS, RLE)
WITH_LOSS = (JPEG, JPEG_EXTENDED, "1.2.840.10008.1.2.4.53", "1.2.840.10008.1.2.4.55", JPEG_LS_NEAR_LOSSLESS)


@pytest.mark.peers
@pytest.mark.parametrize("kind", IMAGES)
@pytest.mark.parametrize("syntax", LOSSLESS)
def test_lossless_images_are_what_they_were(kind: str, syntax: str, tmp_path: Path) -> None:
    ds = compressed(IMAGES[kind](), syntax, tmp_path)
    dcmtk = decompressed_by_dcmtk(deepcopy(ds), tmp_path, *(["+cn"] if ENCODERS[syntax][0] == "dcmcjpeg" else []))
    ours = native_of(ds)
    original = IMAGES[kind]()
    assert ours.PixelData == original.PixelData
    assert (pixels(ours) << unused(ours)).tobytes() == (pixels(dcmtk) << unused(dcmtk)).tobytes()
    assert ours.PhotometricInterpretation == original.PhotometricInterpretation == dcmtk.PhotometricInterpretation


SMOOTH: dict[str, Callable[[], Dataset]] = {
    "8 bit": lambda: image([(smooth_picture() / 16).astype("u1")]),
    "8 bit, two frames": lambda: image([(smooth_picture(number=n) / 16).astype("u1") for n in range(2)]),
    "RGB": lambda: image([(smooth_picture(samples=3) / 16).astype("u1")]),
    "RGB, two frames": lambda: image([(smooth_picture(samples=3, number=n) / 16).astype("u1") for n in range(2)]),
    "YBR_FULL": lambda: image([(smooth_picture(samples=3) / 16).astype("u1")], photometric="YBR_FULL"),
}


@pytest.mark.peers
@pytest.mark.parametrize("kind", SMOOTH)
@pytest.mark.parametrize("syntax", WITH_LOSS)
def test_lossy_images_decode_like_dcmtk(kind: str, syntax: str, tmp_path: Path) -> None:
    ds = compressed(SMOOTH[kind](), syntax, tmp_path)
    if syntax != JPEG_LS_NEAR_LOSSLESS and ds.SamplesPerPixel == 3:
        assert ds.PhotometricInterpretation == "YBR_FULL_422"
    dcmtk = decompressed_by_dcmtk(deepcopy(ds), tmp_path)
    require_nearly_equal(native_of(ds), dcmtk)


@pytest.mark.peers
@pytest.mark.parametrize("syntax", [JPEG_EXTENDED, JPEG_LS_NEAR_LOSSLESS])
def test_lossy_12_bit_images_decode_like_dcmtk(syntax: str, tmp_path: Path) -> None:
    ds = compressed(image([smooth_picture().astype("u2")], bits_stored=12), syntax, tmp_path)
    dcmtk = decompressed_by_dcmtk(deepcopy(ds), tmp_path)
    require_nearly_equal(native_of(ds), dcmtk)


def require_nearly_equal(ours: Dataset, dcmtk: Dataset) -> None:
    """Decoders of JPEG may round in other ways."""
    assert (ours.PhotometricInterpretation, ours.get("PlanarConfiguration")) == (
        dcmtk.PhotometricInterpretation,
        dcmtk.get("PlanarConfiguration"),
    )
    assert len(ours.PixelData) == len(dcmtk.PixelData)
    difference = numpy.abs(pixels(ours).astype(int) - pixels(dcmtk).astype(int))
    assert difference.max() <= 5
    assert difference.mean() < 0.5


@pytest.mark.parametrize("kind", [kind for kind in IMAGES if kind != "palette"])
def test_jpeg_2000_is_what_it_was(kind: str) -> None:
    original = IMAGES[kind]()
    shape = (original.Rows, original.Columns, 3)[: 2 if original.SamplesPerPixel == 1 else 3]
    frames = list(pixels(original).reshape(-1, *shape))
    ds = native_of(in_jpeg_2000(IMAGES[kind](), frames))
    assert ds.PixelData == original.PixelData


@pytest.mark.parametrize(
    ("before", "after"),
    [("YBR_RCT", "RGB"), ("YBR_ICT", "RGB"), ("RGB", "RGB"), ("YBR_FULL", "YBR_FULL"), ("YBR_FULL_422", "YBR_FULL")],
)
def test_colours_of_jpeg_2000_are_named_after_what_they_are(before: str, after: str) -> None:
    frame = picture(samples=3).astype("u1")
    ds = in_jpeg_2000(image([frame], photometric=before), [frame])
    ds.PlanarConfiguration = 1
    changed = decompress(ds, JPEG_2000)
    assert (ds.PhotometricInterpretation, ds.PlanarConfiguration, ds.PixelData) == (after, 0, padded(frame.tobytes()))
    assert changed == {PIXEL_DATA, PLANAR} | ({PHOTOMETRIC} if before != after else set())


def test_a_sign_that_jpeg_2000_lost_comes_back() -> None:
    frame = (picture() - 2048).astype("i2")
    ds = image([frame], bits_stored=12)
    in_jpeg_2000(ds, [(frame & 0xFFF).astype("u2")])
    assert native_of(ds).PixelData == frame.tobytes()


@pytest.mark.parametrize(
    "name",
    [
        "SC_rgb_dcmtk_+eb+cr.dcm",
        "SC_rgb_dcmtk_+eb+cy+n1.dcm",
        "SC_rgb_dcmtk_+eb+cy+np.dcm",
        "SC_rgb_dcmtk_+eb+cy+s2.dcm",
        "SC_rgb_dcmtk_+eb+cy+s4.dcm",
        "SC_rgb_jpeg_dcmtk.dcm",
        "SC_rgb_jpeg_lossy_gdcm.dcm",
        "SC_rgb_jpeg_app14_dcmd.dcm",
        "SC_jpeg_no_color_transform.dcm",
        "SC_jpeg_no_color_transform_2.dcm",
        "SC_rgb_small_odd_jpeg.dcm",
        "examples_ybr_color.dcm",
        "JPGExtended.dcm",
    ],
)
@pytest.mark.peers
def test_files_of_several_encoders_decode_like_dcmtk(name: str, tmp_path: Path) -> None:
    dcmtk = decompressed_by_dcmtk(read_sample(name), tmp_path)
    require_nearly_equal(native_of(read_sample(name)), dcmtk)


@pytest.mark.parametrize("name", ["MR_small_jp2klossless.dcm", "JPEG2000.dcm", "693_J2KI.dcm"])
def test_jpeg_2000_files_decode_like_pydicom(name: str) -> None:
    expected = read_sample(name)
    expected.decompress(generate_instance_uid=False)
    assert native_of(read_sample(name)).PixelData == expected.PixelData


@pytest.mark.parametrize("bits", [16, 32])
def test_rle_of_many_bits_is_what_it_was(bits: int) -> None:
    ds = native_of(read_sample(f"SC_rgb_rle_{bits}bit_2frame.dcm"))
    assert (ds.PlanarConfiguration, ds.NumberOfFrames) == (0, 2)
    expected = read_sample(f"SC_rgb_rle_{bits}bit_2frame.dcm")
    expected.decompress(generate_instance_uid=False)
    assert ds.PixelData == expected.PixelData


# -- frames ---------------------------------------------------------------------------------------------------------


@pytest.mark.peers
@pytest.mark.parametrize("syntax", FAMILIES)
@pytest.mark.parametrize("table", ["right", "empty", "one entry", "zeros", "wrong", "descending", "too long", "cut"])
def test_every_frame_comes_whatever_the_offset_table_says(syntax: str, table: str, tmp_path: Path) -> None:
    ds = three_frames(syntax, tmp_path)
    expected = native_of(deepcopy(ds)).PixelData
    streams = code_streams(ds)
    right = offsets_of(streams)
    tables = {
        "right": right,
        "empty": [],
        "one entry": [0],
        "zeros": [0, 0, 0],
        "wrong": [0, 6, right[2] + 2],
        "descending": right[::-1],
        "too long": [*right, right[-1] + 8 + len(streams[-1])],
        "cut": right[:2],
    }
    encapsulate(ds, streams, tables[table])
    assert native_of(ds).PixelData == expected
    assert len(expected) == 3 * 61 * 67 + 1


@pytest.mark.peers
@pytest.mark.parametrize("syntax", FAMILIES)
@pytest.mark.parametrize("table", ["right", "empty", "a fragment too early"])
def test_every_frame_comes_in_several_fragments(syntax: str, table: str, tmp_path: Path) -> None:
    ds = three_frames(syntax, tmp_path)
    expected = native_of(deepcopy(ds)).PixelData
    fragments: list[bytes] = []
    firsts = []
    for stream in code_streams(ds):
        firsts.append(len(fragments))
        fragments += [stream[:100], b"", stream[100:200], stream[200:]]
    offsets = offsets_of(fragments)
    right = [offsets[first] for first in firsts]
    early = [right[0], offsets[firsts[1] - 1], right[2]]
    encapsulate(ds, fragments, {"right": right, "empty": [], "a fragment too early": early}[table])
    assert native_of(ds).PixelData == expected


@pytest.mark.peers
@pytest.mark.parametrize("syntax", [JPEG, JPEG_LOSSLESS, JPEG_LS, JPEG_2000])
def test_every_frame_comes_in_fewer_fragments(syntax: str, tmp_path: Path) -> None:
    ds = three_frames(syntax, tmp_path)
    expected = native_of(deepcopy(ds)).PixelData
    data = b"".join(code_streams(ds))
    for fragments in ([data], [data[:701], data[701:]]):
        encapsulate(ds, fragments if len(fragments) == 1 else [data[:700], data[700:]])
        assert native_of(deepcopy(ds)).PixelData == expected


@pytest.mark.peers
@pytest.mark.parametrize("syntax", FAMILIES)
@pytest.mark.parametrize("kind", ["right", "not ascending", "lengths wrong", "of one frame", "odd"])
def test_every_frame_comes_whatever_the_extended_offset_table_says(syntax: str, kind: str, tmp_path: Path) -> None:
    ds = three_frames(syntax, tmp_path)
    expected = native_of(deepcopy(ds)).PixelData
    streams = code_streams(ds)
    offsets, lengths = offsets_of(streams), [len(stream) for stream in streams]
    if kind == "not ascending":
        offsets = offsets[::-1]
    elif kind == "lengths wrong":
        lengths = [4, 5, 6]
    elif kind == "of one frame":
        offsets, lengths = [0], [sum(lengths)]
    encapsulate(ds, streams)
    ds[0x7FE00001] = DataElement(0x7FE00001, "OV", struct.pack(f"<{len(offsets)}Q", *offsets) + b"x" * (kind == "odd"))
    ds[0x7FE00002] = DataElement(0x7FE00002, "OV", struct.pack(f"<{len(lengths)}Q", *lengths))
    ds[0x7FE00003] = DataElement(0x7FE00003, "UV", sum(lengths))
    changed = decompress(ds, syntax)
    assert ds.PixelData == expected
    assert changed >= {PIXEL_DATA, 0x7FE00001, 0x7FE00002, 0x7FE00003}
    assert not {0x7FE00001, 0x7FE00002, 0x7FE00003} & ds.keys()


@pytest.mark.peers
@pytest.mark.parametrize("syntax", FAMILIES)
@pytest.mark.parametrize("said", [1, 2, 4, 5])
@pytest.mark.parametrize("with_table", [True, False])
def test_another_number_of_frames_than_said_is_refused(
    syntax: str, said: int, with_table: bool, tmp_path: Path
) -> None:
    ds = three_frames(syntax, tmp_path)
    streams = code_streams(ds)
    encapsulate(ds, streams, offsets_of(streams) if with_table else ())
    ds.NumberOfFrames = said
    with pytest.raises(SubOperationFailed, match=f"holds 3 of {said} frames"):
        decompress(ds, syntax)


@pytest.mark.peers
def test_one_frame_is_not_made_of_several_images(tmp_path: Path) -> None:
    ds = three_frames(JPEG, tmp_path)
    del ds.NumberOfFrames
    with pytest.raises(SubOperationFailed, match="holds 3 of 1 frames"):
        decompress(ds, JPEG)
    encapsulate(ds, [b"".join(code_streams(ds))])
    with pytest.raises(SubOperationFailed, match="holds 3 of 1 frames"):
        decompress(ds, JPEG)


@pytest.mark.peers
def test_rle_frames_in_one_fragment_cannot_be_told_apart(tmp_path: Path) -> None:
    ds = three_frames(RLE, tmp_path)
    encapsulate(ds, [b"".join(code_streams(ds))])
    with pytest.raises(SubOperationFailed, match="holds 1 of 3 frames"):
        decompress(ds, RLE)


@pytest.mark.parametrize("fragments", [(), (b"",), (b"", b""), (b"\0\0\0", b""), (b"\0\0\0\0",)])
@pytest.mark.parametrize("syntax", FAMILIES)
def test_pixel_data_without_a_frame_is_refused(fragments: tuple[bytes, ...], syntax: str) -> None:
    elements = tree_of(image([picture().astype("u1")]))
    elements[PIXEL_DATA] = Element(PIXEL_DATA, b"OB", Fragments(fragments))
    with pytest.raises(SubOperationFailed, match=r"no fragments|holds 0 of 1 frames"):
        decompressed(elements, syntax)


@pytest.mark.parametrize("value", [b"garbage!", b"\xfe\xff\x00\xe0\xff\0\0\0", b"\xfe\xff\x00\xe0\0\0\0\0"])
@pytest.mark.parametrize("syntax", FAMILIES)
def test_bytes_that_are_neither_frames_nor_the_image_are_refused(value: bytes, syntax: str) -> None:
    elements = tree_of(image([picture().astype("u1")]))
    elements[PIXEL_DATA] = Element(PIXEL_DATA, b"OB", value)
    with pytest.raises(SubOperationFailed, match=r"is not encapsulated|are damaged|holds 0 of 1 frames"):
        decompressed(elements, syntax)


# -- what is cut or damaged -----------------------------------------------------------------------------------------


def cut(stream: bytes, kept: float, end: bytes) -> bytes:
    at = int(len(stream) * kept)
    while stream[at - 1 : at] == b"\xff":
        at -= 1
    return stream[:at] + end


@pytest.mark.peers
@pytest.mark.parametrize("end", [b"", b"\xff\xd9", b"\0\0\xff\xd9"])
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.6, 0.9, 0.98])
@pytest.mark.parametrize("syntax", [*ENCODERS, JPEG_2000])
def test_a_frame_that_is_cut_is_refused(syntax: str, kept: float, end: bytes, tmp_path: Path) -> None:
    generator = numpy.random.default_rng(1)
    frame = generator.integers(0, 256, (64, 64)).astype("u1")
    ds = image([frame, frame])
    ds = in_jpeg_2000(ds, [frame, frame]) if syntax == JPEG_2000 else compressed(ds, syntax, tmp_path)
    streams = code_streams(ds)
    encapsulate(ds, [streams[0], cut(streams[1], kept, end)])
    with pytest.raises(SubOperationFailed, match=r"frame 2 of 2|holds 1 of 2"):
        decompress(ds, syntax)


@pytest.mark.peers
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("syntax", [JPEG, JPEG_LOSSLESS, JPEG_LS, RLE])
def test_colours_that_are_cut_are_refused(syntax: str, kept: float, tmp_path: Path) -> None:
    frame = numpy.random.default_rng(2).integers(0, 256, (50, 40, 3)).astype("u1")
    ds = compressed(image([frame]), syntax, tmp_path)
    encapsulate(ds, [cut(code_streams(ds)[0], kept, b"\xff\xd9")])
    with pytest.raises(SubOperationFailed, match="frame 1 of 1"):
        decompress(ds, syntax)


@pytest.mark.parametrize("name", ["JPEG2000.dcm", "693_J2KI.dcm"])
def test_jpeg_2000_without_its_end_marker_is_whole(name: str) -> None:
    ds = read_sample(name)
    expected = native_of(read_sample(name)).PixelData
    stream = code_streams(ds)[0].rstrip(b"\0")
    assert stream.endswith(b"\xff\xd9")
    encapsulate(ds, [stream[:-2]])
    assert native_of(ds).PixelData == expected


@pytest.mark.peers
@pytest.mark.parametrize(
    ("attribute", "value", "reason"),
    [
        ("Rows", 60, "it is 61 x 67 pixels, where Rows and Columns say 60 x 67"),
        ("Columns", 670, "it is 61 x 67 pixels, where Rows and Columns say 61 x 670"),
        ("SamplesPerPixel", 3, "it has 1 components, where Samples per Pixel says 3"),
        ("SamplesPerPixel", 4, "Samples per Pixel 4"),
        ("BitsAllocated", 12, "Bits Allocated 12"),
        ("Rows", None, "Rows is missing"),
        ("BitsAllocated", None, "Bits Allocated is missing"),
        ("NumberOfFrames", 0, "Number of Frames is no positive number"),
    ],
)
@pytest.mark.parametrize("syntax", [JPEG, JPEG_2000])
def test_attributes_that_contradict_the_pixels_are_named(
    syntax: str, attribute: str, value: int | None, reason: str, tmp_path: Path
) -> None:
    frame = picture().astype("u1")
    ds = in_jpeg_2000(image([frame]), [frame]) if syntax == JPEG_2000 else compressed(image([frame]), syntax, tmp_path)
    ds.PhotometricInterpretation = "RGB"
    setattr(ds, attribute, value)
    with pytest.raises(SubOperationFailed, match=reason):
        decompress(ds, syntax)


@pytest.mark.parametrize("syntax", FAMILIES)
def test_a_code_stream_of_another_kind_is_refused(syntax: str) -> None:
    ds = image([picture().astype("u1")])
    encapsulate(ds, [bytes(range(256)) * 8])
    with pytest.raises(SubOperationFailed, match=r"frame 1 of 1: no .* begins there"):
        decompress(ds, syntax)


@pytest.mark.peers
def test_padding_behind_rle_is_taken(tmp_path: Path) -> None:
    ds = compressed(image([picture().astype("u1")]), RLE, tmp_path)
    stream = code_streams(ds)[0].rstrip(b"\0")
    expected = picture().astype("u1").tobytes()
    for padding in (b"\0\0", b"\xf0\0", b"\x80\x80"):
        encapsulate(ds, [stream + padding])
        assert native_of(deepcopy(ds)).PixelData == padded(expected)


@pytest.mark.parametrize("size", [1, 2])
def test_a_run_may_only_go_on_behind_the_last_pixel_as_padding(size: int) -> None:
    def rle(last: bytes) -> bytes:
        """Segments of a literal run of two bytes, and six times ``last``."""
        segments = [b"\1" + bytes((number + 1, number + 11)) + b"\xfb" + last for number in range(3 * size)]
        offsets = [64 + 5 * number for number in range(len(segments))]
        return struct.pack("<16L", len(offsets), *offsets, *[0] * (15 - len(offsets))) + b"".join(segments)

    ds = image([numpy.zeros((2, 2, 3), f"u{size}")])
    encapsulate(ds, [rle(b"\0")])
    decompress(ds, RLE)
    expected = numpy.zeros((2, 2, 3), f"<u{size}")
    for plane in range(3):
        for column in range(2):
            high_first = bytes(plane * size + byte + 1 + 10 * column for byte in range(size))
            expected[0, column, plane] = int.from_bytes(high_first, "big")
    assert ds.PixelData == expected.tobytes()
    encapsulate(ds, [rle(b"\7")])
    with pytest.raises(SubOperationFailed, match="more pixels than Rows and Columns say"):
        decompress(ds, RLE)


# -- beside the pixel data of the image -----------------------------------------------------------------------------


@pytest.mark.peers
def test_loss_is_told_once_the_transfer_syntax_does_not(tmp_path: Path) -> None:
    ds = compressed(image([picture().astype("u1")]), JPEG, tmp_path)
    assert ds.LossyImageCompression == "01"
    assert LOSSY not in decompress(deepcopy(ds), JPEG)
    del ds.LossyImageCompression
    assert LOSSY in decompress(ds, JPEG)
    assert ds.LossyImageCompression == "01"


@pytest.mark.peers
@pytest.mark.parametrize("syntax", FAMILIES)
def test_icons_are_native_too(syntax: str, tmp_path: Path) -> None:
    ds = three_frames(syntax, tmp_path)
    frame = picture(32, 32).astype("u1")
    icon = image([frame])
    icon = in_jpeg_2000(icon, [frame]) if syntax == JPEG_2000 else compressed(icon, syntax, tmp_path)
    expected = native_of(deepcopy(icon)).PixelData
    ds.IconImageSequence = [icon]
    deep = Dataset()
    deep.add_new(0x00091001, "SQ", [deepcopy(icon)])
    ds.add_new(0x00090010, "LO", "VENDOR")
    ds.add_new(0x00091002, "SQ", [deep])
    again = ds
    changed = decompress(again, syntax)
    assert {0x00880200, 0x00091002, PIXEL_DATA} <= changed
    assert again.IconImageSequence[0].PixelData == expected
    nested = again[0x00091002].value[0][0x00091001].value[0]
    assert nested.PixelData == expected
    assert not nested["PixelData"].is_undefined_length


@pytest.mark.peers
def test_an_icon_that_cannot_be_decoded_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    ds = three_frames(JPEG, tmp_path)
    good, bad = image([picture(16, 16).astype("u1")]), image([picture(16, 16).astype("u1")])
    encapsulate(bad, [b"no JPEG.."])
    ds.IconImageSequence = [bad]
    ds.add_new(0x00090010, "LO", "VENDOR")
    ds.add_new(0x00091002, "SQ", [deepcopy(bad), good])
    again = ds
    assert {0x00880200, 0x00091002} <= decompress(again, JPEG)
    assert "IconImageSequence" not in again
    assert [item.PixelData for item in again[0x00091002].value] == [good.PixelData]
    assert "(0088,0200) is left out" in caplog.text


@pytest.mark.peers
def test_encapsulated_vendor_data_is_left_out(tmp_path: Path) -> None:
    ds = three_frames(JPEG, tmp_path)
    ds.add_new(0x00090010, "LO", "VENDOR")
    private = DataElement(0x00091002, "OB", ds.PixelData)
    private.is_undefined_length = True
    ds[0x00091002] = private
    hidden = b"\xfe\xff\x00\xe0\x10\0\0\0" + b"\xe0\x7f\x10\x00\xff\xff\xff\xff" + bytes(8)
    ds.add_new(0x00091003, "UN", hidden)
    ds.add_new(0x00091004, "UN", b"\xfe\xff\x00\xe0\0\0\0\0")
    again = ds
    assert {0x00091002, 0x00091003} <= decompress(again, JPEG)
    assert [tag for tag in again.keys() if tag.group == 9] == [0x00090010, 0x00091004]


@pytest.mark.peers
def test_sequences_without_pixel_data_stay_the_same(tmp_path: Path) -> None:
    ds = three_frames(JPEG, tmp_path)
    ds.ReferencedSeriesSequence = [Dataset()]
    native = Dataset()
    native.add_new(PIXEL_DATA, "OB", b"1234")
    ds.IconImageSequence = [native]
    assert decompress(ds, JPEG) == {PIXEL_DATA}


# -- native pixel data under a compressed transfer syntax -----------------------------------------------------------


@pytest.mark.parametrize("syntax", FAMILIES)
def test_native_pixel_data_stays(syntax: str) -> None:
    ds = image([picture(64, 64).astype("u2")])
    before = ds.PixelData
    assert decompress(ds, syntax) == (frozenset() if syntax != JPEG else {LOSSY})
    assert ds.PixelData == before


def test_native_pixel_data_of_odd_length_stays() -> None:
    elements = tree_of(image([picture(3, 3).astype("u1")]))
    elements[PIXEL_DATA] = Element(PIXEL_DATA, b"OB", bytes(9))
    assert decompressed(elements, JPEG_LOSSLESS) == elements


def test_native_pixel_data_of_another_length_is_refused() -> None:
    ds = image([picture(64, 64).astype("u1")])
    ds.PixelData = ds.PixelData[:-2]
    with pytest.raises(SubOperationFailed, match="has 4094 bytes where 4096 make the image"):
        decompress(ds, JPEG_LOSSLESS)


@pytest.mark.parametrize("syntax", [JPEG_2000])
def test_fragments_in_an_element_of_defined_length_are_decoded(syntax: str) -> None:
    frame = picture().astype("u1")
    ds = in_jpeg_2000(image([frame]), [frame])
    ds["PixelData"].is_undefined_length = False
    assert native_of(ds).PixelData == padded(frame.tobytes())


# -- what cannot be -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("syntax", "name"),
    [
        ("1.2.840.10008.1.2.4.100", "MPEG2"),
        ("1.2.840.10008.1.2.4.102", "MPEG-4"),
        ("1.2.840.10008.1.2.4.107", "HEVC"),
        ("1.2.840.10008.1.2.4.92", "JPEG 2000 Part 2"),
        ("1.2.840.10008.1.2.7.1", "SMPTE"),
        ("1.2.3.4.5", "1.2.3.4.5"),
        ("1.2.840.10008.1.2.1", "encapsulated pixel data in Explicit VR Little Endian"),
    ],
)
def test_a_syntax_that_cannot_be_decoded_is_named(syntax: str, name: str) -> None:
    ds = image([picture().astype("u1")])
    encapsulate(ds, [b"\0\0\1\xb3" * 100])
    with pytest.raises(SubOperationFailed, match=f"{name}.* cannot be decompressed"):
        decompress(ds, syntax)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.100", JPEG, "1.2.840.10008.1.2.1", "1.2.3"])
def test_an_object_without_pixel_data_has_nothing_to_decompress(syntax: str) -> None:
    ds = read_sample("test-SR.dcm")
    assert decompress(ds, syntax) == frozenset()


@pytest.mark.peers
def test_a_missing_codec_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ds = three_frames(JPEG, tmp_path)
    monkeypatch.delitem(sys.modules, "dcm4py_leading.dataset.pixels.frame_decoder", raising=False)
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(SubOperationFailed, match=r"extra 'codecs' has to be installed \(imagecodecs"):
        decompress(ds, JPEG)


@pytest.mark.peers
def test_more_pixels_than_an_element_can_hold_are_refused(tmp_path: Path) -> None:
    ds = three_frames(JPEG, tmp_path)
    ds.Rows = ds.Columns = 65535
    with pytest.raises(SubOperationFailed, match="longer than 4 GiB"):
        decompress(ds, JPEG)


def test_encapsulated_uncompressed_frames_are_joined() -> None:
    frames = [picture(5, 5, number=n).astype("u1") for n in range(3)]
    ds = image(frames)
    expected = ds.PixelData
    encapsulate(ds, [frame.tobytes() for frame in frames])
    assert decompress(ds, "1.2.840.10008.1.2.1.98") == {PIXEL_DATA}
    assert ds.PixelData == expected
    encapsulate(ds, [frames[0].tobytes(), frames[1].tobytes()])
    with pytest.raises(SubOperationFailed, match="3 frames cannot be told apart in 2 fragments"):
        decompress(ds, "1.2.840.10008.1.2.1.98")


def test_the_samples_are_those_of_the_uid_table() -> None:
    assert all(UID(syntax).is_encapsulated for syntax in [*ENCODERS, JPEG_2000])
