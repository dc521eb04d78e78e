"""QIDO-RS against the archive here."""

from __future__ import annotations

import gzip
from typing import Any

import httpx
import pytest

STUDY = "1.2.826.0.1.3680043.8.498.71"
UID = "0020000D"


def rows(answer: httpx.Response) -> list[dict[str, Any]]:
    if answer.status_code == 204:
        return []
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


def studies(http: httpx.Client, query: str) -> list[str]:
    """The last parts of the Study Instance UIDs that are found."""
    return [row[UID]["Value"][0].rpartition(".")[2] for row in rows(http.get(f"studies?{query}"))]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "012"),
        ("PatientName=Smith^John", "2"),
        ("patientname=smith*", "2"),
        ("PatientName=M%C3%BCller*", "01"),
        ("PatientName=*", "012"),
        ("00100020=P1", "01"),
        ("PatientID=P1,P2", "012"),
        ("PatientID=P1%5CP2&PatientName=Smi*", "2"),
        (f"StudyInstanceUID={STUDY}.1,{STUDY}.2", "12"),
        (f"StudyInstanceUID={STUDY}.1%2C{STUDY}.2", "12"),
        (f"0020000d={STUDY}.1%5C{STUDY}.2", "12"),
        (f"StudyInstanceUID={STUDY}.1%5C%5C{STUDY}.2", "12"),
        ("StudyDate=20210101-20211231", "12"),
        ("StudyDate=-20201231", "0"),
        ("StudyTime=1030-1130", "1"),
        ("ModalitiesInStudy=MR", "1"),
        ("ModalitiesInStudy=MR,CT", "012"),
        ("ModalitiesInStudy=MR%2CCT", "012"),
        ("ModalitiesInStudy=XA", ""),
        ("00080060=MR", "1"),
        ("StudyDescription=Thorax", "02"),
        ("StudyDescription=Head%2C+neck", "1"),
        ("PatientName=Smith*,Nobody*", "2"),
        ("PatientID=P1&&StudyDate=20210315&", "1"),
        ("AccessionNumber=", "012"),
        ("limit=2", "01"),
        ("limit=2&offset=1", "12"),
        ("offset=3", ""),
        ("orderby=-StudyDate,StudyTime", "120"),
        ("orderby=StudyDate&orderby=-StudyTime", "021"),
        ("orderby=-PatientName&limit=1", "2"),
        ("orderby=00100020,-StudyInstanceUID", "102"),
        ("includefield=PatientName&PatientName=Smith*", "2"),
        ("accept=application/json", "012"),
    ],
)
def test_matching_order_and_part(http: httpx.Client, query: str, expected: str) -> None:
    assert "".join(studies(http, query)) == expected


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("studies?limit=0", "limit"),
        ("studies?limit=x", "limit"),
        ("studies?offset=-1", "offset"),
        ("studies?fuzzymatching=perhaps", "fuzzymatching"),
        ("studies?PatientNam=x", "PatientNam"),
        ("studies?includefield=PatientNam", "includefield"),
        ("studies?orderby=PatientNam", "orderby"),
        ("studies?orderby=Modality", "orderby"),
        ("studies?StudyDate=yesterday", "StudyDate"),
        ("studies?InstanceNumber=1", "InstanceNumber"),
        ("series?SeriesNumber=one", "SeriesNumber"),
        ("series?00400275.00400009=A", "RequestAttributesSequence.ScheduledProcedureStepID"),
        ("studies?00091002=A", "00091002"),
        (f"studies/{STUDY}.0%5C{STUDY}.2/series", "study"),
        ("studies/*/instances", "study"),
        (f"studies/{STUDY}.0/series/*/instances", "series"),
    ],
)
def test_wrong_parameter_is_named(http: httpx.Client, path: str, named: str) -> None:
    answer = http.get(path)
    assert answer.status_code == 400
    assert named in answer.json()["errorMessage"]


def test_row_of_a_study_is_in_the_dicom_json_model(http: httpx.Client) -> None:
    answer = http.get("studies?PatientID=P1&limit=1&includefield=00081030,00080060")
    assert answer.headers["content-type"] == "application/dicom+json"
    (row,) = rows(answer)
    assert row["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Müller^Änne"}]}
    assert row["00080005"] == {"vr": "CS", "Value": ["ISO_IR 192"]}
    assert row["00080061"] == {"vr": "CS", "Value": ["CT"]}
    assert row["00080060"] == {"vr": "CS"}
    assert row["00201208"] == {"vr": "IS", "Value": ["4"]}
    assert row["00081030"]["Value"] == ["Thorax"]
    base = str(http.base_url).rstrip("/")
    assert row["00081190"] == {"vr": "UR", "Value": [f"{base}/studies/{STUDY}.0"]}
    assert "00080052" not in row
    assert list(row) == sorted(row)


