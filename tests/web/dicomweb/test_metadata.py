"""Metadata by WADO-RS: all of the objects but their pixels, and URLs for what is long."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from dicomweb_client.api import DICOMwebClient
from pydicom import DataElement, Dataset, dcmread
from pydicom.sequence import Sequence
from pydicom.uid import UID

from dcm4py_leading.model.bounds import METADATA_VALUE_BYTES
from dcm4py_leading.service.retrieve.file_bytes import HEAD
from dcm4py_leading.web.app import create_app
from tests.fixtures.datasets import (
    CHARACTER_SETS,
    COMPRESSED,
    MULTI_FRAME,
    REPORTS,
    UNCOMPRESSED,
    make_study,
    read_sample,
)
from tests.fixtures.http import served
from tests.fixtures.scu import store
from tests.fixtures.service import Seed

STUDY = "1.2.826.0.1.3680043.8.498.71"
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


def metadata(http: httpx.Client, path: str) -> list[dict[str, Any]]:
    answer = http.get(f"{path}/metadata")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/dicom+json"
    found: list[dict[str, Any]] = answer.json()
    return found


def keep(archive: Seed, ds: Dataset, number: int) -> str:
    """Store an object as one of a study of its own, and return the study's UID."""
    ds.StudyInstanceUID = UID(f"{STUDY}.5.{number}")
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(f"{STUDY}.6.{number}")
    assert store(archive.archive_port, [ds]) == [0x0000]
    return str(ds.StudyInstanceUID)


def test_of_study_series_and_instance(http: httpx.Client) -> None:
    whole = metadata(http, f"studies/{STUDY}.1")
    assert len(whole) == 4
    one = whole[0]
    assert one["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Müller^Änne"}]}
    assert list(one) == sorted(one)
    series = f"studies/{STUDY}.1/series/{one['0020000E']['Value'][0]}"
    assert len(metadata(http, series)) == 2
    assert metadata(http, f"{series}/instances/{one['00080018']['Value'][0]}") == [one]
    base = f"{str(http.base_url).rstrip('/')}/{series}/instances/{one['00080018']['Value'][0]}"
    assert one["7FE00010"] == {"vr": "OW", "BulkDataURI": f"{base}/bulkdata/7FE00010"}


def test_statuses(http: httpx.Client) -> None:
    assert http.get("studies/1.2.3/metadata").status_code == 404
    assert http.get("studies/1.x/metadata").status_code == 400
    refused = http.get(f"studies/{STUDY}.1/metadata", headers={"Accept": "image/png"})
    assert refused.status_code == 406
    of_ohif = "application/dicom+json, multipart/related; type=application/octet-stream"
    assert http.get(f"studies/{STUDY}.1/metadata", headers={"Accept": of_ohif}).status_code == 200
    assert (
        http.get(f"studies/{STUDY}.1/metadata", headers={"Accept-Encoding": "gzip"}).headers["content-encoding"]
        == "gzip"
    )


SAMPLES = [
    *(name for name in UNCOMPRESSED if "bigendian" not in name),
    *COMPRESSED,
    *MULTI_FRAME,
    *REPORTS,
    "rtplan.dcm",
    "rtstruct.dcm",
    *CHARACTER_SETS[:6],
]


@pytest.mark.parametrize(("number", "name"), list(enumerate(SAMPLES)))
def test_values_are_those_of_the_object(archive: Seed, http: httpx.Client, number: int, name: str) -> None:
    ds = read_sample(name)
    if "SeriesInstanceUID" not in ds:
        ds.SeriesInstanceUID = f"{STUDY}.7"
    study = keep(archive, ds, number)
    ds.decode()
    (found,) = metadata(http, f"studies/{study}")
    urls = [member["BulkDataURI"] for member in found.values() if "BulkDataURI" in member]
    read = Dataset.from_json(json.dumps(found), lambda _tag, _vr, _url: b"")
    for element in ds:
        if element.tag >= 0x7FE00008 or element.tag.element == 0:
            continue
        if element.keyword == "SpecificCharacterSet":
            assert read.SpecificCharacterSet == "ISO_IR 192"
        elif element.VR not in ("OB", "OW", "UN", "SQ") and element.value not in (None, ""):
            assert _comparable(read[element.tag]) == _comparable(element), element.tag
    told = {element.tag for element in ds if element.tag.element and element.tag <= 0x7FE00010}
    assert told == {element.tag for element in read}
    assert bool(urls) == any(keyword in ds for keyword in PIXELS)


