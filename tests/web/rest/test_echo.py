"""``POST /dcm4chee-arc/aets/{aet}/dimse/{remote}``: dcm4chee's answer, and who may say where to call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from dcm4py_leading.errors import ConfigUnavailable, StatusError
from dcm4py_leading.service.monitor.echo import EchoOutcome, EchoResult, UnknownAE
from dcm4py_leading.web.app import guarded_app
from dcm4py_leading.web.gate.identity import Identity, Role
from dcm4py_leading.web.http.rooms import Room
from dcm4py_leading.web.rest.echo import echo_operation
from dcm4py_leading.web.rest.operations import routes_of
from tests.fixtures.http import served

PATH = "/dcm4chee-arc/aets/DCM4CHEE/dimse/STORESCP"


class Service:
    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.outcome: EchoOutcome | Exception = EchoOutcome(
            result=EchoResult.SUCCESS, connection_ms=3, echo_ms=1, release_ms=0
        )

    def echo(self, ae_title: str, remote_ae_title: str, *, address: tuple[str, int] | None = None) -> EchoOutcome:
        self.asked.append((ae_title, remote_ae_title, address))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


class Doorkeeper:
    async def identify(self, request: Request) -> Identity:
        return Identity("somebody", frozenset({Role(request.headers.get("x-role", "administrator"))}))


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def http(service: Service) -> Iterator[httpx.Client]:
    room = Room("test", threads=2, waiting=8)
    routes = routes_of([echo_operation(service)], reading=room, changing=room)
    with served(app=guarded_app(routes, doorkeeper=Doorkeeper())) as client:
        yield client


def test_every_value_of_the_answer_is_a_string(service: Service, http: httpx.Client) -> None:
    answer = http.post(PATH)
    expected = {"result": "0", "connectionTime": "3", "echoTime": "1", "releaseTime": "0"}
    assert (answer.status_code, answer.json()) == (200, expected)
    assert service.asked == [("DCM4CHEE", "STORESCP", None)]


@pytest.mark.parametrize("result", list(EchoResult)[1:])
def test_a_peer_that_does_not_answer_is_no_error_of_the_service(
    service: Service, http: httpx.Client, result: EchoResult
) -> None:
    service.outcome = EchoOutcome(result=result, error='it said "no"')
    answer = http.post(PATH)
    assert answer.status_code == 200
    assert (answer.json()["result"], answer.json()["errorMessage"]) == (str(result.value), 'it said "no"')


def test_an_administrator_says_where_to_call(service: Service, http: httpx.Client) -> None:
    assert http.post(PATH, params={"host": "192.0.2.1", "port": "104"}).status_code == 200
    assert service.asked == [("DCM4CHEE", "STORESCP", ("192.0.2.1", 104))]


def test_a_viewer_may_not_say_where_to_call(service: Service, http: httpx.Client) -> None:
    viewer = {"X-Role": "viewer"}
    assert http.post(PATH, params={"host": "192.0.2.1", "port": "104"}, headers=viewer).status_code == 403
    assert service.asked == []
    assert http.post(PATH, headers=viewer).status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        {"host": "192.0.2.1"},
        {"port": "104"},
        {"host": "", "port": "104"},
        {"host": "192.0.2.1", "port": ""},
        {"host": "192.0.2.1", "port": "0"},
        {"host": "192.0.2.1", "port": "65536"},
        {"host": "192.0.2.1", "port": "-1"},
        {"host": "192.0.2.1", "port": "٣"},
        {"host": "192.0.2.1", "port": "9" * 5000},
    ],
)
def test_invalid_address_is_reported_and_nobody_is_called(
    service: Service, http: httpx.Client, query: dict[str, str]
) -> None:
    answer = http.post(PATH, params=query)
    assert answer.status_code == 400
    assert "port" in answer.json()["errorMessage"]
    assert service.asked == []


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (UnknownAE("AE STORESCP is not in the directory"), 404),
        (ConfigUnavailable("the directory is down"), 503),
        (StatusError("no worker answers"), 503),
    ],
)
def test_faults_of_the_service_itself_have_a_status(
    service: Service, http: httpx.Client, failure: Exception, status: int
) -> None:
    service.outcome = failure
    answer = http.post(PATH)
    assert (answer.status_code, answer.json()) == (status, {"errorMessage": str(failure)})