@pytest.mark.parametrize(
    ("path", "count", "url"),
    [
        ("patients", 2, None),
        ("series", 6, "/series/"),
        ("instances", 12, "/instances/"),
        (f"studies/{STUDY}.1/series", 2, "/series/"),
        (f"studies/{STUDY}.1/instances", 4, "/instances/"),
        ("series?PatientID=P2", 2, "/series/"),
        ("instances?ModalitiesInStudy=MR", 4, "/instances/"),
        (f"studies/{STUDY}.9/series", 0, "/series/"),
        (f"studies/{STUDY}.1/series?StudyInstanceUID={STUDY}.2", 0, "/series/"),
        (f"studies/{STUDY}.1/series?StudyInstanceUID={STUDY}.1", 2, "/series/"),
    ],
)
def test_every_resource_and_its_count(http: httpx.Client, path: str, count: int, url: str | None) -> None:
    found = rows(http.get(path))
    assert len(found) == count
    assert all(("00081190" in row) == (url is not None) for row in found)
    assert url is None or all(url in row["00081190"]["Value"][0] for row in found)
    resource, _, query = path.partition("?")
    assert http.get(f"{resource}/count?{query}").json() == {"count": count}


def test_instances_of_a_series(http: httpx.Client) -> None:
    (first, *_) = rows(http.get(f"studies/{STUDY}.1/series"))
    series = first["0020000E"]["Value"][0]
    row, _ = rows(http.get(f"studies/{STUDY}.1/series/{series}/instances"))
    uid = row["00080018"]["Value"][0]
    assert row["00081190"]["Value"][0].endswith(f"/rs/studies/{STUDY}.1/series/{series}/instances/{uid}")


def test_levels_above_come_where_the_path_does_not_choose_them(http: httpx.Client) -> None:
    assert "00100010" in rows(http.get("series"))[0]
    below = rows(http.get(f"studies/{STUDY}.1/series"))[0]
    assert "00100010" not in below and "0008103E" in below
    assert "0008103E" in rows(http.get(f"studies/{STUDY}.1/instances"))[0]


def test_url_is_known_without_default_attributes(http: httpx.Client) -> None:
    row = rows(http.get("instances?includedefaults=false"))[0]
    assert "None" not in row["00081190"]["Value"][0] and "null" not in row["00081190"]["Value"][0]
    assert "00100010" not in row


def test_all_attributes_come_when_asked_for(http: httpx.Client) -> None:
    row = rows(http.get("studies?includefield=all&limit=1"))[0]
    assert {"00081030", "00100040", "00201206"} <= row.keys()


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/dicom+json", 200),
        ("application/json", 200),
        ("*/*", 200),
        ("application/*;q=0.5", 200),
        ("application/dicom+json, multipart/related; type=application/octet-stream", 200),
        ('multipart/related; type="application/dicom+xml", application/json', 200),
        ("image/jpeg, text/html", 406),
        ("application/dicom+json;q=0", 406),
    ],
)
def test_first_acceptable_type_wins_and_unknown_ones_do_not_matter(
    http: httpx.Client, accept: str, status: int
) -> None:
    assert http.get("studies", headers={"Accept": accept}).status_code == status


def test_no_accept_header_takes_all(http: httpx.Client) -> None:
    request = http.build_request("GET", "studies")
    del request.headers["accept"]
    assert http.send(request).status_code == 200


def test_no_match_is_no_content(http: httpx.Client) -> None:
    answer = http.get("studies?PatientID=NOBODY")
    assert (answer.status_code, answer.content) == (204, b"")


def test_warning_tells_how_many_are_left(http: httpx.Client) -> None:
    assert "There are 2 additional results" in http.get("studies?limit=1").headers["warning"]
    assert http.get("studies?limit=1").headers["warning"].startswith("299 ")
    assert "warning" not in http.get("studies?limit=3").headers
    assert "warning" not in http.get("studies?limit=1&offset=2").headers


def test_fuzzy_matching_is_answered_with_a_warning(http: httpx.Client) -> None:
    assert "fuzzymatching" in http.get("studies?fuzzymatching=true").headers["warning"]
    assert "warning" not in http.get("studies?fuzzymatching=false").headers


def test_rows_are_compressed_where_the_client_takes_it(http: httpx.Client) -> None:
    with http.stream("GET", "studies", headers={"Accept-Encoding": "gzip"}) as answer:
        packed = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    plain = http.get("studies", headers={"Accept-Encoding": "identity"})
    assert gzip.decompress(packed) == plain.content
    assert "content-encoding" not in plain.headers


def test_unknown_ae_is_not_found(http: httpx.Client) -> None:
    assert http.get("/dcm4chee-arc/aets/NOBODY/rs/studies").status_code == 404
