"""What a trusted proxy says of whoever asked it, and that nobody else is believed."""

from __future__ import annotations

from collections.abc import Mapping

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from dcm4py_leading.web.app import guarded_app
from dcm4py_leading.web.gate.access import needs
from dcm4py_leading.web.gate.identity import Identity, Role
from dcm4py_leading.web.http.addresses import PublicUrl, parse_network
from dcm4py_leading.web.http.forwarded import Forwarded
from tests.fixtures.event_loop import run_in_loop
from tests.fixtures.http import served

PROXIES = [parse_network("10.0.0.0/8"), parse_network("fd00::/8")]


class Everybody:
    async def identify(self, request: Request) -> Identity:
        return Identity("viewer", frozenset({Role.VIEWER}))


async def seen(request: Request) -> Response:
    assert request.client is not None
    return JSONResponse([request.client.host, request.url.scheme, request.headers["host"]])


APP = guarded_app(
    [Route("/seen", needs(Role.VIEWER, seen))],
    hosts=["archive.example", "other.example"],
    doorkeeper=Everybody(),
    proxies=PROXIES,
    public_url=PublicUrl.parse("https://arc.example"),
)


def ask(headers: Mapping[str, str], *, peer: str = "10.0.0.1") -> httpx.Response:
    async def answer() -> httpx.Response:
        transport = httpx.ASGITransport(APP, client=(peer, 5))
        async with httpx.AsyncClient(transport=transport, base_url="http://archive.example") as client:
            return await client.get("/seen", headers=headers)

    return run_in_loop(answer)


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({}, ["10.0.0.1", "http", "archive.example"]),
        (
            {"Forwarded": "for=192.0.2.7;proto=https;host=other.example"},
            ["192.0.2.7", "https", "other.example"],
        ),
        ({"Forwarded": 'for="[2001:db8::7]:4711";proto=https'}, ["2001:db8::7", "https", "archive.example"]),
        ({"Forwarded": 'For="192.0.2.7:80" ; Proto=HTTPS'}, ["192.0.2.7", "https", "archive.example"]),
        ({"Forwarded": "for=unknown"}, ["unknown", "http", "archive.example"]),
        (
            {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "other.example"},
            ["192.0.2.7", "https", "other.example"],
        ),
        ({"X-Forwarded-For": "2001:db8::7"}, ["2001:db8::7", "http", "archive.example"]),
        ({"X-Forwarded-Proto": "https"}, ["10.0.0.1", "https", "archive.example"]),
    ],
)
def test_client_scheme_and_host_are_those_that_the_proxy_tells(headers: dict[str, str], told: list[str]) -> None:
    assert ask(headers).json() == told


@pytest.mark.parametrize(
    "headers",
    [
        {"Forwarded": "for=192.0.2.7;proto=https;host=other.example"},
        {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "other.example"},
    ],
)
@pytest.mark.parametrize("peer", ["192.0.2.1", "127.0.0.1", "11.0.0.1"])
def test_nobody_else_is_believed(headers: dict[str, str], peer: str) -> None:
    assert ask(headers, peer=peer).json() == [peer, "http", "archive.example"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Forwarded": "for=6.6.6.6;proto=http;host=evil.example, for=192.0.2.7;proto=https;host=other.example"},
        {
            "X-Forwarded-For": "6.6.6.6, 192.0.2.7",
            "X-Forwarded-Proto": "http, https",
            "X-Forwarded-Host": "evil.example, other.example",
        },
    ],
)
def test_header_that_the_client_made_up_is_not_believed(headers: dict[str, str]) -> None:
    assert ask(headers).json() == ["192.0.2.7", "https", "other.example"]


def test_outermost_of_several_trusted_proxies_is_believed() -> None:
    chain = "for=6.6.6.6, for=192.0.2.7;proto=https;host=other.example, for=10.0.0.2;proto=http;host=inner"
    assert ask({"Forwarded": chain}).json() == ["192.0.2.7", "https", "other.example"]
    assert ask({"X-Forwarded-For": "6.6.6.6, 192.0.2.7, 10.0.0.2"}).json()[0] == "192.0.2.7"


def test_both_kinds_of_headers_are_refused_as_one_may_be_the_clients() -> None:
    answer = ask({"Forwarded": "for=6.6.6.6", "X-Forwarded-For": "192.0.2.7"})
    assert answer.status_code == 400
    assert "Forwarded and X-Forwarded" in answer.json()["errorMessage"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Forwarded": "for="},
        {"Forwarded": "192.0.2.7"},
        {"Forwarded": 'for="192.0.2.7'},
        {"Forwarded": "for=192.0.2.7;proto=javascript"},
        {"X-Forwarded-For": "a b"},
        {"X-Forwarded-For": "<script>"},
    ],
)
def test_unreadable_input_is_refused_or_tells_nothing(headers: dict[str, str]) -> None:
    answer = ask(headers)
    assert answer.status_code == 400 or answer.json() == ["10.0.0.1", "http", "archive.example"]


def test_a_host_that_is_forwarded_must_be_ours_too() -> None:
    assert ask({"X-Forwarded-Host": "evil.example"}).status_code == 421


def test_the_public_url_gives_the_scheme_to_requests_for_its_host() -> None:
    assert ask({"Host": "arc.example"}, peer="192.0.2.1").json() == ["192.0.2.1", "https", "arc.example"]
    assert ask({"Host": "archive.example"}, peer="192.0.2.1").json()[1] == "http"


@pytest.mark.parametrize("headers", [{"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}])
def test_forwarded_headers_are_not_trusted_from_loopback(headers: dict[str, str]) -> None:
    app = guarded_app([Route("/seen", needs(Role.VIEWER, seen))], doorkeeper=Everybody())
    with served(app=app) as http:
        assert http.get("/seen", headers=headers).json()[:2] == ["127.0.0.1", "http"]


def test_unterminated_quoted_text_is_scanned_once() -> None:
    """A client may send it before the proxy adds what it knows; no octet of it may be looked at again and again."""

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        await Response("let in")(scope, receive, send)

    async def ask_it() -> httpx.Response:
        transport = httpx.ASGITransport(Forwarded(inner, proxies=PROXIES), client=("10.0.0.1", 5))
        async with httpx.AsyncClient(transport=transport, base_url="http://archive.example") as client:
            return await client.get("/", headers={"Forwarded": 'for="' + '\\"' * 1_000_000})

    assert run_in_loop(ask_it).status_code == 400


@given(st.text(alphabet=st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=60))
def test_no_text_is_a_failure(text: str) -> None:
    for name in ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"):
        assert ask({name: text}).status_code in (200, 400, 421)
