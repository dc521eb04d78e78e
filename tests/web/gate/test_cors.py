"""Pages of other sites that may read DICOMweb, and all that they may not."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dcm4py_leading.web.app import guarded_app
from dcm4py_leading.web.gate.access import needs
from dcm4py_leading.web.gate.identity import Role
from tests.fixtures.http import served

VIEWER = "https://viewer.example"
STUDIES = "/dcm4chee-arc/aets/A/rs/studies"
FROM_VIEWER = {"Origin": VIEWER, "Sec-Fetch-Site": "cross-site"}


async def shown(_: Request) -> Response:
    return Response("shown", headers={"Vary": "Accept-Encoding"})


ROUTES = [
    Route(STUDIES, needs(Role.VIEWER, shown), methods=["GET", "DELETE"]),
    Route("/dcm4chee-arc/aets", needs(Role.VIEWER, shown)),
    Route("/ui/devices", needs(Role.VIEWER, shown)),
]


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with served(app=guarded_app(ROUTES, cors_origins=[VIEWER])) as client:
        yield client


def test_listed_page_reads(http: httpx.Client) -> None:
    answer = http.get(STUDIES, headers=FROM_VIEWER)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, VIEWER)
    assert {part.strip() for part in answer.headers["vary"].split(",")} == {"Accept-Encoding", "Origin"}
    assert "Warning" in answer.headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in answer.headers


def test_listed_page_may_ask_first_what_it_may(http: httpx.Client) -> None:
    asked = {**FROM_VIEWER, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    answer = http.options(STUDIES, headers=asked)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (204, VIEWER)
    assert "Authorization" in answer.headers["access-control-allow-headers"]


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", STUDIES, {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}),
        ("GET", STUDIES, {"Origin": "https://viewer.example.evil", "Sec-Fetch-Site": "cross-site"}),
        ("GET", STUDIES, {"Origin": "http://viewer.example", "Sec-Fetch-Site": "cross-site"}),
        ("GET", STUDIES, {"Origin": "null", "Sec-Fetch-Site": "cross-site"}),
        ("GET", STUDIES, {"Sec-Fetch-Site": "cross-site"}),
        ("DELETE", STUDIES, FROM_VIEWER),
        ("OPTIONS", STUDIES, {**FROM_VIEWER, "Access-Control-Request-Method": "DELETE"}),
        ("GET", "/dcm4chee-arc/aets", FROM_VIEWER),
        ("GET", "/ui/devices", FROM_VIEWER),
    ],
)
def test_all_else_is_refused(http: httpx.Client, method: str, path: str, headers: dict[str, str]) -> None:
    answer = http.request(method, path, headers=headers)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


def test_none_is_listed_by_default() -> None:
    with served(app=guarded_app(ROUTES)) as http:
        assert http.get(STUDIES, headers=FROM_VIEWER).status_code == 403
