"""Health and metrics while archives that we ask do not answer: nobody gets old identity behind a status UP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydicom import Dataset

from dcm4py_leading.web.app import create_app
from tests.fixtures.datasets import make_study
from tests.fixtures.http import served
from tests.fixtures.ports import free_port
from tests.fixtures.proxy import stand_in_front_of
from tests.fixtures.scripted import LeadingScp, Viewer, knows
from tests.fixtures.scu import find, identifier, move, store
from tests.fixtures.service import Seed
from tests.fixtures.workers import Served, until

STUDY = "1.2.826.0.1.3680043.8.498.1301"
StartLeading = Callable[..., LeadingScp]
StartViewer = Callable[..., Viewer]


@pytest.fixture
def http(seed: Seed, viewer: StartViewer, tmp_path: Path) -> Iterator[httpx.Client]:
    """The seed's archive with two studies, a viewer, and no leading archive yet."""
    seed.lead()
    seed.start()
    stored(seed, tmp_path)
    viewer(seed.viewer_port)
    with served(app=create_app(seed.service)) as client:
        yield client


def stored(seed: Seed, directory: Path) -> None:
    for number in (1, 2):
        study = make_study(
            directory / str(number), patient_id="P", patient_name="Stale^Name", study_uid=f"{STUDY}.{number}"
        )
        store(seed.archive_port, study)


def leading_study(number: int) -> Dataset:
    study = Dataset()
    study.StudyInstanceUID = f"{STUDY}.{number}"
    study.PatientName, study.PatientID = "Right^Name", "RIGHT-ID"
    return study


def retrieve(seed: Seed, number: int) -> None:
    (final, _) = move(seed.archive_port, identifier("STUDY", StudyInstanceUID=f"{STUDY}.{number}"))[-1]
    assert final.Status == 0x0000


def ready(http: httpx.Client) -> dict[str, Any]:
    response = http.get("/health/ready")
    assert response.status_code == 200
    told: dict[str, Any] = response.json()
    return told


def values(http: httpx.Client, name: str, **labels: str) -> list[float]:
    families = text_string_to_metric_families(http.get("/metrics").text)
    samples = (sample for family in families for sample in family.samples if sample.name == f"dcm4py_{name}")
    return [sample.value for sample in samples if labels.items() <= sample.labels.items()]


def test_leading_archive_is_listed_before_it_is_asked(http: httpx.Client) -> None:
    told = ready(http)
    assert told["status"] == "UP"
    assert told["leadingArchives"] == [
        {
            "aeTitle": "QRSCP",
            "askedBy": "DCM4CHEE",
            "isAnswering": True,
            "lastAnswer": None,
            "lastFailure": None,
            "failure": None,
            "breaker": "closed",
        }
    ]
    assert told["archives"] == []


def test_service_is_degraded_from_the_first_failure_to_the_next_answer(
    seed: Seed, http: httpx.Client, leading_scp: StartLeading
) -> None:
    retrieve(seed, 1)
    told = ready(http)
    assert told["status"] == "DEGRADED"
    (reason,) = told["degraded"]
    assert reason.startswith("leading archive QRSCP gave DCM4CHEE no answer, so identity may be out of date: ")
    (leading,) = told["leadingArchives"]
    assert (leading["isAnswering"], leading["lastAnswer"], leading["breaker"]) == (False, None, "closed")
    assert "Connection refused" in leading["failure"]
    assert values(http, "archive_answering", archive_ae="QRSCP", is_leading="true") == [0]
    assert values(http, "configuration_degraded") == [1]

    leading_scp(seed.leading_port, knows(leading_study(2)))
    retrieve(seed, 2)
    told = ready(http)
    assert (told["status"], told["degraded"]) == ("UP", [])
    (leading,) = told["leadingArchives"]
    assert leading["isAnswering"] and leading["lastAnswer"] > leading["lastFailure"]
    assert values(http, "archive_answering", archive_ae="QRSCP") == [1]


def test_requests_and_objects_are_counted(seed: Seed, http: httpx.Client) -> None:
    retrieve(seed, 1)
    objects = len(seed.objects)
    assert values(http, "requests_total", service="C-STORE", ae="DCM4CHEE", status="0x0000") == [objects]
    assert values(http, "requests_total", service="C-MOVE", ae="DCM4CHEE", status="0x0000") == [1]
    assert values(http, "objects_total", ae="DCM4CHEE", outcome="sent") == [objects / 2]
    assert values(http, "objects_total", ae="DCM4CHEE", outcome="failed") == [0]
    (final, _) = move(seed.archive_port, identifier("STUDY", StudyInstanceUID=STUDY), destination="NOBODY")[-1]
    assert values(http, "requests_total", service="C-MOVE", status=f"0x{final.Status:04X}") == [1]


def test_archive_behind_that_is_down_is_told_and_counted(seed: Seed) -> None:
    stand_in_front_of(seed, free_port())
    seed.start()
    with served(app=create_app(seed.service)) as http:
        keys = identifier("STUDY", StudyInstanceUID="")
        assert find(seed.archive_port, keys)[0] == 0xC000
        told = ready(http)
        assert told["status"] == "DEGRADED"
        (archive,) = told["archives"]
        assert (archive["aeTitle"], archive["askedBy"], archive["isAnswering"]) == ("PACS", "DCM4CHEE", False)
        failed = {"local_ae": "DCM4CHEE", "archive_ae": "PACS", "service": "C-FIND", "outcome": "failed"}
        assert values(http, "archive_requests_total", **failed) == [1]
        assert values(http, "archive_answering", archive_ae="PACS", is_leading="false") == [0]


def test_workers_are_told_of_as_one(seed: Seed, viewer: StartViewer, tmp_path: Path) -> None:
    seed.lead()
    viewer(seed.viewer_port)
    with ExitStack() as running:
        service = Served(seed, running, workers=2).await_ready()
        assert [found["aeTitle"] for found in service.state()["leadingArchives"]] == ["QRSCP"]
        stored(seed, tmp_path)
        retrieve(seed, 1)
        until(lambda: service.state()["status"] == "DEGRADED")
        assert "Connection refused" in service.state()["leadingArchives"][0]["failure"]
        assert service.metric("dcm4py_configuration_degraded") == 1
        until(lambda: values(service.http, "requests_total", service="C-MOVE", status="0x0000") == [1])
        until(lambda: values(service.http, "objects_total", outcome="sent") == [len(seed.objects) / 2])
