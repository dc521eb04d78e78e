"""Pictures are decoded in a process of its own: of what can be decoded; of the rest the reason is told."""

from __future__ import annotations

import os
import struct
import zlib
from base64 import b64decode
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, EncapsulatedPDFStorage, ExplicitVRLittleEndian

from dcm4py_leading.service.picture import picture as making
from dcm4py_leading.service.picture.picture import Picture, decode_picture
from tests.fixtures.datasets import CT, MULTI_FRAME, make_instance, make_study, sample_path
from tests.fixtures.scu import store
from tests.fixtures.service import Seed

STUDY = "1.2.826.0.1.3680043.8.498.71"
PICTURES = (CT, "MR_small_bigendian.dcm", "MR_small_RLE.dcm", "JPEG2000.dcm", "JPGExtended.dcm", "image_dfl.dcm")


def picture_of(path: Path, **settings: float) -> Picture:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return decode_picture(descriptor, **settings)
    finally:
        os.close(descriptor)


def pixels(picture: Picture) -> tuple[int, int, int, bytes]:
    """Width, height, samples of a pixel and all of them, as a PNG decoder would find them."""
    data = b64decode(picture.png)
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, compressed, header = 8, b"", b""
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, content = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length]) == (zlib.crc32(kind + content),)
        header = content if kind == b"IHDR" else header
        compressed += content if kind == b"IDAT" else b""
        at += 12 + length
    width, height, _, colour = struct.unpack(">IIBB", header[:10])
    samples = 3 if colour == 2 else 1
    lines = zlib.decompress(compressed)
    assert len(lines) == height * (1 + width * samples)
    return (
        width,
        height,
        samples,
        b"".join(
            lines[line * (1 + width * samples) + 1 : (line + 1) * (1 + width * samples)] for line in range(height)
        ),
    )


@pytest.mark.parametrize("name", [*PICTURES, *MULTI_FRAME, "SC_rgb_jpeg_dcmtk.dcm"])
def test_images_of_all_kinds_are_decoded(name: str) -> None:
    picture = picture_of(sample_path(name))
    assert picture.why_not == ""
    width, height, samples, found = pixels(picture)
    ds = dcmread(sample_path(name), specific_tags=["Rows", "Columns", "SamplesPerPixel"])
    assert max(width, height) <= 512
    assert samples == int(ds.get("SamplesPerPixel") or 1)
    assert width * ds.Rows // ds.Columns in (height - 1, height, height + 1)
    assert len(set(found)) > 1


def test_grey_goes_from_dark_to_light_or_the_other_way_round(tmp_path: Path) -> None:
    ramp = {"Rows": 2, "Columns": 256, "PixelData": bytes(range(256)) * 2, "BitsAllocated": 8, "BitsStored": 8}
    ramp |= {"HighBit": 7, "PixelRepresentation": 0, "WindowCenter": None, "RescaleIntercept": None}
    for kind, first, last in (("MONOCHROME2", 0, 255), ("MONOCHROME1", 255, 0)):
        path = make_instance(tmp_path / f"{kind}.dcm", attributes={**ramp, "PhotometricInterpretation": kind})
        *_, found = pixels(picture_of(path))
        assert (found[0], found[255]) == (first, last)


@pytest.mark.parametrize(("name", "reason"), [("test-SR.dcm", "Comprehensive SR"), ("rtplan.dcm", "RT Plan Storage")])
def test_object_that_is_no_image_is_named(name: str, reason: str) -> None:
    picture = picture_of(sample_path(name))
    assert picture.png == ""
    assert reason in picture.why_not


def test_a_syntax_without_codec_is_named(tmp_path: Path) -> None:
    ds = dcmread(sample_path("JPEG2000.dcm"))
    ds.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.4.102")
    ds.save_as(tmp_path / "video.dcm")
    assert "no codec here for MPEG-4" in picture_of(tmp_path / "video.dcm").why_not


def test_a_broken_file_ends_in_a_reason_without_its_values(tmp_path: Path) -> None:
    (tmp_path / "broken.dcm").write_bytes(sample_path(CT).read_bytes()[:-3000])
    (tmp_path / "none.dcm").write_bytes(b"Doe^Jane" * 100)
    for name in ("broken", "none"):
        picture = picture_of(tmp_path / f"{name}.dcm")
        assert picture.png == ""
        assert "cannot be decoded" in picture.why_not
        assert "Doe" not in picture.why_not


def test_too_large_a_frame_is_not_decoded(tmp_path: Path) -> None:
    path = make_instance(tmp_path / "large.dcm", attributes={"Rows": 65535, "Columns": 65535})
    assert "one frame takes 8191 MB" in picture_of(path).why_not


def test_a_bomb_ends_its_own_process_only(tmp_path: Path) -> None:
    ds = dcmread(sample_path(CT), stop_before_pixels=True)
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    ds.save_as(tmp_path / "head.dcm")
    inflated = dcmread(sample_path(CT), stop_before_pixels=True)
    inflated.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    inflated.save_as(tmp_path / "plain.dcm")
    plain = (tmp_path / "plain.dcm").read_bytes()
    length = 132 + 12 + int.from_bytes(plain[140:144], "little")
    head = (tmp_path / "head.dcm").read_bytes()
    meta = head[: 132 + 12 + int.from_bytes(head[140:144], "little")]
    deflate = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    zeros = bytes(64 * 1024**2)
    with (tmp_path / "bomb.dcm").open("wb") as file:
        file.write(meta + deflate.compress(plain[length:]))
        file.write(deflate.compress(bytes.fromhex("e07f1000") + b"OW\0\0" + (40 * len(zeros)).to_bytes(4, "little")))
        for _ in range(40):
            file.write(deflate.compress(zeros))
        file.write(deflate.flush())
    picture = picture_of(tmp_path / "bomb.dcm")
    assert picture.png == ""
    assert "memory" in picture.why_not or "ended by signal" in picture.why_not or "not decoded" in picture.why_not


def test_a_decoder_that_takes_too_long_is_ended() -> None:
    assert "not decoded within 0.001 s" in picture_of(sample_path(CT), seconds=0.001).why_not


def test_decoder_gets_no_secrets_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_PASSWORD", "secret")
    assert "SOME_PASSWORD" not in making._environment()


def test_picture_is_of_the_first_series_with_images(seed: Seed, tmp_path: Path) -> None:
    service = seed.start()
    report = make_study(
        tmp_path / "1", patient_id="P", patient_name="A^B", study_uid=STUDY, instances=1, sources=("test-SR.dcm",)
    )
    images = make_study(tmp_path / "2", patient_id="P", patient_name="A^B", study_uid=f"{STUDY}.1", instances=3)
    assert set(store(seed.archive_port, [*report, *images])) == {0}
    assert service.picture("DCM4CHEE", f"{STUDY}.1").png
    without = service.picture("DCM4CHEE", STUDY)
    assert without.why_not == "the study has no image: its objects are Comprehensive SR Storage"
    assert "no object" in service.picture("DCM4CHEE", "1.2.3").why_not
    for file in seed.objects:
        file.unlink()
    assert service.picture("DCM4CHEE", f"{STUDY}.1").png == ""


def test_a_pdf_is_no_image(seed: Seed, tmp_path: Path) -> None:
    service = seed.start()
    file = make_instance(tmp_path / "pdf.dcm", study_uid=STUDY, attributes={"SOPClassUID": EncapsulatedPDFStorage})
    assert set(store(seed.archive_port, [file])) == {0}
    assert "Encapsulated PDF Storage" in service.picture("DCM4CHEE", STUDY).why_not
