"""``/dcm4chee-arc/ctrl``: what scripts for dcm4chee get."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from dcm4py_leading.errors import ConfigError, ConfigInvalid, ConfigUnavailable, Problem
from dcm4py_leading.web.http.rooms import Room
from dcm4py_leading.web.rest.control import reload_operation, status_operation, switch_operations
from dcm4py_leading.web.rest.operations import routes_of
from tests.fixtures.http import served

TAKEN = Problem(dn="cn=dicom", attribute="dicomPort", value="11112", reason="cannot listen: address in use")


class Service:
    def __init__(self) -> None:
        self.done: list[str] = []
        self.failure: ConfigError | None = None
        self.is_on = True

    def is_ready(self) -> bool:
        return self.is_on

    def reload(self) -> None:
        self._do("reload")

    def start_listening(self) -> None:
        self._do("start")

    def stop_listening(self) -> None:
        self._do("stop")

    def _do(self, what: str) -> None:
        if self.failure is not None:
            raise self.failure
        self.done.append(what)


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def http(service: Service) -> Iterator[httpx.Client]:
    room = Room("test", threads=1, waiting=8)
    operations = [reload_operation(service), *switch_operations(service), status_operation(service)]
    with served(*routes_of(operations, reading=room, changing=room)) as client:
        yield client


@pytest.mark.parametrize("what", ["start", "stop", "reload"])
def test_a_command_is_a_post_and_has_no_body(service: Service, http: httpx.Client, what: str) -> None:
    answer = http.post(f"/dcm4chee-arc/ctrl/{what}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert service.done == [what]


@pytest.mark.parametrize("what", ["start", "stop"])
def test_the_log_tells_who_commands(http: httpx.Client, what: str, caplog: pytest.LogCaptureFixture) -> None:
    http.post(f"/dcm4chee-arc/ctrl/{what}")
    (record,) = [record for record in caplog.records if "DICOM" in record.getMessage()]
    assert record.levelname == "WARNING"
    assert "loopback" in record.getMessage()


@pytest.mark.parametrize("what", ["start", "stop", "reload"])
def test_a_get_commands_nothing(service: Service, http: httpx.Client, what: str) -> None:
    answer = http.get(f"/dcm4chee-arc/ctrl/{what}")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert service.done == []


@pytest.mark.parametrize(("what", "status"), [("start", 500), ("reload", 409)])
def test_impossible_value_is_told_with_every_problem(
    service: Service, http: httpx.Client, what: str, status: int
) -> None:
    service.failure = ConfigInvalid([TAKEN])
    answer = http.post(f"/dcm4chee-arc/ctrl/{what}")
    assert answer.status_code == status
    assert "11112" in answer.json()["errorMessage"]
    assert [problem["attribute"] for problem in answer.json()["problems"]] == ["dicomPort"]


def test_a_start_that_fails_otherwise_tells_why(service: Service, http: httpx.Client) -> None:
    service.failure = ConfigUnavailable("the service is about to end")
    answer = http.post("/dcm4chee-arc/ctrl/start")
    assert (answer.status_code, answer.json()) == (500, {"errorMessage": "the service is about to end"})


@pytest.mark.parametrize(("is_on", "status"), [(True, "STARTED"), (False, "STOPPED")])
def test_status_has_dcm4chees_words(service: Service, http: httpx.Client, is_on: bool, status: str) -> None:
    service.is_on = is_on
    assert http.get("/dcm4chee-arc/ctrl/status").json() == {"status": status}
