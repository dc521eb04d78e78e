"""Answers when something goes wrong: what is our fault is told to nobody but the log."""

from __future__ import annotations

import logging
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dcm4py_leading.web.http.answers import refusal

LOG = logging.getLogger(__name__)


class Failures:
    """ASGI middleware that answers 500 without details where the application raises, and logs the traceback.

    The log line names what was asked for by its endpoint: a path or a query may hold what is a patient's.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_begun = False

        async def watched(message: Message) -> None:
            nonlocal is_begun
            is_begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:
            LOG.debug("HTTP: the client is gone before its request was whole")
        except Exception:  # whatever it was is a bug: the one place where HTTP catches all, as the log is told
            if is_begun:
                raise  # uvicorn logs it, and ends the connection, so that nobody takes a part for the whole
            LOG.exception("HTTP: %s of %s failed", scope["method"], _endpoint(scope))
            await refusal(Request(scope), HTTPStatus.INTERNAL_SERVER_ERROR, "the service failed; its log tells why")(
                scope, receive, send
            )


def answer_refused(request: Request, err: Exception) -> Response:
    """The answer to what a handler or the router refuses by HTTPException."""
    assert isinstance(err, HTTPException)
    return refusal(request, err.status_code, err.detail, headers=err.headers)


def _endpoint(scope: Scope) -> str:
    endpoint = scope.get("endpoint")
    return getattr(endpoint, "__qualname__", None) or "no endpoint"
