"""Whom the control port answers: no page of another site, under no name but its own."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any, cast

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dcm4py_leading.web.app import Control, create_app, guarded_app
from dcm4py_leading.web.gate.access import needs
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.http.addresses import PublicUrl
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


HOSTS_THAT_ARE_NONE = [
    "evil.example@localhost",
    "localhost/ui/",
    "localhost?x",
    "localhost#x",
    "localhost:x",
    "localhost:80:80",
    "[::1]x",
    "local\thost",
]
"""Of which a reader of URLs may take localhost for the name."""


@pytest.fixture
def service() -> Service:
    return Service()


async def shown(_: Request) -> Response:
    return Response("shown")


ROUTES = [
    Route("/ui/devices", needs(Role.VIEWER, shown), methods=["GET", "POST"]),
    Route("/rest", needs(Role.VIEWER, shown)),
]


@pytest.fixture
def page() -> Iterator[httpx.Client]:
    with served(app=guarded_app(ROUTES)) as client:
        yield client


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
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "archive.example.evil",
        "127.0.0.1.evil.example",
        "[",
        "[x]",
        "",
        *HOSTS_THAT_ARE_NONE,
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/health/live"),
        ("GET", "/dcm4py-leading/explain/1.2.3"),
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
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "null", "Sec-Fetch-Site": "none"},
        {"Origin": "http://["},
        {"Origin": "http://127.0.0.1"},  # another port is another origin
        {"Origin": "ftp://127.0.0.1:8080", "Host": "127.0.0.1:8080"},
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
    unnamed = {"Origin": "null", "Sec-Fetch-Site": "same-origin"}
    assert http.post("/dcm4chee-arc/ctrl/reload", headers=unnamed).status_code == 204
    assert service.reloads == 3


def test_a_page_without_tls_is_no_page_of_a_service_with_it() -> None:
    """Whoever is on the way makes the one, not the other."""
    url = PublicUrl.parse("https://archive.example")
    with served(app=guarded_app(ROUTES, public_url=url)) as http:
        for origin, status_code in (("http://archive.example", 403), ("https://archive.example", 200)):
            headers = {"Host": "archive.example", "Origin": origin}
            assert http.post("/ui/devices", headers=headers).status_code == status_code


def test_missing_name_is_reported_with_remedy(http: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        http.get("/health/live", headers={"Host": "archive"})
    (record,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "'archive'" in record.getMessage() and "--http-host" in record.getMessage()


def test_a_link_from_another_site_may_be_followed_to_a_page(page: httpx.Client) -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert page.get("/ui/devices", headers=link).status_code == 200
    for headers in (
        link | {"Sec-Fetch-Dest": "iframe"},
        link | {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        link | {"Origin": "http://evil.example"},
    ):
        assert page.get("/ui/devices", headers=headers).status_code == 403
    assert page.post("/ui/devices", headers=link).status_code == 403
    assert page.get("/rest", headers=link).status_code == 403


def test_a_cookie_changes_something_only_from_a_page_of_ours(page: httpx.Client) -> None:
    cookie = {"Cookie": "dcm4py=session"}
    origin = str(page.base_url).rstrip("/")
    assert page.post("/ui/devices", headers=cookie).status_code == 403
    assert page.post("/ui/devices", headers=cookie | {"Origin": "http://evil.example"}).status_code == 403
    assert page.post("/ui/devices", headers=cookie | {"Origin": origin}).status_code == 200
    assert page.post("/ui/devices", headers=cookie | {"Sec-Fetch-Site": "same-origin"}).status_code == 200
    assert page.get("/ui/devices", headers=cookie).status_code == 200
    assert page.post("/ui/devices").status_code == 200


def test_pages_under_the_public_url_are_ours() -> None:
    app = guarded_app(ROUTES, public_url=PublicUrl.parse("https://arc.example"))
    with served(app=app) as http:
        for origin, status in (("https://arc.example", 200), ("http://arc.example", 403), ("https://a.example", 403)):
            assert http.post("/ui/devices", headers={"Origin": origin}).status_code == status
        assert http.get("/ui/devices", headers={"Host": "arc.example"}).status_code == 200


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "Via", "X-Real-IP"])
def test_proxied_request_without_log_in_is_refused(page: httpx.Client, header: str) -> None:
    answer = page.get("/rest", headers={header: "1.1 proxy"})
    assert answer.status_code == 401
    assert "--login" in answer.json()["errorMessage"]
