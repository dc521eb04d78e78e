"""STOW-RS into the archive."""

from __future__ import annotations

import socket
import warnings
from collections.abc import Iterator
from pathlib import Path

import httpx
import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient
from pydicom.uid import UID, generate_uid

from dcm4py_leading.log import ref
from dcm4py_leading.web.app import create_app
from tests.fixtures.datasets import data_set_of, make_instance, make_study
from tests.fixtures.http import served
from tests.fixtures.scu import get, identifier, store
from tests.fixtures.service import DEVICE, Seed
from tests.fixtures.stow import MULTIPART, chunked, failed, failed_otherwise, multipart, part, post, stored, warned
from tests.fixtures.workers import until

STUDY = "1.2.826.0.1.3680043.8.498.77"
RS = "/dcm4chee-arc/aets/DCM4CHEE/rs"
STUDIES = f"{RS}/studies"


@pytest.fixture
def http(seed: Seed) -> Iterator[httpx.Client]:
    """A client of an archive with nothing in it."""
    with served(app=create_app(seed.start())) as client:
        yield client


def study(directory: Path, instances: int = 3, **settings: object) -> list[Path]:
    return make_study(
        directory,
        patient_id="P",
        patient_name="Roe^Jane",
        study_uid=STUDY,
        instances=instances,
        **settings,  # type: ignore[arg-type]
    )


def uid(number: int) -> str:
    """SOP Instance UID of an object of `study`."""
    return str(generate_uid(entropy_srcs=[STUDY, "1", str(number)]))


def test_object_is_the_one_that_a_c_store_would_have_stored(seed: Seed, http: httpx.Client, tmp_path: Path) -> None:
    files = study(tmp_path / "s")
    assert store(seed.archive_port, files) == [0x0000] * 3
    by_dimse = {data_set_of(path) for path in seed.objects}
    answer = post(http, STUDIES, chunked(multipart(files)))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/dicom+json")
    assert stored(answer) == [uid(number) for number in (1, 2, 3)]
    assert warned(answer) == [0, 0, 0]
    assert {data_set_of(path) for path in seed.objects} == by_dimse
    assert len(seed.objects) == 3


def test_answer_tells_where_objects_are(http: httpx.Client, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    (file,) = study(tmp_path / "s", 1)
    answer = post(http, f"{STUDIES}/{STUDY}", multipart([file]))
    told = answer.json()
    assert told["00081190"]["Value"] == [str(http.base_url.join(f"{STUDIES}/{STUDY}"))]
    (item,) = told["00081199"]["Value"]
    (url,) = item["00081190"]["Value"]
    assert item["00081150"]["Value"] == [pydicom.dcmread(file).SOPClassUID]
    with httpx.Client(trust_env=False) as anybody:
        got = anybody.get(url, headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'})
    assert data_set_of(file) in got.content
    (line,) = [line for line in caplog.messages if line.startswith("STOW-RS")]
    assert f"to=DCM4CHEE status=0x0000 study={ref(STUDY)} stored=new" in line
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("dcm4py_leading")]
    assert not any("Roe" in line or STUDY in line for line in ours)
    metrics = http.get("/metrics").text
    assert 'dcm4py_requests_total{ae="DCM4CHEE",service="STOW-RS",status="0x0000"} 1' in metrics


def test_client_of_python_stores(seed: Seed, http: httpx.Client, tmp_path: Path) -> None:
    client = DICOMwebClient(str(http.base_url).rstrip("/") + RS)
    client._session.trust_env = False
    datasets = [pydicom.dcmread(file) for file in study(tmp_path / "s")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        told = client.store_instances(datasets)
    assert [item.ReferencedSOPInstanceUID for item in told.ReferencedSOPSequence] == [uid(1), uid(2), uid(3)]
    assert len(get(seed.archive_port, identifier("STUDY", StudyInstanceUID=STUDY))[1]) == 3


def test_duplicate_is_a_success_as_by_c_store(seed: Seed, http: httpx.Client, tmp_path: Path) -> None:
    files = study(tmp_path / "s", 1)
    for _ in range(2):
        answer = post(http, STUDIES, multipart([*files, *files]))
        assert (answer.status_code, stored(answer)) == (200, [uid(1)] * 2)
    assert len(seed.objects) == 1


def test_some_fail(seed: Seed, http: httpx.Client, tmp_path: Path) -> None:
    good, cut, strange = study(tmp_path / "s", 3)
    cut.write_bytes(cut.read_bytes()[:-100])
    ds = pydicom.dcmread(strange)
    ds.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.2.2.1")  # Study Root FIND, of which the AE is SCP
    ds.save_as(strange)
    video = make_instance(tmp_path / "v.dcm", study_uid=STUDY, series_uid=f"{STUDY}.1", sop_instance_uid=uid(9))
    content = video.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.9\0", 1)
    answer = post(http, STUDIES, multipart([good, cut, strange, b"no file", content]))
    assert answer.status_code == 202
    assert stored(answer) == [uid(1)]
    assert failed(answer) == {uid(2): 0xC000, uid(3): 0x0122, uid(9): 0xC122}
    assert failed_otherwise(answer) == [0xC000]
    assert len(seed.objects) == 1
    answer = post(http, STUDIES, multipart([cut, strange]))
    assert (answer.status_code, stored(answer)) == (409, [])
    answer = post(http, STUDIES, part(b"", "text/plain").removeprefix(b"\r\n") + b"\r\n--dcm4py-8a7c--\r\n")
    assert (answer.status_code, failed_otherwise(answer)) == (409, [0xC000])


@pytest.mark.parametrize("coerced", [False, True])
def test_object_of_another_study_is_refused(seed: Seed, tmp_path: Path, coerced: bool) -> None:
    if coerced:
        nullify(seed)
    with served(app=create_app(seed.start())) as http:
        answer = post(http, f"{STUDIES}/{STUDY}.9", multipart(study(tmp_path / "s", 1)))
    assert (answer.status_code, failed(answer)) == (409, {uid(1): 0xA900})
    assert seed.objects == []


def nullify(seed: Seed) -> None:
    seed.change(
        f"""
dn: cn=Without,{DEVICE}
changetype: add
objectClass: dcmArchiveAttributeCoercion
cn: Without
dcmDIMSE: C_STORE_RQ
dicomTransferRole: SCU
dcmNullifyTag: 00081030
dcmProperty: SendingHostname=127.0.0.1
dcmProperty: SendingApplicationEntityTitle!=MODALITY
dcmProperty: ReceivingApplicationEntityTitle=DCM4CHEE
"""
    )


def test_coerced_object_is_told(seed: Seed, tmp_path: Path) -> None:
    nullify(seed)
    with served(app=create_app(seed.start())) as http:
        answer = post(http, STUDIES, multipart(study(tmp_path / "s", 1, attributes={"StudyDescription": "Thorax"})))
    assert (answer.status_code, stored(answer), warned(answer)) == (200, [uid(1)], [0xB000])
    (path,) = seed.objects
    assert not pydicom.dcmread(path).StudyDescription


def test_body_may_be_one_object(seed: Seed, http: httpx.Client, tmp_path: Path) -> None:
    (file,) = study(tmp_path / "s", 1)
    answer = post(http, STUDIES, chunked(file.read_bytes()), "application/dicom")
    assert (answer.status_code, stored(answer)) == (200, [uid(1)])
    assert [data_set_of(path) for path in seed.objects] == [data_set_of(file)]


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/related; type=application/dicom; boundary=dcm4py-8a7c",
        'Multipart/Related;boundary="dcm4py-8a7c";type="application/dicom"',
        "multipart/related; boundary=dcm4py-8a7c",
    ],
)
def test_content_type_as_clients_write_it(http: httpx.Client, tmp_path: Path, content_type: str) -> None:
    assert post(http, STUDIES, multipart(study(tmp_path / "s", 1)), content_type).status_code == 200


