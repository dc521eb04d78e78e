"""``/ui/login`` and ``/ui/logout``: forms that need no JavaScript."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from dcm4py_leading.errors import LoginError, LoginThrottled, LoginUnavailable
from dcm4py_leading.model.bounds import LOGIN_FORM_BYTES
from dcm4py_leading.web.gate.access import LOGIN, LOGOUT
from dcm4py_leading.web.http.answers import is_page, refusal
from dcm4py_leading.web.login.cookie import delete_session_id, session_id_of, set_session_id
from dcm4py_leading.web.login.credentials import Credentials
from dcm4py_leading.web.login.doorkeeper import LoginDoorkeeper, address_of
from dcm4py_leading.web.pages.render import render

_HOME = "/ui/devices"
_MAX_FIELDS = 8


class _TooLong(Exception):
    """A form beyond its bound."""


def login_routes(doorkeeper: LoginDoorkeeper | None) -> list[BaseRoute]:
    """The routes; None: where no log-in is configured, these lead to the pages."""

    async def log_in(request: Request) -> Response:
        if doorkeeper is None:
            return _see(_HOME)
        if request.method in ("GET", "HEAD"):
            return _asked(request)
        try:
            form = await _form(request)
        except _TooLong:
            return refusal(request, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"longer than {LOGIN_FORM_BYTES} bytes")
        target = own_page(form.get("next", ""))
        try:
            session_id = await doorkeeper.log_in(
                Credentials(form.get("user", "").strip(), form.get("password", "")), address_of(request)
            )
        except LoginError as err:
            return _refused(request, err, target, form.get("user", ""))
        if (old := session_id_of(request)) is not None:
            doorkeeper.sessions.end(old)
        response = _see(target)
        set_session_id(request, response, session_id)
        return response

    async def log_out(request: Request) -> Response:
        response = _see(LOGIN)
        session_id = session_id_of(request)
        if doorkeeper is not None and session_id is not None:
            identity = doorkeeper.sessions.identity_of(session_id)
            doorkeeper.sessions.end(session_id)
            if identity is not None and "everywhere" in request.query_params:
                doorkeeper.sessions.end_all(identity.name)
        delete_session_id(request, response)
        return response

    return [
        Route(LOGIN, log_in, methods=["GET", "POST"]),
        Route(LOGOUT, log_out, methods=["POST"]),
    ]


def own_page(target: str) -> str:
    """Where to go after the log-in: a page of ours, whatever a link said. The first page otherwise."""
    is_own = is_page(target.partition("?")[0]) and target.isascii() and target.isprintable() and "\\" not in target
    return target if is_own and urlsplit(target).path not in (LOGIN, LOGOUT) else _HOME


def _asked(request: Request) -> Response:
    target = own_page(request.query_params.get("next", ""))
    if request.state.identity.name:
        return _see(target)
    return _page(request, target, shown={"is_from_elsewhere": _is_from_elsewhere(request)})


def _is_from_elsewhere(request: Request) -> bool:
    """True if a link on another site led here: to that, a browser adds no cookie with SameSite=Strict.

    Whoever is logged in all the same is found out by asking once more, from the page itself.
    """
    return request.headers.get("sec-fetch-site") in ("cross-site", "same-site") and session_id_of(request) is None


def _refused(request: Request, err: LoginError, target: str, user: str) -> Response:
    if isinstance(err, LoginThrottled):
        minutes = -(-err.retry_after_seconds // 60)
        shown = {"reason": "login.throttled", "minutes": minutes}
        response = _page(request, target, user, shown, HTTPStatus.TOO_MANY_REQUESTS)
        response.headers["Retry-After"] = str(err.retry_after_seconds)
        return response
    if isinstance(err, LoginUnavailable):
        return _page(request, target, user, {"reason": "login.unavailable"}, HTTPStatus.SERVICE_UNAVAILABLE)
    return _page(request, target, user, {"reason": "login.refused"}, HTTPStatus.FORBIDDEN)


def _page(
    request: Request,
    target: str,
    user: str = "",
    shown: Mapping[str, object] | None = None,
    status: HTTPStatus = HTTPStatus.OK,
) -> Response:
    context = {"identity": None, "next": target, "user": user, "reason": None, "minutes": 0, "is_from_elsewhere": False}
    return render(request, "login.html", {**context, **(shown or {})}, status_code=status)


def _see(target: str) -> Response:
    return RedirectResponse(target, HTTPStatus.SEE_OTHER)


async def _form(request: Request) -> Mapping[str, str]:
    """The fields of a form; of one that is there twice, the first. Raises _TooLong."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LOGIN_FORM_BYTES:
            raise _TooLong
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="replace")
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items()}