def _comparable(element: DataElement) -> list[Any]:
    values = [element.value] if element.VM == 1 else list(element.value)
    return [float(value) if element.VR in ("DS", "FL", "FD") else str(value).rstrip() for value in values]


def test_long_values_have_urls_also_in_items(archive: Seed, http: httpx.Client) -> None:
    ds = read_sample("MR_small.dcm")
    ds.add_new(0x00420011, "OB", bytes(METADATA_VALUE_BYTES + 2))
    ds.add_new(0x00091001, "UN", bytes(METADATA_VALUE_BYTES))
    item = Dataset()
    item.add_new(0x54001010, "OW", bytes(METADATA_VALUE_BYTES + 2))
    ds.WaveformSequence = Sequence([Dataset(), item])
    (found,) = metadata(http, f"studies/{keep(archive, ds, 100)}")
    assert found["00420011"]["BulkDataURI"].endswith("/bulkdata/00420011")
    assert "InlineBinary" in found["00091001"]
    assert found["54000100"]["Value"][1]["54001010"]["BulkDataURI"].endswith("/bulkdata/54000100/2/54001010")


@pytest.mark.parametrize("implicit", [False, True])
def test_what_stands_behind_the_head_of_the_file(archive: Seed, http: httpx.Client, implicit: bool) -> None:
    ds = read_sample("MR_small_implicit.dcm" if implicit else "MR_small.dcm")
    ds.add_new(0x00420011, "OB", bytes(1 << 20))
    ds.StorageMediaFileSetUID = "1.2.3"
    ds.PixelData = bytes(16 << 20)
    ds.Rows = ds.Columns = 2048
    ds.NumberOfFrames = 2
    study = keep(archive, ds, 101 + implicit)
    before = _read_by_process()
    (found,) = metadata(http, f"studies/{study}")
    assert _read_by_process() - before < 8 * HEAD
    assert found["00420011"]["BulkDataURI"] and found["7FE00010"]["BulkDataURI"]
    assert found["00880140"]["Value"] == ["1.2.3"]


def _read_by_process() -> int:
    """Octets that this process, with the service in it, has read until now."""
    counts = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(counts["rchar"])


def test_long_sequence_behind_the_head_of_the_file(archive: Seed, http: httpx.Client) -> None:
    ds = read_sample("MR_small.dcm")
    items = []
    for number in range(3000):
        item = Dataset()
        item.ImageComments = f"frame {number} " + "x" * 40
        items.append(item)
    ds.PerFrameFunctionalGroupsSequence = Sequence(items)
    (found,) = metadata(http, f"studies/{keep(archive, ds, 110)}")
    assert len(found["52009230"]["Value"]) == 3000


def test_other_client_reads_it(http: httpx.Client) -> None:
    client = DICOMwebClient(url=str(http.base_url).rstrip("/"))
    found = client.retrieve_study_metadata(f"{STUDY}.2")
    assert {Dataset.from_json(one, lambda *_: b"").PatientID for one in found} == {"P2"}


def test_file_that_is_gone_ends_the_connection(seed: Seed, tmp_path: Path) -> None:
    seed.start()
    files = make_study(tmp_path / "s", patient_id="P", patient_name="A^B", study_uid=STUDY, instances=3)
    assert store(seed.archive_port, files) == [0x0000] * 3
    with served(app=create_app(seed.service)) as own:
        path = f"/dcm4chee-arc/aets/DCM4CHEE/rs/studies/{STUDY}"
        parts = own.get(path).content
        max(seed.objects, key=lambda file: parts.index(dcmread(file).SOPInstanceUID.encode())).unlink()
        with pytest.raises(httpx.RemoteProtocolError):
            own.get(f"{path}/metadata")
