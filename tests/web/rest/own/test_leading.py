"""``/dcm4py-leading/leading``: archives, their history, and last known answers as JSON."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from dcm4py_leading.leading.breaker import BreakerState
from dcm4py_leading.leading.contacts import Contact
from dcm4py_leading.leading.last_known import FILE_NAME, AnswerScope, LastKnown
from dcm4py_leading.leading.outcome import Latency
from dcm4py_leading.model.values import UID, Tag
from dcm4py_leading.service.leading.rules import LeadingRule
from dcm4py_leading.web.app import guarded_app
from dcm4py_leading.web.http.rooms import Room
from dcm4py_leading.web.rest.operations import routes_of
from dcm4py_leading.web.rest.own.leading import history_json, leading_operations
from tests.fixtures.http import served
from tests.fixtures.measured import NOON, OURS, QRSCP, Led, Sample, contacts, lookups
from tests.fixtures.rules import data_set

PATH = "/dcm4py-leading/leading"


@contextmanager
def asking(service: Led) -> Iterator[httpx.Client]:
    room = Room("test", threads=2, waiting=8)
    routes = routes_of(leading_operations(service), reading=room, changing=room)
    with served(app=guarded_app(routes)) as client:
        yield client


def test_archives_are_told_with_state_askers_and_rules() -> None:
    failed = Contact(last_answer=NOON, last_failure=NOON + timedelta(seconds=1), failure="refused")
    sample = Sample(lookups(breaker=BreakerState.OPEN, waiting=7), contacts(QRSCP=failed, behind={"PACS": Contact()}))
    rule = LeadingRule(local_ae_title=OURS, leading_ae_title=QRSCP, cn="Leading", dn="cn=Leading,dc=example")
    with asking(Led(measured=sample, rules=[rule])) as client:
        told = client.get(PATH).json()
    assert told["leadingArchives"] == [
        {
            "aeTitle": "QRSCP",
            "state": "not-used",
            "isOneByOne": False,
            "queriesUnderWay": 0,
            "waitingStudies": 7,
            "askedBy": [
                {
                    "aeTitle": "DCM4CHEE",
                    "state": "not-used",
                    "breaker": "open",
                    "rules": [{"cn": "Leading", "dn": "cn=Leading,dc=example"}],
                    "isAnswering": False,
                    "lastAnswer": "2026-01-02T12:00:00.000+00:00",
                    "lastFailure": "2026-01-02T12:00:01.000+00:00",
                    "failure": "refused",
                }
            ],
        }
    ]
    assert [(one["aeTitle"], one["state"]) for one in told["archives"]] == [("PACS", "not-asked")]


def test_the_history_is_told_in_columns() -> None:
    service = Led()
    latency = Latency().observe(0.2)
    for sample in (
        Sample(lookups(), workers=2),
        Sample(lookups(HIT=3, MISS=1, latency=latency), workers=2),
    ):
        service.measured = sample
        service.leading.history.sample()
    with asking(service) as client:
        told = client.get(f"{PATH}/history?hours=1").json()
    assert (told["hours"], told["stepSeconds"]) == (1, 60)
    (archive,) = told["leadingArchives"]
    columns = {key: column for key, column in archive.items() if key != "aeTitle"}
    assert {len(column) for column in columns.values()} == {len(told["endsAt"])} == {len(told["seconds"])}
    assert [archive[key][0] for key in ("hit", "miss", "stale-served", "hitRate", "queries")] == [3, 1, 0, 0.75, 1]
    assert archive["averageSeconds"][0] == pytest.approx(0.2)
    assert archive["breaker"][0] == "closed"


def test_unknown_interval_is_null_in_every_column() -> None:
    service = Led()
    for count, workers in ((1, 1), (2, 1), (9, 2)):
        service.measured = Sample(lookups(HIT=count), workers=workers)
        service.leading.history.sample()
    known, unknown = service.leading.history.intervals()
    assert (known.is_known, unknown.is_known) == (True, False)
    told = history_json(1, [known, unknown])
    archives: Any = told["leadingArchives"]
    (archive,) = archives
    assert all(column[1] is None for key, column in archive.items() if key != "aeTitle")
    assert archive["hit"][0] == 1


@pytest.mark.parametrize("query", ["hours=2", "hours=", "hours=x"])
def test_other_hours_are_refused(query: str) -> None:
    with asking(Led()) as client:
        answer = client.get(f"{PATH}/history?{query}")
    assert answer.status_code == 400
    assert "1, 6, 24" in answer.json()["errorMessage"]


def test_a_service_that_has_just_started_has_no_columns() -> None:
    with asking(Led()) as client:
        told = client.get(f"{PATH}/history").json()
    assert told == {"hours": 24, "stepSeconds": 900, "endsAt": [], "seconds": [], "leadingArchives": [], "archives": []}


def test_last_known_answers_are_told_without_what_they_say(tmp_path: Path) -> None:
    known = LastKnown(tmp_path / FILE_NAME, max_rows=10, now=time.time)
    asked = AnswerScope(QRSCP, frozenset({Tag(0x00100010)}), None)
    known.remember(asked, {UID(f"1.2.{n}"): data_set(PatientName="Secret^Name") for n in (1, 2, 3)})
    known.close()
    with asking(Led(folder=tmp_path)) as client:
        answer = client.get(f"{PATH}/last-known?offset=1")
        told = answer.json()
        assert client.get(f"{PATH}/last-known?uid=2.3").json()["count"] == 1
        assert client.get(f"{PATH}/last-known?offset=-1").status_code == 400
    assert "Secret" not in answer.text
    assert (told["count"], [study["studyInstanceUID"] for study in told["studies"]]) == (3, ["1.2.2", "1.2.3"])
    assert told["studies"][0]["leadingAETitle"] == "QRSCP"
    assert 0 <= told["newestSeconds"] <= told["oldestSeconds"]


def test_last_known_answers_that_cannot_be_read_are_503(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"no database at all" * 300)
    with asking(Led(folder=tmp_path)) as client:
        assert client.get(f"{PATH}/last-known").status_code == 503
