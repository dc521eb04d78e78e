"""Pictures are decoded in a process of its own: of what can be decoded; of the rest the reason is told."""

from __future__ import annotations

import os
from base64 import b64decode
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.uid import UID, EncapsulatedPDFStorage, ExplicitVRLittleEndian

from dcm4py_leading.service.picture.decoders import Decoders
from dcm4py_leading.service.picture.picture import Picture, picture_of_file
from tests.fixtures.datasets import CT, MULTI_FRAME, make_instance, make_study, sample_path
from tests.fixtures.part10 import start_and_syntax
from tests.fixtures.scu import store
from tests.fixtures.service import Seed

STUDY = "1.2.826.0.1.3680043.8.498.71"
PICTURES = (CT, "MR_small_bigendian.dcm", "MR_small_RLE.dcm", "JPEG2000.dcm", "JPGExtended.dcm", "image_dfl.dcm")


@pytest.fixture(scope="module")
def decoding() -> Iterator[Decoders]:
    made = Decoders()
    yield made
    made.close()


def picture_of(path: Path, decoding: Decoders) -> Picture:
    _, syntax = start_and_syntax(path.read_bytes())
    return picture_of_file(os.open(path, os.O_RDONLY), syntax, decoding)


def opened(picture: Picture) -> Image.Image:
    return Image.open(BytesIO(b64decode(picture.png)))


@pytest.mark.parametrize("name", [*PICTURES, *MULTI_FRAME, "SC_rgb_jpeg_dcmtk.dcm"])
def test_images_of_all_kinds_are_decoded(name: str, decoding: Decoders) -> None:
    picture = picture_of(sample_path(name), decoding)
    assert picture.why_not == ""
    image = opened(picture)
    width, height = image.size
    ds = dcmread(sample_path(name), specific_tags=["Rows", "Columns", "SamplesPerPixel"])
    assert max(width, height) <= 512
    assert image.mode == ("RGB" if ds.get("SamplesPerPixel") == 3 else "L")
    assert width * ds.Rows // ds.Columns in (height - 1, height, height + 1)
    assert image.convert("L").getextrema() != (0, 0)


def test_grey_goes_from_dark_to_light_or_the_other_way_round(tmp_path: Path, decoding: Decoders) -> None:
    ramp = {"Rows": 2, "Columns": 256, "PixelData": bytes(range(256)) * 2, "BitsAllocated": 8, "BitsStored": 8}
    ramp |= {"HighBit": 7, "PixelRepresentation": 0, "WindowCenter": None, "RescaleIntercept": None}
    for kind, first, last in (("MONOCHROME2", 0, 255), ("MONOCHROME1", 255, 0)):
        path = make_instance(tmp_path / f"{kind}.dcm", attributes={**ramp, "PhotometricInterpretation": kind})
        image = opened(picture_of(path, decoding))
        assert (image.getpixel((0, 0)), image.getpixel((255, 0))) == (first, last)


@pytest.mark.parametrize("name", ["test-SR.dcm", "rtplan.dcm"])
def test_object_that_is_no_image_is_named(name: str, decoding: Decoders) -> None:
    picture = picture_of(sample_path(name), decoding)
    assert (picture.png, picture.why_not) == ("", "it has no pixel data")


def test_a_syntax_without_codec_is_named(tmp_path: Path, decoding: Decoders) -> None:
    ds = dcmread(sample_path("JPEG2000.dcm"))
    ds.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.4.102")
    ds.save_as(tmp_path / "video.dcm")
    assert "MPEG-4" in picture_of(tmp_path / "video.dcm", decoding).why_not


def test_a_broken_file_ends_in_a_reason_without_its_values(tmp_path: Path, decoding: Decoders) -> None:
    (tmp_path / "broken.dcm").write_bytes(sample_path(CT).read_bytes()[:-3000])
    picture = picture_of(tmp_path / "broken.dcm", decoding)
    assert (picture.png, picture.why_not) == ("", "the pixel data ends early")
    (tmp_path / "none.dcm").write_bytes(b"Doe^Jane" * 100)
    why = picture_of_file(os.open(tmp_path / "none.dcm", os.O_RDONLY), ExplicitVRLittleEndian, decoding).why_not
    assert why == "a stored object is no DICOM file"


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
