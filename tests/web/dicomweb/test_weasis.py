"""The requests of Weasis 4, letter by letter: list, series, instances in pages, thumbnail, and whole series."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from tests.fixtures.multipart import parts_of
from tests.fixtures.service import Seed
from tests.web.dicomweb.conftest import STUDY

_INCLUDED = ",".join(
    [
        "00080020",
        "00080030",
        "00080050",
        "00080061",
        "00080090",
        "00081030",
        "00100010",
        "00100020",
        "00100021",
        "00100030",
        "00100040",
        "0020000D",
        "00200010",
    ]
)
_PAGE = 1000
"""Instances that Weasis asks for at once."""
_SERIES = {"Accept": 'multipart/related;type="application/dicom";transfer-syntax=*'}
_SWITCHES_TO_RENDERED = {404, 405, 501}


@pytest.fixture
def weasis(http: httpx.Client) -> Iterator[httpx.Client]:
    """A client that says nothing of what it accepts."""
    accept = http.headers.pop("accept")
    yield http
    http.headers["accept"] = accept


def asked(weasis: httpx.Client, target: str, **headers: str) -> httpx.Response:
    """The answer to a request target as it is: httpx would write ``&&`` and a last ``&`` its own way."""
    base = weasis.base_url
    url = base.copy_with(raw_path=f"{base.path.rstrip('/')}/{target}".encode())
    return weasis.get(url, headers=headers)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("00100020=P1&&includefield=" + _INCLUDED + "&limit=100&offset=0&", 2),
        ("&StudyDate=20210101-20211231&&00080061=CT,MR&limit=100&offset=0&includefield=" + _INCLUDED, 2),
        ("0020000D=" + f"{STUDY}.0,{STUDY}.2" + "&&includefield=" + _INCLUDED + "&", 2),
    ],
)
def test_list_of_studies(archive: Seed, weasis: httpx.Client, query: str, count: int) -> None:
    answer = asked(weasis, f"studies?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/dicom+json")
    assert len(answer.json()) == count
    assert set(_INCLUDED.split(",")) - {"00100021"} <= set(answer.json()[0]) | {"00080005"}


def test_series_instances_and_objects(archive: Seed, weasis: httpx.Client) -> None:
    series = asked(weasis, f"studies/{STUDY}.0/series?includefield=0008103E,00080060,0020000E,00200011,00081190").json()
    assert len(series) == 2
    for row in series:
        uid, url = row["0020000E"]["Value"][0], row["00081190"]["Value"][0]
        assert urlsplit(url).path.endswith(f"/studies/{STUDY}.0/series/{uid}")
        answer = weasis.get(url, headers=_SERIES)
        assert answer.status_code == 200
        assert len(parts_of(answer)) == 2


def test_instances_are_asked_for_until_a_page_is_short(archive: Seed, weasis: httpx.Client) -> None:
    uid = asked(weasis, f"studies/{STUDY}.0/series").json()[0]["0020000E"]["Value"][0]
    path = f"studies/{STUDY}.0/series/{uid}/instances?includefield=00080018,00200013,00081190"
    page = asked(weasis, f"{path}&limit={_PAGE}&offset=0").json()
    assert len(page) == 2 < _PAGE
    beyond = asked(weasis, f"{path}&limit={_PAGE}&offset={_PAGE}")
    assert (beyond.status_code, beyond.content) == (204, b"")
    one_by_one = [asked(weasis, f"{path}&limit=1&offset={offset}").json()[0] for offset in range(2)]
    assert [row["00080018"] for row in one_by_one] == [row["00080018"] for row in page]


def test_thumbnail_of_a_series_or_the_switch_to_rendered(archive: Seed, weasis: httpx.Client) -> None:
    uid = asked(weasis, f"studies/{STUDY}.0/series").json()[0]["0020000E"]["Value"][0]
    path = f"studies/{STUDY}.0/series/{uid}/thumbnail?viewport=256%2C256"
    answer = asked(weasis, path, Accept="image/jpeg")
    if answer.status_code not in _SWITCHES_TO_RENDERED:
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
        assert answer.content.startswith(b"\xff\xd8")
