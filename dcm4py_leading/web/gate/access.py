"""Access to routes: each needs a role, or stands in `PUBLIC`."""

from __future__ import annotations

from collections.abc import Iterable
from functools import wraps
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from dcm4py_leading.errors import LoginError, LoginThrottled, LoginUnavailable, TokenRefused
from dcm4py_leading.web.gate.identity import Identity, Role
from dcm4py_leading.web.http.answers import is_for_people, refusal
from dcm4py_leading.web.http.rooms import Endpoint

LOGIN, LOGOUT = "/ui/login", "/ui/logout"
PUBLIC = frozenset({"/", "/health/live", "/health/ready", LOGIN, LOGOUT, "/ui/assets/{name}"})
"""Paths of routes that answer everybody."""

_BASIC = 'Basic realm="dcm4py-leading", charset="UTF-8"'
"""RFC 7617 2.1."""
_BEARER = 'Bearer realm="dcm4py-leading"'
"""RFC 6750 3: to whoever has sent no token, without an error."""
_COOKIE = f'Cookie realm="dcm4py-leading", form-action="{LOGIN}"'
"""To scripts of our pages and of the viewer: at Basic, the browser would ask for a password in a box of its own."""
_NEEDED = "needed_roles"
_ONCE_MORE = '<!doctype html>\n<html lang="en">\n<meta http-equiv="refresh" content="0">\n<title>…</title>\n'
"""For a link that was followed from another site: browsers leave out a cookie that is SameSite=Strict (RFC 6265bis
5.6.7.1), so the page asks for itself again, as a page of ours. Whoever has no session is led to the log-in then."""


def needs(role: Role, endpoint: Endpoint, *, or_role: Role | None = None) -> Endpoint:
    """The endpoint for those who have the role, or ``or_role``.

    Others get 401 or, at a page, 303 to the log-in; 403 when they have logged in. What the endpoint gets has
    ``request.state.identity``.
    """
    roles = frozenset({role} if or_role is None else {role, or_role})

    @wraps(endpoint)
    async def guarded(request: Request) -> Response:
        identity: Identity = request.state.identity
        if any(identity.may(one) for one in roles):
            return await endpoint(request)
        if identity.name:
            wanted = " or ".join(sorted(roles))
            return refusal(request, HTTPStatus.FORBIDDEN, f"{identity.name} has not the role {wanted}")
        return _not_logged_in(request, request.state.login_error)

    setattr(guarded, _NEEDED, roles)
    return guarded


def roles_needed(route: BaseRoute) -> frozenset[Role]:
    """The roles of which one is needed; empty for a route that asks for none."""
    roles: frozenset[Role] = getattr(getattr(route, "endpoint", None), _NEEDED, frozenset())
    return roles


def unguarded(routes: Iterable[BaseRoute], prefix: str = "") -> list[str]:
    """Paths that need no role although they are not `PUBLIC`: there must be none."""
    found = []
    for route in routes:
        path = prefix + str(getattr(route, "path", route))
        if isinstance(route, Mount):
            found += unguarded(route.routes, path) if route.routes else [path]
        elif not (isinstance(route, Route) and (roles_needed(route) or path in PUBLIC)):
            found.append(path)
    return found


def _not_logged_in(request: Request, login_error: LoginError | None) -> Response:
    """``login_error``: why the credentials of the request were refused."""
    headers: dict[str, Any] = {}
    if isinstance(login_error, LoginThrottled):
        headers = {"Retry-After": str(login_error.retry_after_seconds)}
        return refusal(request, HTTPStatus.TOO_MANY_REQUESTS, str(login_error), headers=headers)
    if isinstance(login_error, LoginUnavailable):
        return refusal(request, HTTPStatus.SERVICE_UNAVAILABLE, str(login_error))
    if isinstance(login_error, TokenRefused):  # RFC 6750 3
        told = f'Bearer realm="dcm4py-leading", error="invalid_token", error_description="{login_error}"'
        return refusal(request, HTTPStatus.UNAUTHORIZED, str(login_error), headers={"WWW-Authenticate": told})
    if not is_for_people(request):
        challenge = _COOKIE if _is_script_of_ours(request) else _BASIC
        if request.state.takes_tokens:
            challenge = f"{_BEARER}, {challenge}"
        told = str(login_error or "log in")
        return refusal(request, HTTPStatus.UNAUTHORIZED, told, headers={"WWW-Authenticate": challenge})
    if "hx-request" in request.headers:  # htmx would put the log-in into a part of the page
        return Response(status_code=HTTPStatus.UNAUTHORIZED, headers={"HX-Redirect": LOGIN})
    if request.method not in ("GET", "HEAD"):  # what was sent is lost
        return RedirectResponse(LOGIN, HTTPStatus.SEE_OTHER)
    if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return HTMLResponse(_ONCE_MORE)
    wanted = request.scope["raw_path"].decode("ascii") + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"{LOGIN}?next={quote(wanted, safe='')}", HTTPStatus.SEE_OTHER)


def _is_script_of_ours(request: Request) -> bool:
    """True for a request that a script makes with the session of a log-in (Fetch Metadata, Sec-Fetch-*)."""
    headers = request.headers
    is_of_ours = (headers.get("sec-fetch-site"), headers.get("sec-fetch-dest")) == ("same-origin", "empty")
    return is_of_ours and "authorization" not in headers