@pytest.mark.parametrize(
    ("path", "content_type", "status"),
    [
        (STUDIES, "text/plain", 415),
        (STUDIES, "", 415),
        (STUDIES, 'multipart/related; type="text/plain"; boundary=b', 415),
        (STUDIES, 'multipart/related; type="application/dicom"', 400),
        (f"{STUDIES}/x", MULTIPART, 400),
        (STUDIES.replace("DCM4CHEE", "NOBODY"), MULTIPART, 404),
        (STUDIES, 'multipart/related; type="application/dicom"; boundary=other', 400),
    ],
)
def test_refused_requests(http: httpx.Client, tmp_path: Path, path: str, content_type: str, status: int) -> None:
    answer = post(http, path, multipart(study(tmp_path / "s", 1)), content_type)
    assert (answer.status_code, "errorMessage" in answer.json()) == (status, True)


def test_compressed_body_and_other_answers_are_refused(http: httpx.Client) -> None:
    assert http.post(STUDIES, headers={"Content-Type": MULTIPART, "Content-Encoding": "gzip"}).status_code == 415
    assert http.post(STUDIES, headers={"Content-Type": MULTIPART, "Accept": "text/html"}).status_code == 406
    assert http.post(STUDIES, headers={"Content-Type": MULTIPART}).status_code == 400


def test_body_that_ends_early_keeps_the_objects_before(seed: Seed, http: httpx.Client, tmp_path: Path) -> None:
    body = multipart(study(tmp_path / "s", 2))
    answer = post(http, STUDIES, body[:-600])
    assert (answer.status_code, answer.json()["errorMessage"]) == (
        400,
        "the body ends before its last boundary; of what stands before, 1 objects are stored, 0 are not",
    )
    assert len(seed.objects) == 1


def test_client_that_breaks_off_leaves_whole_objects_alone(
    seed: Seed, http: httpx.Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    incoming = seed.data_dir / "storage" / "fs1" / ".incoming"
    large = {"Rows": 512, "Columns": 512, "PixelData": bytes(2 * 512 * 512)}
    body = multipart([*study(tmp_path / "s", 1), *study(tmp_path / "t", 2, attributes=large)[1:]])
    headers = f"Host: localhost\r\nContent-Type: {MULTIPART}\r\nContent-Length: {len(body)}"
    head = f"POST {STUDIES} HTTP/1.1\r\n{headers}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", http.base_url.port or 0)) as raw:
        raw.sendall(head.encode() + body[:-600])
        until(lambda: len(list(incoming.iterdir())) == 1 if incoming.exists() else False)
    until(lambda: any("ended=" in line for line in caplog.messages))
    assert len(seed.objects) == 1
    assert not list(incoming.iterdir())
    assert any("after 1 objects: the client has ended the request" in line for line in caplog.messages)
