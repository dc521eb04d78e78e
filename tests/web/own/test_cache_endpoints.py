"""``/leading-cache``: what is listed, what is dropped, and what never is by mistake."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from dcm4py_leading.leading.lookup import CachedAnswer
from dcm4py_leading.model.values import UID, AETitle
from dcm4py_leading.web.http.rooms import Room
from dcm4py_leading.web.own.leading_cache import leading_cache_routes
from tests.fixtures.http import served

KNOWN, UNKNOWN = (
    CachedAnswer(
        leading_cfind_scp=AETitle("QRSCP"), study_instance_uid=UID(uid), age=timedelta(seconds=age), is_found=is_found
    )
    for uid, age, is_found in (("1.2.3", 62.5, True), ("1.2.4", 2, False))
)


class Service:
    """Holds two answers, and remembers what it was told to drop."""

    def __init__(self) -> None:
        self.dropped: list[UID | None] = []

    def cached_studies(self) -> list[CachedAnswer]:
        return [KNOWN, UNKNOWN]

    def drop_answers(self, study_instance_uid: UID | None) -> int:
        self.dropped.append(study_instance_uid)
        return 2 if study_instance_uid is None else 1


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def http(service: Service) -> Iterator[httpx.Client]:
    with served(*leading_cache_routes(service, Room("test", threads=2, waiting=8))) as client:
        yield client


def test_answers_are_listed_with_archive_study_age_and_whether_it_was_found(http: httpx.Client) -> None:
    response = http.get("/leading-cache")
    assert response.json() == [
        {"leadingAETitle": "QRSCP", "studyInstanceUID": "1.2.3", "ageSeconds": 62.5, "isFound": True},
        {"leadingAETitle": "QRSCP", "studyInstanceUID": "1.2.4", "ageSeconds": 2.0, "isFound": False},
    ]
    assert response.headers["cache-control"] == "no-store"


def test_all_answers_are_dropped_and_counted(service: Service, http: httpx.Client) -> None:
    response = http.delete("/leading-cache")
    assert (response.status_code, response.json()) == (200, {"dropped": 2})
    assert service.dropped == [None]


def test_the_answers_for_one_study_are_dropped(service: Service, http: httpx.Client) -> None:
    response = http.delete("/leading-cache/1.2.3")
    assert (response.status_code, response.json()) == (200, {"dropped": 1})
    assert service.dropped == ["1.2.3"]


@pytest.mark.parametrize("study", ["", "all", "1.2.x", "1..2", "1." * 40 + "1", "1.2.3/4", "1.2.3%2F", "%20"])
def test_invalid_uid_is_reported_and_drops_nothing(service: Service, http: httpx.Client, study: str) -> None:
    response = http.delete(f"/leading-cache/{study}")
    assert response.status_code == 400
    assert "UID" in response.json()["errorMessage"]
    assert service.dropped == []


def test_nothing_else_is_done_there(service: Service, http: httpx.Client) -> None:
    assert http.post("/leading-cache").status_code == 405
    assert http.get("/leading-cache/1.2.3").status_code == 405
    assert service.dropped == []
