"""What browsers are told with every answer."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dcm4py_leading.web.gate.access import needs
from dcm4py_leading.web.gate.identity import Role
from tests.fixtures.http import served


async def nonce(request: Request) -> Response:
    return JSONResponse(request.state.nonce)


async def kept(_: Request) -> Response:
    return Response("kept", headers={"Cache-Control": "public, max-age=60"})


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with served(Route("/nonce", needs(Role.VIEWER, nonce)), Route("/kept", needs(Role.VIEWER, kept))) as client:
        yield client


def policy(answer: httpx.Response) -> dict[str, str]:
    directives = answer.headers["content-security-policy"].split("; ")
    return {name: sources for name, _, sources in (directive.partition(" ") for directive in directives)}


def test_nothing_runs_but_what_has_the_nonce(http: httpx.Client) -> None:
    answer = http.get("/nonce")
    told = policy(answer)
    assert told["default-src"] == told["base-uri"] == told["frame-ancestors"] == "'none'"
    assert told["script-src"] == f"'nonce-{answer.json()}'"
    assert told["form-action"] == told["connect-src"] == "'self'"
    assert not re.search(r"unsafe|\*|http:|https:", answer.headers["content-security-policy"])


def test_each_request_has_a_nonce_of_its_own(http: httpx.Client) -> None:
    nonces = {http.get("/nonce").json() for _ in range(20)}
    assert len(nonces) == 20
    assert all(len(one) >= 22 for one in nonces)  # 128 bits


def test_addresses_stay_here_and_types_are_not_guessed(http: httpx.Client) -> None:
    headers = http.get("/nonce").headers
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"


def test_nothing_is_kept_unless_it_may_be(http: httpx.Client) -> None:
    assert http.get("/nonce").headers["cache-control"] == "no-store"
    assert http.get("/kept").headers["cache-control"] == "public, max-age=60"


def test_without_tls_nothing_is_said_of_it(http: httpx.Client) -> None:
    assert "strict-transport-security" not in http.get("/nonce").headers


def test_the_server_does_not_tell_what_it_is_made_of(http: httpx.Client) -> None:
    assert "server" not in http.get("/nonce").headers
