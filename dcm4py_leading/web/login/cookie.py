"""The cookie that holds the identifier of a session.

Over HTTPS its name begins with ``__Host-``, so that only this host, over HTTPS, can have set it (RFC 6265bis 4.1.3.2).
Over HTTP, which is for this machine, browsers would refuse such a cookie. The one does not count for the other.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

_NAME = "dcm4py"


def session_id_of(request: Request) -> str | None:
    """The identifier that came with a request."""
    return request.cookies.get(_name(request))


def set_session_id(request: Request, response: Response, session_id: str) -> None:
    """Give the browser an identifier, for as long as it runs; the session may be over earlier."""
    response.set_cookie(
        _name(request), session_id, path="/", secure=_is_secure(request), httponly=True, samesite="strict"
    )


def delete_session_id(request: Request, response: Response) -> None:
    """Let the browser forget it."""
    response.delete_cookie(_name(request), path="/", secure=_is_secure(request), httponly=True, samesite="strict")


def _is_secure(request: Request) -> bool:
    return request.url.scheme == "https"


def _name(request: Request) -> str:
    return f"__Host-{_NAME}" if _is_secure(request) else _NAME
