"""WADO-URI: one object as DICOM or as a picture, and no parameter that is ignored."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

import httpx
import numpy
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.uid import UID

from dcm4py_leading.web.app import create_app
from tests.fixtures.datasets import read_sample
from tests.fixtures.http import served
from tests.fixtures.scu import store
from tests.fixtures.service import Seed

STUDY = "1.2.826.0.1.3680043.8.498.71.7"
EXPLICIT, RLE = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.5"


@pytest.fixture(scope="module")
def objects(archive: Seed) -> None:
    """A series of an image, one of two frames, and one of a report."""
    for number, name in enumerate(("CT_small.dcm", "SC_rgb_rle_2frame.dcm", "test-SR.dcm"), 1):
        ds = read_sample(name)
        ds.PatientName, ds.PatientID = "Miller^Ann", "P"
        ds.StudyInstanceUID, ds.SeriesInstanceUID = UID(STUDY), UID(f"{STUDY}.{number}")
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(f"{STUDY}.{number}.1")
        ds.SeriesNumber = number
        assert store(archive.archive_port, [ds]) == [0x0000]


@pytest.fixture(scope="module")
def wado(archive: Seed, objects: None) -> Iterator[httpx.Client]:
    with served(app=create_app(archive.service)) as client:
        client.base_url = client.base_url.join("/dcm4chee-arc/aets/")
        yield client


def ask(wado: httpx.Client, number: int = 1, /, **more: str) -> httpx.Response:
    series = {"seriesUID": f"{STUDY}.{number}", "objectUID": f"{STUDY}.{number}.1"} if number else {}
    asked = {"requestType": "WADO", "studyUID": STUDY, **series, **more}
    return wado.get("DCM4CHEE/wado", params={name: value for name, value in asked.items() if value})


def opened(answer: httpx.Response) -> Image.Image:
    assert answer.status_code == 200, answer.text
    return Image.open(BytesIO(answer.content))


def test_default_is_by_object(wado: httpx.Client) -> None:
    assert opened(ask(wado)).format == "JPEG"
    several = ask(wado, 2)
    assert (several.status_code, several.headers["content-type"]) == (200, "application/dicom")
    assert dcmread(BytesIO(several.content)).NumberOfFrames == 2
    assert ask(wado, 3).headers["content-type"] == "text/html; charset=utf-8"


def test_object_as_dicom(wado: httpx.Client) -> None:
    answer = ask(wado, 2, contentType="application/dicom")
    ds = dcmread(BytesIO(answer.content))
    assert (answer.headers["content-type"], ds.file_meta.TransferSyntaxUID) == ("application/dicom", EXPLICIT)
    assert (ds.SOPInstanceUID, ds.PatientName) == (f"{STUDY}.2.1", "Miller^Ann")
    as_stored = ask(wado, 2, contentType="application/dicom", transferSyntax=RLE)
    assert dcmread(BytesIO(as_stored.content)).file_meta.TransferSyntaxUID == RLE
    refused = ask(wado, 1, contentType="application/dicom", transferSyntax=RLE)
    assert (refused.status_code, RLE in refused.text or EXPLICIT in refused.text) == (406, True)


def test_one_object_stands_for_a_study(wado: httpx.Client) -> None:
    assert opened(ask(wado, 0)).size == (128, 128)
    answer = ask(wado, 0, contentType="application/dicom", seriesUID=f"{STUDY}.2")
    assert dcmread(BytesIO(answer.content)).SOPInstanceUID == f"{STUDY}.2.1"


def test_pictures(wado: httpx.Client) -> None:
    assert opened(ask(wado, 2, contentType="image/png", frameNumber="2")).size == (100, 100)
    assert opened(ask(wado, 2, contentType="image/png")).size == (100, 100)
    assert opened(ask(wado, contentType="image/webp, image/gif")).format == "GIF"
    assert opened(ask(wado, contentType="image/png", rows="64")).size == (64, 64)
    assert opened(ask(wado, contentType="image/png", rows="64", columns="32")).size == (32, 32)
    assert opened(ask(wado, contentType="image/png", region="0,0,0.5,1")).size == (64, 128)
    low, high = (ask(wado, imageQuality=quality).content for quality in ("1", "100"))
    assert len(low) < len(high)
    ds = read_sample("CT_small.dcm")
    found = opened(ask(wado, contentType="image/png", windowCenter="40", windowWidth="400"))
    values = ds.pixel_array.astype(float) * ds.RescaleSlope + ds.RescaleIntercept
    expected = numpy.clip((values - 39.5) / 399 + 0.5, 0, 1) * 255
    assert numpy.abs(expected - numpy.asarray(found)).max() <= 0.51


@pytest.mark.parametrize(
    ("more", "status", "named"),
    [
        ({"requestType": ""}, 400, "requestType"),
        ({"studyUID": ""}, 400, "studyUID"),
        ({"seriesUID": ""}, 400, "seriesUID"),
        ({"objectUID": "1.x"}, 400, "object"),
        ({"anonymize": "yes"}, 400, "anonymize"),
        ({"annotation": "patient"}, 400, "annotation"),
        ({"presentationUID": "1.2"}, 400, "presentationUID"),
        ({"charset": "ISO-8859-1"}, 400, "charset"),
        ({"rows": "0"}, 400, "rows"),
        ({"region": "0,0,2,1"}, 400, "region"),
        ({"windowCenter": "1"}, 400, "windowWidth"),
        ({"imageQuality": "0"}, 400, "imageQuality"),
        ({"frameNumber": "0"}, 400, "frameNumber"),
        ({"transferSyntax": RLE}, 400, "transferSyntax"),
        ({"contentType": "application/dicom", "rows": "9"}, 400, "rows"),
        ({"contentType": "video/mpeg"}, 406, "contentType"),
        ({"contentType": "application/pdf"}, 406, "expected"),
        ({"contentType": "image/png", "frameNumber": "2"}, 404, "no such"),
        ({"objectUID": "1.2.3", "contentType": "application/dicom"}, 404, "no such"),
    ],
)
def test_what_is_refused_is_named(wado: httpx.Client, more: dict[str, str], status: int, named: str) -> None:
    refused = ask(wado, **more)
    assert (refused.status_code, named in refused.json()["errorMessage"]) == (status, True), refused.text


def test_unknown_ae_and_study(wado: httpx.Client) -> None:
    assert wado.get("NOBODY/wado", params={"requestType": "WADO", "studyUID": STUDY}).status_code == 404
    assert wado.get("DCM4CHEE/wado", params={"requestType": "WADO", "studyUID": "1.2.3"}).status_code == 404
