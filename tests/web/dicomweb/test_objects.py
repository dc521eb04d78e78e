"""WADO-RS of objects stored here: what comes as which part, and what does not come."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import httpx
import pytest
from dicomweb_client.api import DICOMwebClient
from pydicom import dcmread

from dcm4py_leading.service.dicomweb.objects import DEFAULT, accepted_for
from dcm4py_leading.web.app import create_app
from tests.fixtures.datasets import make_study
from tests.fixtures.http import served
from tests.fixtures.multipart import parts_of
from tests.fixtures.part10 import start_and_syntax
from tests.fixtures.scu import store
from tests.fixtures.service import Seed

STUDY = "1.2.826.0.1.3680043.8.498.71"
MIXED = f"{STUDY}.9"
"""A study of several transfer syntaxes."""
SOURCES = ("MR_small_implicit.dcm", "MR_small.dcm", "MR_small_RLE.dcm", "JPGExtended.dcm")
IMPLICIT, EXPLICIT, RLE, EXTENDED = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.51",
)
MPEG2 = "1.2.840.10008.1.2.4.100"
AS_STORED = {"Accept": 'multipart/related;type="application/dicom";transfer-syntax=*'}


@pytest.fixture(scope="module")
def mixed(archive: Seed, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Study Instance UID of one of four instances, each in another transfer syntax."""
    files = make_study(
        tmp_path_factory.mktemp("mixed"),
        patient_id="P9",
        patient_name="A^B",
        study_uid=MIXED,
        instances=4,
        sources=SOURCES,
    )
    assert store(archive.archive_port, files) == [0x0000] * 4
    return MIXED


def stored(archive: Seed, study: str) -> dict[str, bytes]:
    """Data sets of a study's files in the storage, by transfer syntax and SOP Instance UID."""
    found = {}
    for path in archive.objects:
        content = path.read_bytes()
        if study.encode() in content:
            start, syntax = start_and_syntax(content)
            found[f"{syntax} {path.name}"] = content[start:]
    return found


def test_study_comes_as_stored(archive: Seed, http: httpx.Client) -> None:
    answer = http.get(f"studies/{STUDY}.1", headers=AS_STORED)
    assert answer.status_code == 200
    assert "content-length" not in answer.headers and answer.headers["transfer-encoding"] == "chunked"
    assert sorted(part.data_set for part in parts_of(answer)) == sorted(stored(archive, f"{STUDY}.1").values())


def test_series_and_instance(http: httpx.Client) -> None:
    row = http.get(f"studies/{STUDY}.0/instances?limit=1").json()[0]
    series, instance = row["0020000E"]["Value"][0], row["00080018"]["Value"][0]
    assert len(parts_of(http.get(f"studies/{STUDY}.0/series/{series}"))) == 2
    (part,) = parts_of(http.get(row["00081190"]["Value"][0]))
    assert instance.encode() in part.data_set
    other = http.get(f"studies/{STUDY}.1/series/{series}/instances/{instance}")
    assert (other.status_code, "no such objects" in other.text) == (404, True)


@pytest.mark.parametrize(
    ("accept", "status", "syntaxes"),
    [
        (None, 200, [EXPLICIT] * 4),
        ("*/*", 200, [EXPLICIT] * 4),
        ("multipart/related; type=application/dicom", 200, [EXPLICIT] * 4),
        ("multipart/related; type=application/dicom; transfer-syntax=*", 200, [IMPLICIT, EXPLICIT, RLE, EXTENDED]),
        (f"multipart/related; type=application/dicom; transfer-syntax={IMPLICIT}", 200, [IMPLICIT] * 4),
        (
            f"multipart/related; type=application/dicom; transfer-syntax={RLE}, "
            f"multipart/related; type=application/dicom; transfer-syntax={EXPLICIT}",
            200,
            [EXPLICIT, EXPLICIT, RLE, EXPLICIT],
        ),
        (f"multipart/related; type=application/dicom; transfer-syntax={RLE}", 206, [RLE]),
        (f"multipart/related; type=application/dicom; transfer-syntax={MPEG2}", 406, []),
        ("image/jpeg", 406, []),
    ],
)
def test_transfer_syntax_by_accept(
    http: httpx.Client, mixed: str, accept: str | None, status: int, syntaxes: list[str]
) -> None:
    request = http.build_request("GET", f"studies/{mixed}")
    del request.headers["accept"]
    if accept is not None:
        request.headers["accept"] = accept
    answer = http.send(request)
    assert answer.status_code == status, answer.text
    if status == 406:
        assert "Accept" in answer.json()["errorMessage"]
        return
    parts = parts_of(answer)
    assert sorted(start_and_syntax(part.content)[1] for part in parts) == sorted(syntaxes)
    assert all(part.data_set for part in parts)
    assert ("warning" in answer.headers) == (status == 206)
    if status == 206:
        assert "3 objects are left out" in answer.headers["warning"]


