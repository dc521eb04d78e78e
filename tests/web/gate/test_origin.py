"""Whom the control port answers: no page of another site, under no name but its own."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any, cast

import httpx
import pytest

from dcm4py_leading.web.app import Control, create_app
from tests.fixtures.http import served


class Service:
    """Counts what it is asked to do."""

    def __init__(self) -> None:
        self.reloads = 0

    def reload(self) -> None:
        self.reloads += 1

    def is_ready(self) -> bool:
        return True

    def state(self) -> dict[str, object]:
        return {}

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the service is asked for {name}")


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def http(service: Service) -> Iterator[httpx.Client]:
    with served(app=create_app(cast(Control, service), hosts=["archive.example"])) as client:
        yield client


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:8080",
        "localhost.:8080",
        "127.0.0.1:8080",
        "[::1]:8080",
        "192.168.0.1",
        "archive.example:8080",
        "Archive.Example",
        socket.gethostname(),
    ],
)
def test_names_of_its_own_are_answered(http: httpx.Client, host: str) -> None:
    assert http.get("/health/ready", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "archive.example.evil", "127.0.0.1.evil.example", "[", "[x]", ""]
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/health/live"),
        ("GET", "/explain/1.2.3"),
        ("DELETE", "/leading-cache"),
        ("POST", "/dcm4chee-arc/ctrl/reload"),
    ],
)
def test_other_names_are_not(http: httpx.Client, host: str, method: str, path: str) -> None:
    assert http.request(method, path, headers={"Host": host}).status_code == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1"},  # another port is another origin
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_pages_of_other_sites_change_nothing(http: httpx.Client, service: Service, headers: dict[str, str]) -> None:
    assert http.post("/dcm4chee-arc/ctrl/reload", headers=headers).status_code == 403
    assert service.reloads == 0


def test_its_own_pages_and_programs_do(http: httpx.Client, service: Service) -> None:
    origin = str(http.base_url).rstrip("/")
    own = {"Origin": origin, "Sec-Fetch-Site": "same-origin"}
    assert http.post("/dcm4chee-arc/ctrl/reload", headers=own).status_code == 204
    assert http.post("/dcm4chee-arc/ctrl/reload").status_code == 204
    assert service.reloads == 2


def test_a_name_that_is_missing_is_told_with_what_to_do(http: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        http.get("/health/live", headers={"Host": "archive"})
    (record,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "'archive'" in record.getMessage() and "--http-host" in record.getMessage()
