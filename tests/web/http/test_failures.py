"""What is answered where something goes wrong: nothing of ours to the client, everything to the log."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from dcm4py_leading.web.gate.access import needs
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.http.rooms import Room
from tests.fixtures.http import served


def broken(_: Request) -> Response:
    raise RuntimeError("the index is upside down")


async def begun(_: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        yield b"a part"
        raise RuntimeError("no more")

    return StreamingResponse(parts())


async def refused(_: Request) -> Response:
    raise HTTPException(409, 'there is another "one"', headers={"X-Why": "there"})


async def fine(_: Request) -> Response:
    return JSONResponse("fine")


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    room = Room("test", threads=1, waiting=1)
    routes = [
        Route("/broken/{patient}", needs(Role.VIEWER, room.serves(broken))),
        Route("/ui/broken", needs(Role.VIEWER, room.serves(broken))),
        Route("/begun", needs(Role.VIEWER, begun)),
        Route("/refused", needs(Role.VIEWER, refused)),
        Route("/fine", needs(Role.VIEWER, fine), methods=["GET"]),
    ]
    with served(*routes) as client:
        yield client


def test_a_bug_is_told_to_the_log_alone(http: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    answer = http.get("/broken/Doe%5EJane?name=Doe")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/json"
    assert "upside down" not in answer.text
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "upside down" in caplog.text and record.exc_info is not None
    assert record.getMessage() == "HTTP: GET of broken failed"
    # The client of this test logs its own requests, where a test before has let INFO through.
    ours = [record for record in caplog.records if record.name.startswith("dcm4py_leading")]
    assert record in ours and "Doe" not in "\n".join(map(logging.Formatter().format, ours))


def test_people_get_a_page(http: httpx.Client) -> None:
    answer = http.get("/ui/broken")
    assert answer.status_code == 500
    assert answer.headers["content-type"].startswith("text/html")
    assert "upside down" not in answer.text


def test_a_part_is_not_taken_for_the_whole(http: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        http.get("/begun")
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 1
    assert "no more" in caplog.text
    assert http.get("/fine").status_code == 200


def test_a_refusal_is_json_with_its_message(http: httpx.Client) -> None:
    answer = http.get("/refused")
    assert (answer.status_code, answer.json()) == (409, {"errorMessage": 'there is another "one"'})
    assert answer.headers["x-why"] == "there"


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/missing", 404), ("POST", "/fine", 405)])
def test_unknown_address_is_answered_as_json(http: httpx.Client, method: str, path: str, status: int) -> None:
    answer = http.request(method, path)
    assert answer.status_code == status
    assert answer.json()["errorMessage"]


@pytest.mark.parametrize("path", ["/broken/1", "/refused", "/missing", "/fine"])
def test_every_answer_has_the_security_headers(http: httpx.Client, path: str) -> None:
    headers = http.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
