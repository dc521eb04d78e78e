"""Authentication of each request: who asks."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from dcm4py_leading.errors import LoginError
from dcm4py_leading.web.gate.identity import ANONYMOUS, Doorkeeper

_ASSETS = "/ui/assets/"
_LIVE = "/health/live"


class AuthenticationMiddleware:
    """ASGI middleware that sets ``request.state.identity``, and ``login_error`` if credentials are refused.

    ``request.state.takes_tokens`` is True where bearer tokens are accepted.

    It refuses nobody; `access.needs` does. A liveness check never waits for a directory.
    """

    def __init__(self, app: ASGIApp, *, doorkeeper: Doorkeeper, takes_tokens: bool = False) -> None:
        self._app = app
        self._takes_tokens = takes_tokens
        self._doorkeeper = doorkeeper

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Authenticate, and let the application answer."""
        if scope["type"] == "http":
            request = Request(scope, receive)
            request.state.identity, request.state.login_error = ANONYMOUS, None
            request.state.takes_tokens = self._takes_tokens
            if scope["path"] != _LIVE and not scope["path"].startswith(_ASSETS):
                try:
                    request.state.identity = await self._doorkeeper.identify(request) or ANONYMOUS
                except LoginError as err:
                    request.state.login_error = err
        await self._app(scope, receive, send)
