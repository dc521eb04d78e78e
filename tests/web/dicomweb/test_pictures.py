"""Rendered objects and thumbnails by WADO-RS: images with their window, reports and documents, and what is neither."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

import httpx
import numpy
import pytest
from dicomweb_client.api import DICOMwebClient
from PIL import Image
from pydicom import Dataset
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, EncapsulatedPDFStorage

from dcm4py_leading.service.dicomweb.objects import Named
from dcm4py_leading.service.dicomweb.rendered import WantedPictures
from dcm4py_leading.service.dicomweb.web_request import WebRequest
from dcm4py_leading.service.picture.decoders import decoders
from dcm4py_leading.service.picture.job import Rendering
from dcm4py_leading.web.app import create_app
from tests.fixtures.datasets import read_sample
from tests.fixtures.http import served
from tests.fixtures.multipart import parts_of
from tests.fixtures.pacs import ScriptedPacs, make_object, sends
from tests.fixtures.proxy import await_rest, stand_in_front_of
from tests.fixtures.scu import store
from tests.fixtures.service import Seed

STUDY = "1.2.826.0.1.3680043.8.498.71.9"
MULTIPART = {"Accept": 'multipart/related; type="image/png"'}
PNG = {"Accept": "image/png"}


def keep(archive: Seed, ds: FileDataset, name: str, *, series: str = "1", instance: str = "1") -> str:
    """Store an object in a study of its own, and return its path."""
    uid = f"{STUDY}.{int.from_bytes(name.encode()[:6], 'big')}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = UID(uid), UID(f"{uid}.{series}")
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(f"{uid}.{series}.{instance}")
    assert store(archive.archive_port, [ds]) == [0x0000]
    return f"studies/{uid}/series/{uid}.{series}/instances/{uid}.{series}.{instance}"


def ramp(**attributes: object) -> FileDataset:
    """An image whose columns have the values from 0 to 255."""
    ds = read_sample("CT_small.dcm")
    for keyword in ("RescaleIntercept", "RescaleSlope", "PixelPaddingValue"):
        delattr(ds, keyword)
    ds.Rows, ds.Columns, ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 4, 256, 8, 8, 7, 0
    ds.PixelData = bytes(range(256)) * 4
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


@pytest.fixture(scope="module")
def ramp_path(archive: Seed) -> str:
    return keep(archive, ramp(), "ramp")


def opened(answer: httpx.Response) -> Image.Image:
    assert answer.status_code == 200, answer.text
    return Image.open(BytesIO(answer.content))


def row(image: Image.Image) -> list[int]:
    return [int(value) for value in numpy.asarray(image)[0]]


def test_types_of_a_picture(http: httpx.Client, ramp_path: str) -> None:
    for accept, expected in (
        ("", "image/jpeg"),
        ("*/*", "image/jpeg"),
        ("text/html, image/png;q=0.5", "image/png"),
        ("image/gif", "image/gif"),
        ("application/dicom+json, image/jpeg", "image/jpeg"),
    ):
        answer = http.get(f"{ramp_path}/rendered", headers={"Accept": accept})
        image = opened(answer)
        assert (answer.headers["content-type"], f"image/{str(image.format).lower()}") == (expected, expected)
        assert image.size == (256, 4)
    refused = http.get(f"{ramp_path}/rendered", headers={"Accept": "image/webp"})
    assert (refused.status_code, "image/jpeg" in refused.text) == (406, True)
    (part,) = parts_of(http.get(f"{ramp_path}/rendered", headers=MULTIPART))
    assert part.media_type == "image/png"


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ("128,256,linear", lambda x: (x - 127.5) / 255 + 0.5),
        ("128,101,LINEAR", lambda x: (x - 127.5) / 100 + 0.5),
        ("128,100,linear-exact", lambda x: (x - 128) / 100 + 0.5),
        ("128,100,sigmoid", lambda x: 1 / (1 + numpy.exp(-4 * (x - 128) / 100))),
        ("64,1,linear", lambda x: (x > 63.5) * 1.0),
    ],
)
def test_window_of_the_client(http: httpx.Client, ramp_path: str, window: str, expected) -> None:
    found = row(opened(http.get(f"{ramp_path}/rendered", params={"window": window}, headers=PNG)))
    told = numpy.clip(expected(numpy.arange(256.0)), 0, 1) * 255
    assert numpy.abs(told - found).max() <= 0.51


def test_window_and_shades_of_the_object(archive: Seed, http: httpx.Client) -> None:
    own = keep(archive, ramp(WindowCenter=["128", "5"], WindowWidth=["101", "5"]), "own")
    found = row(opened(http.get(f"{own}/rendered", headers=PNG)))
    assert (found[77], found[78] > 0, found[178], found[127] // 2) == (0, True, 255, 63)
    inverse = keep(archive, ramp(PhotometricInterpretation="MONOCHROME1"), "inverse")
    found = row(opened(http.get(f"{inverse}/rendered", params={"window": "128,256"}, headers=PNG)))
    assert (found[0], found[255]) == (255, 0)
    table = Dataset()
    table.LUTDescriptor, table.LUTData = [256, 0, 8], bytes(range(255, -1, -1))
    table["LUTData"].VR = "OW"
    lut = ramp(VOILUTSequence=[table])
    found = row(opened(http.get(f"{keep(archive, lut, 'lut')}/rendered", headers=PNG)))
    assert (found[0], found[255]) == (255, 0)


def test_viewport_and_quality(http: httpx.Client, ramp_path: str) -> None:
    def picture(**query: str) -> Image.Image:
        return opened(http.get(f"{ramp_path}/rendered", params={"window": "128,256", **query}, headers=PNG))

    assert picture(viewport="128,128").size == (128, 2)
    assert picture(viewport="512,512").size == (512, 8)
    assert row(picture(viewport="64,4,64,0,64,4"))[::63] == [64, 127]
    assert row(picture(viewport="64,4,64,0,-64,4"))[::63] == [127, 64]
    assert picture(viewport="256,256,,,,").size == (256, 4)
    small, large = (http.get(f"{ramp_path}/rendered", params={"quality": q}).content for q in ("1", "100"))
    assert len(small) < len(large)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"viewport": "64"}, "viewport"),
        ({"viewport": "0,5"}, "viewport"),
        ({"viewport": "5000,5"}, "viewport"),
        ({"viewport": "5,5,0,0,0,9"}, "viewport"),
        ({"window": "1"}, "window"),
        ({"window": "1,0,linear"}, "window"),
        ({"window": "nan,5,linear"}, "window"),
        ({"window": "1,5,cubic"}, "window"),
        ({"quality": "101"}, "quality"),
        ({"annotation": "patient"}, "annotation"),
        ({"iccprofile": "yes"}, "iccprofile"),
    ],
)
def test_wrong_parameters_are_named(http: httpx.Client, ramp_path: str, query: dict[str, str], named: str) -> None:
    refused = http.get(f"{ramp_path}/rendered", params=query)
    assert (refused.status_code, named in refused.json()["errorMessage"]) == (400, True)


def test_region_outside_of_the_image(http: httpx.Client, ramp_path: str) -> None:
    refused = http.get(f"{ramp_path}/rendered", params={"viewport": "9,9,300,0,9,9"})
    assert (refused.status_code, "region" in refused.json()["errorMessage"]) == (406, True)


@pytest.mark.parametrize(
    "name",
    ["examples_palette.dcm", "SC_rgb_rle_2frame.dcm", "examples_ybr_color.dcm", "SC_rgb_jpeg_dcmtk.dcm", "rtdose.dcm"],
)
def test_images_of_many_kinds(archive: Seed, http: httpx.Client, name: str) -> None:
    ds = read_sample(name)
    path = keep(archive, ds, name)
    image = opened(http.get(f"{path}/frames/1/rendered", headers=PNG))
    assert image.size == (ds.Columns, ds.Rows)
    assert image.mode == ("L" if ds.PhotometricInterpretation.startswith("MONOCHROME") else "RGB")


def test_several_images_come_as_parts(archive: Seed, http: httpx.Client) -> None:
    path = keep(archive, read_sample("SC_rgb_rle_2frame.dcm"), "several")
    study = path[: path.index("/series")]
    keep(archive, ramp(), "several", series="2", instance="2")
    keep(archive, read_sample("rtplan.dcm"), "several", series="3")
    assert len(parts_of(http.get(f"{path}/rendered", headers=MULTIPART))) == 2
    assert len(parts_of(http.get(f"{path}/rendered"))) == 2
    refused = http.get(f"{path}/rendered", headers=PNG)
    assert (refused.status_code, "multipart/related" in refused.json()["errorMessage"]) == (406, True)
    assert opened(http.get(f"{path}/frames/2/rendered", headers=PNG)).size == (100, 100)
    some = http.get(f"{path}/frames/1,2,3/rendered", headers=MULTIPART)
    assert (some.status_code, len(parts_of(some))) == (206, 2)
    assert http.get(f"{path}/frames/3/rendered").status_code == 404
    whole = http.get(f"{study}/rendered", headers=MULTIPART)
    assert (whole.status_code, len(parts_of(whole))) == (206, 3)
    plan = f"{study}/series/{study.removeprefix('studies/')}.3"
    assert http.get(f"{plan}/rendered", headers=MULTIPART).status_code == 406
    assert http.get(f"{study}.1/rendered").status_code == 404


def test_report_is_a_page_or_a_text(archive: Seed, http: httpx.Client) -> None:
    ds = read_sample("test-SR.dcm")
    item = Dataset()
    item.ValueType, item.TextValue = "TEXT", "<script>alert(1)</script>"
    ds.ContentSequence.append(item)
    path = keep(archive, ds, "report")
    page = http.get(f"{path}/rendered", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "&lt;script&gt;" in page.text
    assert "<script" not in page.text
    text = http.get(f"{path}/rendered", headers={"Accept": "text/plain"})
    assert (text.headers["content-type"], "<script>" in text.text) == ("text/plain; charset=utf-8", True)
    assert http.get(f"{path}/rendered", headers=PNG).status_code == 406


def test_document_and_what_cannot_be_rendered(archive: Seed, http: httpx.Client) -> None:
    ds = read_sample("CT_small.dcm")
    del ds.PixelData
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = EncapsulatedPDFStorage
    ds.EncapsulatedDocument, ds.EncapsulatedDocumentLength = b"%PDF-1.4 x\0", 10
    path = keep(archive, ds, "pdf")
    answer = http.get(f"{path}/rendered")
    assert (answer.headers["content-type"], answer.content) == ("application/pdf", b"%PDF-1.4 x")
    refused = http.get(f"{path}/rendered", headers=PNG)
    assert (refused.status_code, "application/pdf" in refused.text) == (406, True)
    refused = http.get(f"{keep(archive, read_sample('rtplan.dcm'), 'plan')}/rendered")
    assert (refused.status_code, "RT Plan Storage" in refused.text) == (406, True)


def test_thumbnails(archive: Seed, http: httpx.Client, ramp_path: str) -> None:
    study = ramp_path[: ramp_path.index("/series")]
    series = ramp_path[: ramp_path.index("/instances")]
    for path in (study, series, ramp_path, f"{ramp_path}/frames/1"):
        assert opened(http.get(f"{path}/thumbnail", headers=PNG)).size == (64, 1)
    weasis = http.get(f"{series}/thumbnail?viewport=256%2C256", headers={"Accept": "image/jpeg"})
    assert (weasis.headers["content-type"], opened(weasis).size) == ("image/jpeg", (256, 4))
    assert http.get(f"{ramp_path}/frames/2/thumbnail").status_code == 404
    assert http.get(f"{study}.1/thumbnail").status_code == 404
    assert http.get(f"{study}/thumbnail", headers={"Accept": "text/html"}).status_code == 406


def test_thumbnail_of_what_is_no_image_says_so(archive: Seed, http: httpx.Client) -> None:
    report = keep(archive, read_sample("test-SR.dcm"), "words")
    image = opened(http.get(f"{report}/thumbnail", headers=PNG))
    assert (image.size, int(numpy.asarray(image).max()) > 128) == ((64, 64), True)
    # Of the study it is the image, although it came later.
    keep(archive, ramp(), "words", series="2", instance="2")
    study = report[: report.index("/series")]
    assert opened(http.get(f"{study}/thumbnail", headers=PNG)).size == (64, 1)
    broken = read_sample("JPEG2000.dcm")
    broken.PixelData = encapsulate([b"\xff\x4f\xff\x51" + bytes(60)])
    unknown = keep(archive, broken, "unknown")
    assert opened(http.get(f"{unknown}/thumbnail", headers=PNG)).size == (64, 64)
    assert http.get(f"{unknown}/rendered").status_code == 406


def test_too_many_at_once_are_refused(http: httpx.Client, ramp_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(decoders(), "_most", 0)
        patch.setattr(decoders(), "_most_waiting", 0)
        for path in ("rendered", "thumbnail", "frames/1/rendered"):
            refused = http.get(f"{ramp_path}/{path}")
            assert (refused.status_code, "too many images" in refused.json()["errorMessage"]) == (503, True)
    assert http.get(f"{ramp_path}/rendered").status_code == 200


def test_other_client_gets_pictures(http: httpx.Client, ramp_path: str) -> None:
    study, series, instance = ramp_path.split("/")[1::2]
    client = DICOMwebClient(url=str(http.base_url).rstrip("/"))
    for found in (
        client.retrieve_instance_rendered(study, series, instance, media_types=("image/png",)),
        client.retrieve_instance_frames_rendered(study, series, instance, [1], media_types=("image/png",)),
    ):
        assert Image.open(BytesIO(found)).size == (256, 4)


@pytest.fixture
def pacs(seed: Seed) -> Iterator[httpx.Client]:
    """An AE in front of a PACS with one image."""
    ds = make_object(STUDY, 1, Rows=2, Columns=2, BitsAllocated=8, SamplesPerPixel=1, size=4)
    ds.PhotometricInterpretation, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = "MONOCHROME2", 8, 7, 0
    ds.PixelData = bytes([0, 100, 200, 255])
    ds["PixelData"].VR = "OW"
    pacs = ScriptedPacs(seed.archive_port, move=sends([ds]))
    stand_in_front_of(seed, pacs.port)
    try:
        with served(app=create_app(seed.start())) as client:
            client.base_url = client.base_url.join("/dcm4chee-arc/aets/DCM4CHEE/rs/")
            client.timeout = httpx.Timeout(60)
            yield client
            await_rest(seed)
    finally:
        pacs.stop()


def test_pictures_of_another_archive(pacs: httpx.Client) -> None:
    path = f"studies/{STUDY}/series/{STUDY}.1/instances/{STUDY}.1.1"
    image = opened(pacs.get(f"{path}/rendered", params={"window": "128,256"}, headers=PNG))
    assert numpy.asarray(image).tolist() == [[0, 100], [200, 255]]
    assert opened(pacs.get(f"{path}/thumbnail", headers=PNG)).size == (2, 2)
    (part,) = parts_of(pacs.get(f"studies/{STUDY}/rendered", headers=MULTIPART))
    assert part.media_type == "image/png"


def test_question_passes_as_json() -> None:
    request = WebRequest(ae_title="A", client="127.0.0.1", user="", base_url="https://x/rs")
    wanted = WantedPictures(
        named=Named(request=request, uids=("1.2",)),
        accepted=(("image/png", True),),
        rendering=Rendering(),
        boundary="b",
        frames=(1, 2),
        is_thumbnail=True,
    )
    assert WantedPictures.from_json(wanted.to_json()) == wanted
