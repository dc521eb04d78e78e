"""Bugs of DICOMweb services that viewers met, and the test by which each is none of ours."""

from __future__ import annotations

import socket
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest
from pydicom.uid import UID
from starlette.requests import Request

from dcm4py_leading.web.app import create_app
from dcm4py_leading.web.gate.identity import LOOPBACK, Identity
from dcm4py_leading.web.http.addresses import parse_network
from tests.fixtures.datasets import read_sample
from tests.fixtures.http import served
from tests.fixtures.multipart import parts_of
from tests.fixtures.scu import store
from tests.fixtures.service import Seed
from tests.fixtures.slapd import REPOSITORY
from tests.web.dicomweb.conftest import STUDY


class Bug(NamedTuple):
    """A bug, where viewers met it, and the test in its file below tests/."""

    bug: str
    seen_in: str
    file: str
    test: str


BUGS = (
    Bug(
        "pages lose or repeat rows with ties",
        "dcm4chee-arc #4796",
        "web/dicomweb/test_search_behaviour.py",
        "test_small_pages_of_many_studies_with_ties",
    ),
    Bug(
        "also while objects are stored",
        "dcm4chee-arc #418",
        "web/dicomweb/test_search_behaviour.py",
        "test_pages_with_ties_neither_lose_nor_repeat_while_objects_are_stored",
    ),
    Bug(
        "studies/null in RetrieveURL",
        "dcm4chee-arc #4062",
        "web/dicomweb/test_search.py",
        "test_url_is_known_without_default_attributes",
    ),
    Bug(
        "RetrieveURL without a value where it is asked for",
        "this service",
        "web/dicomweb/test_known_bugs.py",
        "test_url_that_is_asked_for_has_its_value",
    ),
    Bug(
        "406 for a transfer syntax in Accept",
        "dcm4chee-arc #1715",
        "web/dicomweb/test_objects.py",
        "test_transfer_syntax_by_accept",
    ),
    Bug(
        "media type and transfer syntax do not fit",
        "dcm4chee-arc #3443",
        "web/dicomweb/test_frames.py",
        "test_own_media_type",
    ),
    Bug(
        "406 on a combined Accept",
        "OHIF #3726",
        "web/dicomweb/test_search.py",
        "test_first_acceptable_type_wins_and_unknown_ones_do_not_matter",
    ),
    Bug(
        "quotation marks that are missing",
        "OHIF #624",
        "web/dicomweb/test_media_types.py",
        "test_transfer_syntaxes_of_objects",
    ),
    Bug(
        "400 for ModalitiesInStudy, or for wild cards",
        "OHIF #489",
        "web/dicomweb/test_known_bugs.py",
        "test_modalities_and_wild_cards_are_matched",
    ),
    Bug(
        "a key in includefield is not matched",
        "DICOMcloud #1",
        "web/dicomweb/test_known_bugs.py",
        "test_key_that_is_included_is_matched",
    ),
    Bug("thumbnail is 500, not 406", "dcm4chee-arc #3408", "web/dicomweb/test_pictures.py", "test_thumbnails"),
    Bug(
        "only the first row is coerced",
        "dcm4chee-arc #3081",
        "web/dicomweb/test_search_behaviour.py",
        "test_every_row_has_the_leading_values_of_one_question",
    ),
    Bug(
        "rules of another AE",
        "dcm4chee-arc #3327",
        "web/dicomweb/test_search_behaviour.py",
        "test_rules_see_the_client_and_the_ae_of_the_url",
    ),
    Bug(
        "metadata is not coerced",
        "dcm4chee-arc #3975",
        "browser/test_ohif.py",
        "test_ohif_shows_the_leading_name_and_the_pixels",
    ),
    Bug(
        "searches without bound",
        "dcm4chee-arc #4487",
        "web/dicomweb/test_search_behaviour.py",
        "test_too_broad_a_search_is_refused",
    ),
    Bug(
        "JSON is not compressed",
        "OHIF #824",
        "web/dicomweb/test_search.py",
        "test_rows_are_compressed_where_the_client_takes_it",
    ),
    Bug(
        "objects are compressed once more",
        "OHIF #824",
        "web/dicomweb/test_known_bugs.py",
        "test_objects_and_frames_are_never_compressed_for_the_way",
    ),
    Bug(
        "URLs with the host behind the proxy",
        "OHIF #1602",
        "web/dicomweb/test_known_bugs.py",
        "test_urls_name_the_host_that_a_trusted_proxy_tells",
    ),
    Bug(
        "frames one by one",
        "cornerstoneWADO #382",
        "web/dicomweb/test_known_bugs.py",
        "test_two_thousand_frames_in_one_request",
    ),
    Bug(
        "requests one by one",
        "cornerstoneWADO #382",
        "web/dicomweb/test_known_bugs.py",
        "test_requests_sent_at_once_are_answered_in_their_order",
    ),
)
_FRAMES = 2000


class Anybody:
    """Doorkeeper that lets in whoever asks."""

    async def identify(self, _: Request) -> Identity:
        return LOOPBACK


