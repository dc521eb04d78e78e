"""Frames and bulk data by WADO-RS: native ones by their length, compressed ones as stored or decompressed."""

from __future__ import annotations

import httpx
import pytest
from dicomweb_client.api import DICOMwebClient
from pydicom import Dataset
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.sequence import Sequence
from pydicom.uid import UID
from starlette.requests import Request

from dcm4py_leading.service.dicomweb.frames import WantedValues
from dcm4py_leading.service.dicomweb.objects import Named
from dcm4py_leading.service.dicomweb.web_request import WebRequest
from dcm4py_leading.web.dicomweb.frames import accepted_frames
from dcm4py_leading.web.dicomweb.media_types import accepted_ranges
from tests.fixtures.datasets import read_sample
from tests.fixtures.multipart import parts_of
from tests.fixtures.scu import store
from tests.fixtures.service import Seed

STUDY = "1.2.826.0.1.3680043.8.498.71.8"
EXPLICIT, RLE, EXTENDED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.51"
OHIF = {"Accept": 'multipart/related; type="application/octet-stream"; transfer-syntax="*"'}
OCTETS = {"Accept": "multipart/related; type=application/octet-stream"}


def keep(archive: Seed, ds: FileDataset, name: str) -> str:
    """Store an object in a study of its own, and return its path."""
    uid = f"{STUDY}.{int.from_bytes(name.encode()[:6], 'big')}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = UID(uid), UID(f"{uid}.1")
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(f"{uid}.1.1")
    assert store(archive.archive_port, [ds]) == [0x0000]
    return f"studies/{uid}/series/{uid}.1/instances/{uid}.1.1"


def frames_in(ds: Dataset) -> list[bytes]:
    count = int(ds.get("NumberOfFrames", 1))
    if ds.file_meta.TransferSyntaxUID.is_encapsulated:
        return list(generate_frames(ds.PixelData, number_of_frames=count))
    length = ds.Rows * ds.Columns * ds.SamplesPerPixel * ds.BitsAllocated // 8
    return [ds.PixelData[at : at + length] for at in range(0, length * count, length)]


@pytest.mark.parametrize(
    "name",
    [
        "CT_small.dcm",
        "MR_small_implicit.dcm",
        "rtdose.dcm",
        "image_dfl.dcm",
        "MR_small_RLE.dcm",
        "SC_rgb_rle_2frame.dcm",
        "JPGExtended.dcm",
        "JPEG2000.dcm",
        "examples_ybr_color.dcm",
    ],
)
def test_frames_as_stored(archive: Seed, http: httpx.Client, name: str) -> None:
    ds = read_sample(name)
    syntax = ds.file_meta.TransferSyntaxUID
    path = keep(archive, ds, name)
    expected = frames_in(ds)
    numbers = ",".join(map(str, range(len(expected), 0, -1)))
    answer = http.get(f"{path}/frames/{numbers}", headers=OHIF)
    assert answer.status_code == 200, answer.text
    parts = parts_of(answer)
    assert [part.content for part in parts] == expected[::-1]
    told = syntax if syntax.is_encapsulated else EXPLICIT
    assert {part.media_type for part in parts} == {f"application/octet-stream; transfer-syntax={told}"}


def test_frames_are_decompressed_where_octets_are_asked_for(archive: Seed, http: httpx.Client) -> None:
    ds = read_sample("SC_rgb_rle_2frame.dcm")
    path = keep(archive, ds, "decompressed")
    parts = parts_of(http.get(f"{path}/frames/2", headers=OCTETS))
    ds.decompress(generate_instance_uid=False)
    assert [part.content for part in parts] == [frames_in(ds)[1]]
    assert parts[0].media_type == f"application/octet-stream; transfer-syntax={EXPLICIT}"


def test_a_frame_that_no_decoder_survives_is_refused(archive: Seed, http: httpx.Client) -> None:
    ds = read_sample("MR_small_RLE.dcm")
    ds.Rows = ds.Columns = 40_000
    path = keep(archive, ds, "bomb")
    refused = http.get(f"{path}/frames/1", headers=OCTETS)
    assert refused.status_code == 406, refused.text
    assert http.get(f"{path}/frames/1", headers=OHIF).status_code == 200


def test_own_media_type(archive: Seed, http: httpx.Client) -> None:
    path = keep(archive, read_sample("JPGExtended.dcm"), "typed")
    for accept in (
        "multipart/related; type=image/jpeg",
        f'multipart/related; type="image/jpeg; transfer-syntax={EXTENDED}"',
        "*/*",
    ):
        answer = http.get(f"{path}/frames/1", headers={"Accept": accept})
        assert answer.headers["content-type"].startswith('multipart/related; type="image/jpeg"')
        assert parts_of(answer)[0].media_type == f"image/jpeg; transfer-syntax={EXTENDED}"
    refused = http.get(f"{path}/frames/1", headers={"Accept": "multipart/related; type=image/jp2"})
    assert refused.status_code == 406
    assert EXTENDED in refused.json()["errorMessage"]


def test_native_frames_are_not_called_compressed(archive: Seed, http: httpx.Client) -> None:
    path = keep(archive, read_sample("CT_small.dcm"), "native")
    refused = http.get(f"{path}/frames/1", headers={"Accept": "multipart/related; type=image/jpeg"})
    message = refused.json()["errorMessage"]
    assert (refused.status_code, EXPLICIT in message, "compressed" in message) == (406, True, False)