def test_video_leaves_as_it_is_where_nothing_is_said() -> None:
    assert accepted_for(MPEG2, [DEFAULT]) == (MPEG2,)
    assert accepted_for(RLE, [DEFAULT]) == (EXPLICIT,)


@pytest.mark.parametrize("path", ["studies/1.2.x", f"studies/{STUDY}.0/series/abc", f"studies/{'1.' * 40}1"])
def test_malformed_uid_is_refused(http: httpx.Client, path: str) -> None:
    answer = http.get(path)
    assert (answer.status_code, "no UID" in answer.json()["errorMessage"]) == (400, True)


def test_nothing_found(http: httpx.Client) -> None:
    assert http.get("studies/1.2.3").status_code == 404
    assert http.get(str(http.base_url.join("/dcm4chee-arc/aets/NOBODY/rs/studies/1.2.3"))).status_code == 404


def test_other_client_reads_it(http: httpx.Client, mixed: str) -> None:
    client = DICOMwebClient(url=str(http.base_url).rstrip("/"))
    found = client.retrieve_study(mixed)
    assert {str(ds.file_meta.TransferSyntaxUID) for ds in found} == {EXPLICIT}
    assert {ds.PatientID for ds in found} == {"P9"}


def test_one_line_tells_of_it(http: httpx.Client, mixed: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert http.get(f"studies/{mixed}").status_code == 200
        assert http.get("studies/1.2.3").status_code == 404
    lines = [record.message for record in caplog.records if record.message.startswith("WADO-RS")]
    assert "matches=4 completed=4 failed=0 transcoded=3" in lines[0] and "status=0x0000" in lines[0]
    assert "matches=0" in lines[1]
    assert not any(MIXED in line or "P9" in line for line in lines)


# -- what fails ---------------------------------------------------------------------------------------------------


@pytest.fixture
def own(seed: Seed, tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of an archive of its own with one study."""
    seed.start()
    files = make_study(tmp_path / "s", patient_id="P", patient_name="A^B", study_uid=STUDY, instances=3)
    assert store(seed.archive_port, files) == [0x0000] * 3
    with served(app=create_app(seed.service)) as client:
        client.base_url = client.base_url.join("/dcm4chee-arc/aets/DCM4CHEE/rs/")
        yield client


def test_file_that_is_gone_ends_the_connection(seed: Seed, own: httpx.Client) -> None:
    *_, last = parts_of(own.get(f"studies/{STUDY}", headers=AS_STORED))
    (file,) = [path for path in seed.objects if last.data_set in path.read_bytes()]
    file.unlink()
    with pytest.raises(httpx.RemoteProtocolError):
        own.get(f"studies/{STUDY}", headers=AS_STORED)


def test_nothing_can_be_read(seed: Seed, own: httpx.Client) -> None:
    for path in seed.objects:
        path.write_bytes(b"x")
    answer = own.get(f"studies/{STUDY}")
    assert answer.status_code == 503
    assert "stored object" in answer.json()["errorMessage"]


@pytest.mark.parametrize(
    "accept",
    (
        "application/zip; transfer-syntax=*",
        'application/xml, application/zip;transfer-syntax=*, multipart/related; type="application/dicom"',
    ),
)
def test_zip_has_the_same_files(http: httpx.Client, accept: str) -> None:
    parts = http.get(f"studies/{STUDY}.1", headers=AS_STORED)
    answer = http.get(f"studies/{STUDY}.1", headers={"Accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    with ZipFile(BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        files = [archive.read(name) for name in archive.namelist()]
    assert len(files) == 4
    assert all(file in parts.content for file in files)
    assert http.get(f"studies/{STUDY}.1?dicomdir=true", headers={"Accept": accept}).status_code == 400


def test_cut_zip_is_no_zip(seed: Seed, tmp_path: Path) -> None:
    seed.start()
    files = make_study(tmp_path / "s", patient_id="P", patient_name="A^B", study_uid=STUDY, instances=3)
    assert store(seed.archive_port, files) == [0x0000] * 3
    with served(app=create_app(seed.service)) as own:
        path = f"/dcm4chee-arc/aets/DCM4CHEE/rs/studies/{STUDY}"
        parts = own.get(path).content
        max(seed.objects, key=lambda file: parts.index(dcmread(file).SOPInstanceUID.encode())).unlink()
        with pytest.raises(httpx.RemoteProtocolError):
            own.get(path, headers={"Accept": "application/zip"})