def test_every_bug_has_its_test() -> None:
    for one in BUGS:
        assert f"def {one.test}(" in (REPOSITORY / "tests" / one.file).read_text("utf-8"), one


def studies_of(answer: httpx.Response) -> list[str]:
    return sorted(row["0020000D"]["Value"][0].rpartition(".")[2] for row in answer.json())


@pytest.mark.parametrize("included", ["00081190", "RetrieveURL", "00081190,00080020", "all"])
def test_url_that_is_asked_for_has_its_value(http: httpx.Client, included: str) -> None:
    row = http.get(f"studies?StudyInstanceUID={STUDY}.0&includefield={included}").json()[0]
    assert row["00081190"]["Value"] == [f"{str(http.base_url).rstrip('/')}/studies/{STUDY}.0"]


def test_modalities_and_wild_cards_are_matched(http: httpx.Client) -> None:
    assert studies_of(http.get(f"studies?ModalitiesInStudy=MR&StudyInstanceUID={STUDY}.0,{STUDY}.1,{STUDY}.2")) == ["1"]
    assert studies_of(http.get("studies?PatientName=*&StudyDescription=Thor*&PatientID=P?")) == ["0", "2"]


def test_key_that_is_included_is_matched(http: httpx.Client) -> None:
    assert studies_of(http.get("studies?PatientID=P2&includefield=PatientID&includefield=00100020")) == ["2"]


def test_objects_and_frames_are_never_compressed_for_the_way(http: httpx.Client) -> None:
    row = http.get(f"studies/{STUDY}.0/instances").json()[0]
    path = "/".join(f"{name}/{row[tag]['Value'][0]}" for name, tag in _LEVELS)
    takes_all = {"Accept": "*/*", "Accept-Encoding": "gzip, deflate, br, zstd"}
    for resource in (path, f"{path}/frames/1"):
        answer = http.get(resource, headers=takes_all)
        assert (answer.status_code, answer.headers.get("content-encoding")) == (200, None)
    assert http.get(f"{path}/metadata", headers=takes_all).headers["content-encoding"] == "gzip"


_LEVELS = (("studies", "0020000D"), ("series", "0020000E"), ("instances", "00080018"))


@pytest.mark.parametrize(("trusted", "host"), [("127.0.0.1", "viewer.example"), ("192.0.2.1", None)])
def test_urls_name_the_host_that_a_trusted_proxy_tells(archive: Seed, trusted: str, host: str | None) -> None:
    app = create_app(archive.service, hosts=["viewer.example"], proxies=[parse_network(trusted)], doorkeeper=Anybody())
    told = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "viewer.example"}
    with served(app=app) as client:
        study = f"/dcm4chee-arc/aets/DCM4CHEE/rs/studies/{STUDY}.0"
        (row, *_) = client.get(f"{study}/series", headers=told).json()
        (instance, *_) = client.get(f"{study}/metadata", headers=told).json()
        own = str(client.base_url).rstrip("/")
    begin = own if host is None else f"https://{host}"
    for url in (row["00081190"]["Value"][0], instance["7FE00010"]["BulkDataURI"]):
        assert url.startswith(f"{begin}{study}/"), url


def test_two_thousand_frames_in_one_request(archive: Seed, http: httpx.Client) -> None:
    ds = read_sample("CT_small.dcm")
    uid = f"{STUDY}.2000"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = UID(uid), UID(f"{uid}.1")
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(f"{uid}.1.1")
    ds.Rows, ds.Columns, ds.NumberOfFrames = 1, 2, _FRAMES
    frames = [number.to_bytes(4, "little") for number in range(_FRAMES)]
    ds.PixelData = b"".join(frames)
    assert store(archive.archive_port, [ds]) == [0x0000]
    numbers = ",".join(str(number + 1) for number in range(_FRAMES))
    accept = {"Accept": "multipart/related; type=application/octet-stream; transfer-syntax=*"}
    answer = http.get(f"studies/{uid}/series/{uid}.1/instances/{uid}.1.1/frames/{numbers}", headers=accept)
    assert answer.status_code == 200, answer.text
    assert [part.content for part in parts_of(answer)] == frames


def test_requests_sent_at_once_are_answered_in_their_order(http: httpx.Client) -> None:
    address = urlsplit(str(http.base_url))
    studies = [f"{STUDY}.{number}" for number in (0, 1, 2, 0, 1, 2)]
    lines = [
        f"GET {address.path}studies?StudyInstanceUID={uid} HTTP/1.1\r\nHost: {address.netloc}\r\n"
        f"Connection: {'close' if at == len(studies) - 1 else 'keep-alive'}\r\n\r\n"
        for at, uid in enumerate(studies)
    ]
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        connection.sendall("".join(lines).encode())
        answer = b""
        while part := connection.recv(65536):
            answer += part
    told = answer.split(b"HTTP/1.1 ")[1:]
    assert [one[:3] for one in told] == [b"200"] * len(studies)
    for one, uid in zip(told, studies, strict=True):
        assert f'"0020000D":{{"vr":"UI","Value":["{uid}"]}}'.encode() in one
