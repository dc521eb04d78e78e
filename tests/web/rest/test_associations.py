"""``/dcm4chee-arc/monitor``: associations with dcm4chee's keys, and the end of one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import httpx
import pytest

from dcm4py_leading.service.monitor.associations import MessageCounts, OpenAssociation
from dcm4py_leading.web.http.rooms import Room
from dcm4py_leading.web.rest.associations import monitor_operations
from dcm4py_leading.web.rest.operations import routes_of
from tests.fixtures.http import served

ACCEPTED = OpenAssociation(
    serial_number=7,
    connected_at=datetime(2026, 11, 30, 12, 0, 1, 250_000, tzinfo=UTC),
    is_initiated=False,
    local_ae_title="DCM4CHEE",
    remote_ae_title="MODALITY",
    remote_host="192.0.2.1",
    pid=4711,
    is_busy=True,
    performed={"C-FIND": MessageCounts(1, 3)},
    study="4f1c09a2be",
)


class Service:
    def __init__(self) -> None:
        self.aborted: list[int] = []

    def associations(self) -> list[OpenAssociation]:
        return [ACCEPTED]

    def abort_association(self, serial_number: int) -> bool:
        self.aborted.append(serial_number)
        return serial_number == ACCEPTED.serial_number


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def http(service: Service) -> Iterator[httpx.Client]:
    zone = timezone(timedelta(hours=1))
    room = Room("test", threads=2, waiting=8)
    operations = monitor_operations(service, now=lambda: datetime(2026, 11, 30, 13, tzinfo=zone))
    with served(*routes_of(operations, reading=room, changing=room)) as client:
        yield client


def test_an_association_is_told_as_dcm4chee_does_and_with_more(http: httpx.Client) -> None:
    (told,) = http.get("/dcm4chee-arc/monitor/associations").json()
    assert told == {
        "serialNo": 7,
        "connectTime": "2026-11-30T12:00:01.250+00:00",
        "initiated": False,
        "localAETitle": "DCM4CHEE",
        "remoteAETitle": "MODALITY",
        "performedOps": {"C-FIND": {"RQ": 1, "RSP": 3}},
        "invokedOps": {},
        "remoteHost": "192.0.2.1",
        "pid": 4711,
        "busy": True,
        "study": "4f1c09a2be",
    }


def test_an_association_is_aborted_by_its_serial_number(service: Service, http: httpx.Client) -> None:
    assert http.delete("/dcm4chee-arc/monitor/associations/7").status_code == 204
    assert service.aborted == [7]


def test_one_that_is_not_there_is_not_found(http: httpx.Client) -> None:
    answer = http.delete("/dcm4chee-arc/monitor/associations/8")
    assert answer.status_code == 404
    assert "8" in answer.json()["errorMessage"]


@pytest.mark.parametrize("number", ["all", "-7", "7.0", "7/1"])
def test_invalid_serial_number_aborts_nothing(service: Service, http: httpx.Client, number: str) -> None:
    assert http.delete(f"/dcm4chee-arc/monitor/associations/{number}").status_code in (404, 405)
    assert service.aborted == []


def test_a_serial_number_of_any_length_is_no_error(service: Service, http: httpx.Client) -> None:
    assert http.delete(f"/dcm4chee-arc/monitor/associations/{'9' * 5000}").status_code in (404, 414)


def test_the_time_here_has_its_zone(http: httpx.Client) -> None:
    answer = http.get("/dcm4chee-arc/monitor/serverTime").json()
    assert answer == {"serverTimeWithTimezone": "2026-11-30T13:00:00.000+01:00"}
