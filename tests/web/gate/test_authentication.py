"""Whose request it is, before anything is asked of the application."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from dcm4py_leading.errors import LoginError, LoginRefused, LoginUnavailable
from dcm4py_leading.web.gate.authentication import AuthenticationMiddleware
from dcm4py_leading.web.gate.identity import ANONYMOUS, Identity, Role

ANNA = Identity("anna", frozenset({Role.VIEWER}))


class Doorkeeper:
    """Gives this answer to each request that it is asked about."""

    def __init__(self, answer: Identity | LoginError | None) -> None:
        self.asked: list[str] = []
        self._answer = answer

    async def identify(self, request: Request) -> Identity | None:
        self.asked.append(request.url.path)
        if isinstance(self._answer, LoginError):
            raise self._answer
        return self._answer


def state_of(doorkeeper: Doorkeeper, path: str, kind: str = "http") -> dict[str, Any]:
    """State of the request, as the application gets it."""
    states: list[dict[str, Any]] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        states.append(dict(scope.get("state", {})))

    async def receive() -> Message:
        raise AssertionError("the body is the application's")

    async def send(message: Message) -> None:
        raise AssertionError("the answer is the application's")

    scope = {"type": kind, "path": path, "query_string": b"", "headers": [(b"host", b"archive")], "scheme": "http"}
    asyncio.run(AuthenticationMiddleware(application, doorkeeper=doorkeeper)(scope, receive, send))
    (state,) = states
    return state


@pytest.mark.parametrize(("answer", "identity"), [(ANNA, ANNA), (None, ANONYMOUS)])
def test_a_request_is_of_a_user_or_of_nobody(answer: Identity | None, identity: Identity) -> None:
    assert state_of(Doorkeeper(answer), "/ui/") == {"identity": identity, "login_error": None, "takes_tokens": False}


@pytest.mark.parametrize("error", [LoginRefused("wrong"), LoginUnavailable("no answer")])
def test_a_refused_log_in_reaches_the_application_as_nobody_with_the_reason(error: LoginError) -> None:
    assert state_of(Doorkeeper(error), "/ui/") == {"identity": ANONYMOUS, "login_error": error, "takes_tokens": False}


@pytest.mark.parametrize(
    ("path", "is_asked"), [("/health/live", False), ("/ui/assets/a.css", False), ("/health", True)]
)
def test_a_liveness_check_and_assets_do_not_wait_for_a_directory(path: str, is_asked: bool) -> None:
    doorkeeper = Doorkeeper(ANNA)
    state = state_of(doorkeeper, path)
    assert doorkeeper.asked == ([path] if is_asked else [])
    assert state["identity"] == (ANNA if is_asked else ANONYMOUS)


def test_what_is_no_request_passes_untouched() -> None:
    doorkeeper = Doorkeeper(ANNA)
    assert state_of(doorkeeper, "/", kind="lifespan") == {}
    assert doorkeeper.asked == []
