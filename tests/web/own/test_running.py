"""``/dcm4py-leading/...``: what runs, and what a reload would change."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest

from dcm4py_leading.config.following.difference import Difference, Kind
from dcm4py_leading.errors import Problem, Severity
from dcm4py_leading.service.monitor.listening import ListeningPort
from dcm4py_leading.web.http.rooms import Room
from dcm4py_leading.web.own.running import (
    FailedReload,
    PendingReload,
    RunningConfiguration,
    WorkerState,
    running_routes,
)
from tests.fixtures.http import served

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
WARNING = Problem(dn="cn=rule", attribute="dcmURI", value="x", reason="not there", severity=Severity.WARNING)


class Service:
    def running(self) -> RunningConfiguration:
        return RunningConfiguration(
            device_name="dcm4chee-arc",
            fingerprint="0123456789ab",
            loaded_at=NOON,
            source="ldap://ldap.example.org",
            is_last_good=True,
            is_followed=False,
            is_listening=False,
            directory_failure="no answer",
            last_failed_reload=FailedReload(at=NOON, error="no answer"),
            problems=(WARNING,),
            degraded=("stopped by an administrator",),
        )

    def pending(self) -> PendingReload:
        difference = Difference(
            kind=Kind.CHANGED,
            object_class="dcmArchiveAttributeCoercion",
            name="Leading",
            attribute="dcmRulePriority",
            detail="from 0 to 1",
        )
        return PendingReload(can_be_reloaded=True, fingerprint="ba9876543210", differences=(difference,))

    def listeners(self) -> list[ListeningPort]:
        return [
            ListeningPort(name="dicom", host="localhost", port=11112, ae_titles=("DCM4CHEE",), is_bound=True),
            ListeningPort(name="tls", host="localhost", port=2762, ae_titles=("A", "B"), is_bound=False, why_not="TLS"),
        ]

    def workers(self) -> list[WorkerState]:
        return [WorkerState(pid=4711, is_serving=True, associations=2, started_at=NOON)]


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    looking, reading = (Room("test", threads=2, waiting=8) for _ in range(2))
    with served(*running_routes(Service(), looking=looking, reading=reading)) as client:
        yield client


def test_running_service_tells_its_troubles(http: httpx.Client) -> None:
    told = http.get("/dcm4py-leading/configuration").json()
    assert told["fingerprint"] == "0123456789ab"
    assert told["loadedAt"] == NOON.isoformat()
    assert (told["isLastGood"], told["isListening"]) == (True, False)
    assert told["lastFailedReload"] == {"at": NOON.isoformat(), "error": "no answer"}
    assert [problem["dn"] for problem in told["problems"]] == ["cn=rule"]
    assert told["degraded"] == ["stopped by an administrator"]


def test_pending_change_is_shown_as_json_and_as_text(http: httpx.Client) -> None:
    told = http.get("/dcm4py-leading/configuration/pending").json()
    assert (told["canBeReloaded"], told["fingerprint"], told["problems"]) == (True, "ba9876543210", [])
    (difference,) = told["differences"]
    assert (difference["attribute"], difference["name"]) == ("dcmRulePriority", "Leading")
    assert difference["text"] == "rule Leading: dcmRulePriority from 0 to 1"


def test_listeners_are_told_with_their_aes_and_why_one_is_not_bound(http: httpx.Client) -> None:
    bound, other = http.get("/dcm4py-leading/listeners").json()
    assert (bound["port"], bound["aeTitles"], bound["isBound"], bound["whyNot"]) == (11112, ["DCM4CHEE"], True, None)
    assert (other["isBound"], other["whyNot"]) == (False, "TLS")


def test_workers_are_told_with_their_age(http: httpx.Client) -> None:
    (worker,) = http.get("/dcm4py-leading/workers").json()
    assert worker == {
        "pid": 4711,
        "isServing": True,
        "associations": 2,
        "startedAt": NOON.isoformat(),
        "restarts": 0,
    }
