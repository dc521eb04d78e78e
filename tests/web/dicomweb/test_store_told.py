"""STOW-RS of attributes as JSON, and bulk data in parts of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pydicom
import pytest
from pydicom import Dataset
from pydicom.dataset import FileDataset
from pydicom.encaps import generate_frames

from dcm4py_leading.service.dicomweb import bulk_data
from dcm4py_leading.web.app import create_app
from tests.fixtures.datasets import read_sample
from tests.fixtures.http import served
from tests.fixtures.service import Seed
from tests.fixtures.stow import BOUNDARY, chunked, failed, failed_otherwise, part, post, stored, whole

STUDIES = "/dcm4chee-arc/aets/DCM4CHEE/rs/studies"
MULTIPART = f'multipart/related; type="application/dicom+json"; boundary={BOUNDARY}'
OCTETS = "application/octet-stream"
URI = "http://elsewhere/bulk/1"


@pytest.fixture
def http(seed: Seed) -> Iterator[httpx.Client]:
    with served(app=create_app(seed.start())) as client:
        yield client


def told(ds: FileDataset, uri: str = URI) -> dict[str, Any]:
    """The attributes, with a URI for the pixel data."""
    plain = Dataset({tag: ds[tag] for tag in ds.keys() if tag != 0x7FE00010})
    return {**plain.to_json_dict(), "7FE00010": {"vr": "OW", "BulkDataURI": uri}}


def metadata(*objects: Any) -> bytes:
    return part(json.dumps(objects).encode(), "application/dicom+json")


def frames_of(ds: FileDataset) -> Sequence[bytes]:
    return list(generate_frames(ds.PixelData, number_of_frames=int(ds.get("NumberOfFrames", 1))))


def test_sequence_longer_than_an_element_can_be_is_refused(seed: Seed, http: httpx.Client) -> None:
    ds = read_sample("CT_small.dcm")
    long = {"00081140": {"vr": "SQ", "Value": [{"00420011": {"vr": "OB", "BulkDataURI": URI}}] * 130}}
    body = whole([metadata({**told(ds), **long}), part(bytes(1 << 25), OCTETS, URI)])
    answer = post(http, STUDIES, chunked(body), MULTIPART)
    assert (answer.status_code, failed(answer)) == (409, {ds.SOPInstanceUID: 0xC000}), answer.text
    assert not seed.objects


def test_native_pixels_from_a_part(seed: Seed, http: httpx.Client) -> None:
    ds = read_sample("CT_small.dcm")
    body = whole([metadata(told(ds)), part(ds.PixelData, OCTETS, URI)])
    answer = post(http, f"{STUDIES}/{ds.StudyInstanceUID}", chunked(body), MULTIPART)
    assert (answer.status_code, stored(answer)) == (200, [ds.SOPInstanceUID]), answer.text
    (path,) = seed.objects
    got = pydicom.dcmread(path)
    ds.SpecificCharacterSet = "ISO_IR 192"
    assert got.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert got.to_json_dict() == ds.to_json_dict()


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("SC_rgb_rle_2frame.dcm", "image/dicom-rle"),
        ("MR_small_jp2klossless.dcm", "image/jp2"),
        ("SC_rgb_jpeg_dcmtk.dcm", 'image/jpeg; transfer-syntax="1.2.840.10008.1.2.4.50"'),
    ],
)
def test_compressed_frames_from_parts(seed: Seed, http: httpx.Client, name: str, media_type: str) -> None:
    ds = read_sample(name)
    body = whole([metadata(told(ds)), *(part(frame, media_type, URI) for frame in frames_of(ds))])
    answer = post(http, STUDIES, body, MULTIPART)
    assert (answer.status_code, stored(answer)) == (200, [ds.SOPInstanceUID]), answer.text
    (path,) = seed.objects
    got = pydicom.dcmread(path)
    assert got.file_meta.TransferSyntaxUID == ds.file_meta.TransferSyntaxUID
    assert frames_of(got) == frames_of(ds)


def test_some_objects_of_a_request_fail(seed: Seed, http: httpx.Client) -> None:
    ds = read_sample("CT_small.dcm")
    here, nowhere, odd, nameless = (told(ds) for _ in range(4))
    nowhere["7FE00010"]["BulkDataURI"] = "http://127.0.0.1/nowhere"
    nowhere["00080018"]["Value"] = ["1.2.3"]
    odd["00080018"]["Value"] = ["1.2.4"]
    odd["00280010"]["Value"] = ["many"]
    del nameless["00080018"]
    body = whole([part(ds.PixelData, OCTETS, URI), metadata(here, nowhere), metadata(odd, nameless, [])])
    answer = post(http, STUDIES, body, MULTIPART)
    assert (answer.status_code, stored(answer)) == (202, [ds.SOPInstanceUID])
    assert failed(answer) == {"1.2.3": 0xC000, "1.2.4": 0xC000}
    assert failed_otherwise(answer) == [0xC000, 0xC000]
    assert len(seed.objects) == 1


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (whole([part(b"{", "application/dicom+json")]), 400, "part 1: it is no JSON"),
        (whole([part(b"[" * 100_000, "application/dicom+json")]), 400, "part 1: it is no JSON"),
        (whole([part(b"x", OCTETS)]), 400, "part 1: bulk data has no Content-Location"),
        (whole([part(b"x", OCTETS, URI)]), 400, "the body has no objects"),
        (whole([metadata(*[{}] * 11)]), 413, "part 1: the JSON has more than 10 objects"),
        (whole([part(b" " * 5001, "application/dicom+json")]), 413, "part 1: the JSON is longer than 5000 bytes"),
    ],
)
def test_what_cannot_be_read(
    http: httpx.Client, monkeypatch: pytest.MonkeyPatch, body: bytes, status: int, reason: str
) -> None:
    monkeypatch.setattr(bulk_data, "STORED_JSON_BYTES", max(5000, len(body) * (status == 400)))
    monkeypatch.setattr(bulk_data, "STORED_PARTS", 10)
    answer = post(http, STUDIES, body, MULTIPART)
    assert (answer.status_code, answer.json()["errorMessage"].startswith(reason)) == (status, True), answer.text


@pytest.mark.parametrize(
    ("parts", "transfer_syntax"),
    [
        ([part(b"12", "image/png", URI)], ""),
        ([part(b"12", "image/jp2", URI), part(b"12", "image/jls", URI)], ""),
        ([part(b"12", f'{OCTETS}; transfer-syntax="1.2.840.10008.1.2.2"', URI)], ""),
        ([part(b"12", OCTETS, URI), part(b"x", OCTETS, "other"), part(b"12", OCTETS, URI)], ""),
        ([part(b"12", f"{OCTETS}; transfer-syntax=1.2.840.10008.1.2", URI)], "1.2.840.10008.1.2.1"),
        ([part(b"12", OCTETS, URI), part(b"34", OCTETS, URI)], "1.2.840.10008.1.2.1"),
    ],
)
def test_transfer_syntax_is_certain(
    seed: Seed, http: httpx.Client, parts: Sequence[bytes], transfer_syntax: str
) -> None:
    ds = read_sample("CT_small.dcm")
    answer = post(http, STUDIES, whole([metadata(told(ds)), *parts]), MULTIPART)
    found = [pydicom.dcmread(path).file_meta.TransferSyntaxUID for path in seed.objects]
    assert (answer.status_code, found) == ((200, [transfer_syntax]) if transfer_syntax else (409, []))


def test_without_bulk_data_json_is_enough(seed: Seed, http: httpx.Client) -> None:
    ds = read_sample("reportsi.dcm")
    answer = post(http, STUDIES, json.dumps([ds.to_json_dict()]).encode(), "application/dicom+json")
    assert (answer.status_code, stored(answer)) == (200, [ds.SOPInstanceUID]), answer.text