def test_frames_that_are_not_there(archive: Seed, http: httpx.Client) -> None:
    path = keep(archive, read_sample("SC_rgb_rle_2frame.dcm"), "absent")
    some = http.get(f"{path}/frames/2,3", headers=OHIF)
    assert (some.status_code, len(parts_of(some))) == (206, 1)
    assert "1 frames are left out" in some.headers["warning"]
    assert http.get(f"{path}/frames/3", headers=OHIF).status_code == 404
    assert http.get(f"{path}.1/frames/1", headers=OHIF).status_code == 404
    for text in ("0", "x", "1,", "-1", ",".join(["1"] * 10_001)):
        assert http.get(f"{path}/frames/{text}", headers=OHIF).status_code == 400


def test_object_without_pixels_and_short_ones(archive: Seed, http: httpx.Client) -> None:
    assert http.get(f"{keep(archive, read_sample('rtplan.dcm'), 'plan')}/frames/1").status_code == 406
    ds = read_sample("CT_small.dcm")
    ds.NumberOfFrames = 2
    answer = http.get(f"{keep(archive, ds, 'short')}/frames/1")
    assert (answer.status_code, "too few" in answer.text) == (406, True)


def test_fragments_by_offset_table_alone(archive: Seed, http: httpx.Client) -> None:
    ds = read_sample("SC_rgb_rle_2frame.dcm")
    frames = frames_in(ds)
    ds.PixelData = encapsulate(frames, fragments_per_frame=2, has_bot=True)
    parts = parts_of(http.get(f"{keep(archive, ds, 'table')}/frames/1,2", headers=OHIF))
    assert [part.content for part in parts] == frames
    ds = read_sample("SC_rgb_rle_2frame.dcm")
    ds.PixelData = encapsulate(frames, fragments_per_frame=2, has_bot=False)
    answer = http.get(f"{keep(archive, ds, 'no table')}/frames/1,2", headers=OHIF)
    assert (answer.status_code, "cannot be told apart" in answer.text) == (406, True)


def test_bulk_data_that_metadata_names(archive: Seed, http: httpx.Client) -> None:
    ds = read_sample("MR_small.dcm")
    first, second = bytes(range(256)) * 5000, bytes(range(255, -1, -1)) * 100
    ds.add_new(0x00420011, "OB", first)
    item = Dataset()
    item.add_new(0x54001010, "OW", second)
    ds.WaveformSequence = Sequence([Dataset(), item])
    path = keep(archive, ds, "bulk")
    (found,) = http.get(f"{path}/metadata").json()
    for member, expected in (
        (found["00420011"], first),
        (found["54000100"]["Value"][1]["54001010"], second),
        (found["7FE00010"], ds.PixelData),
    ):
        (part,) = parts_of(http.get(member["BulkDataURI"], headers=OCTETS))
        assert part.content == expected
    assert http.get(f"{path}/bulkdata/00420010").status_code == 404
    assert http.get(f"{path}/bulkdata/54000100/3/54001010").status_code == 404
    assert http.get(f"{path}/bulkdata/7FE00010/1/00100010").status_code == 404
    assert http.get(f"{path}/bulkdata/PixelData").status_code == 400


def test_other_client_reads_frames(archive: Seed, http: httpx.Client) -> None:
    ds = read_sample("SC_rgb_rle_2frame.dcm")
    study, series, instance = keep(archive, ds, "client").split("/")[1::2]
    client = DICOMwebClient(url=str(http.base_url).rstrip("/"))
    found = client.retrieve_instance_frames(study, series, instance, [1, 2], media_types=(("image/dicom-rle", RLE),))
    assert found == frames_in(ds)
    ds.decompress(generate_instance_uid=False)
    assert client.retrieve_instance_frames(
        study, series, instance, [2], media_types=(("application/octet-stream", EXPLICIT),)
    ) == [frames_in(ds)[1]]


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("multipart/related; type=application/octet-stream; transfer-syntax=*", {("*", "application/octet-stream")}),
        ("*/*", {("*", "")}),
        ("multipart/related; type=image/jls", {(f"1.2.840.10008.1.2.4.{n}", "image/jls") for n in (80, 81)}),
        (f"multipart/related; type=image/jp2; transfer-syntax={EXTENDED}", set()),
        ("text/html", set()),
    ],
)
def test_what_is_accepted(accept: str, expected: set[tuple[str, str]]) -> None:
    request = Request({"type": "http", "headers": [(b"accept", accept.encode())], "query_string": b""})
    assert set(accepted_frames(accepted_ranges(request))) == expected


def test_question_passes_as_json() -> None:
    request = WebRequest(ae_title="A", client="127.0.0.1", user="", base_url="https://x/rs")
    wanted = WantedValues(
        named=Named(request=request, uids=("1.2", "1.3", "1.4")), accepted=(("*", ""),), boundary="b", frames=(1, 2)
    )
    assert WantedValues.from_json(wanted.to_json()) == wanted


def test_pixels_are_those_of_the_element_that_is_named(archive: Seed, http: httpx.Client) -> None:
    ds = read_sample("MR_small.dcm")
    pixels = bytes(range(256)) * (ds.Rows * ds.Columns * 4 // 256)
    del ds.PixelData
    ds.BitsAllocated = 32
    ds.add_new(0x7FE00008, "OF", pixels)
    path = keep(archive, ds, "float")
    (part,) = parts_of(http.get(f"{path}/bulkdata/7FE00008"))
    assert part.content == pixels
    for other in ("7FE00009", "7FE00010"):
        assert http.get(f"{path}/bulkdata/{other}").status_code == 404
