"""Who may ask for what. Every route of the application is walked, so none is forgotten."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, cast

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, request_response

from dcm4py_leading.config.writing.editor import Editor
from dcm4py_leading.errors import LoginError, LoginRefused, LoginThrottled, LoginUnavailable
from dcm4py_leading.web.app import Configured, Control, create_app, guarded_app
from dcm4py_leading.web.gate.access import PUBLIC, needs, roles_needed, unguarded
from dcm4py_leading.web.gate.identity import Identity, Role
from tests.fixtures.http import served


class Service:
    def is_ready(self) -> bool:
        return True

    def state(self) -> dict[str, object]:
        return {"device": "dcm4chee-arc"}

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the service is asked for {name}")


class Doorkeeper:
    """Believes whatever role the request says it has."""

    async def identify(self, request: Request) -> Identity | None:
        if (role := request.headers.get("x-role")) is None:
            return None
        if role == "refused":
            raise LoginRefused("wrong user or password")
        if role == "throttled":
            raise LoginThrottled("too many", retry_after_seconds=7)
        if role == "unavailable":
            raise LoginUnavailable("the directory gives no answer")
        return Identity(f"a {role}", frozenset({Role(role)} if role in set(Role) else ()))


APP = create_app(
    cast(Control, Service()),
    doorkeeper=Doorkeeper(),
    configured=Configured(cast(Editor, Service()), "dcm4chee-arc"),
)
GUARDED = [
    (method, route)
    for route in APP.routes
    if isinstance(route, Route) and route.path not in PUBLIC
    for method in sorted(route.methods or ())
]
CHANGES_NOTHING = {
    "/dcm4chee-arc/aets/{aet}/dimse/{remote}",
    "/ui/check",
    "/ui/matches",
    "/ui/leading/echo",
    "/ui/studies",
    "/ui/try",
}
"""POST since dcm4chee has it so (a C-ECHO), since a form is looked at, or lest what was typed stands in an address."""


async def secret(_: Request) -> Response:
    return JSONResponse("secret")


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with served(app=APP) as client:
        yield client


@pytest.fixture
def page() -> Iterator[httpx.Client]:
    """One page for viewers, which takes a form, and one for administrators."""
    routes = [
        Route("/ui/devices/{name}", needs(Role.VIEWER, secret), methods=["GET", "POST"]),
        Route("/ui/control", needs(Role.ADMINISTRATOR, secret)),
    ]
    with served(app=guarded_app(routes, doorkeeper=Doorkeeper())) as client:
        yield client


def test_every_route_needs_a_role_or_is_meant_for_everybody() -> None:
    assert unguarded(APP.routes) == []
    assert len(GUARDED) > 50


@pytest.mark.parametrize(("method", "route"), GUARDED, ids=lambda value: getattr(value, "path", value))
def test_no_route_but_the_public_ones_answers_those_who_have_not_logged_in(
    http: httpx.Client, method: str, route: Route
) -> None:
    path = re.sub(r"\{[^}]*\}", "1", route.path)
    if path.startswith("/ui/"):
        assert http.request(method, path).headers["location"].startswith("/ui/login")
        return
    assert http.request(method, path).status_code == 401
    assert http.request(method, path, headers={"X-Role": "nobody"}).status_code == 403


@pytest.mark.parametrize(("method", "route"), GUARDED, ids=lambda value: getattr(value, "path", value))
def test_changes_are_not_for_viewers(method: str, route: Route) -> None:
    if method not in ("GET", "HEAD") and route.path not in CHANGES_NOTHING:
        assert Role.VIEWER not in roles_needed(route)


@pytest.mark.parametrize(
    "route",
    [
        Route("/new", secret),
        Mount("/below", routes=[Route("/new", secret)]),
        Mount("/ui/assets/{name}", app=request_response(secret)),
    ],
)
def test_an_application_with_a_forgotten_route_is_not_made(route: Route | Mount) -> None:
    with pytest.raises(ValueError, match="no role is needed"):
        guarded_app([route])


@pytest.mark.parametrize(
    ("needed", "role", "status"),
    [
        (Role.VIEWER, "viewer", 200),
        (Role.VIEWER, "administrator", 200),
        (Role.VIEWER, "service", 403),
        (Role.SERVICE, "service", 200),
        (Role.SERVICE, "administrator", 200),
        (Role.SERVICE, "viewer", 403),
        (Role.ADMINISTRATOR, "viewer", 403),
        (Role.ADMINISTRATOR, "service", 403),
        (Role.ADMINISTRATOR, "administrator", 200),
    ],
)
def test_a_role_lets_in_where_it_is_needed_and_an_administrator_everywhere(
    needed: Role, role: str, status: int
) -> None:
    app = guarded_app([Route("/secret", needs(needed, secret))], doorkeeper=Doorkeeper())
    with served(app=app) as http:
        answer = http.get("/secret", headers={"X-Role": role})
    assert answer.status_code == status
    assert (status == 200) == ("secret" in answer.text)
    assert (status == 200) or f"a {role} has not the role {needed}" in answer.json()["errorMessage"]


def test_one_of_two_roles_is_enough() -> None:
    app = guarded_app([Route("/secret", needs(Role.SERVICE, secret, or_role=Role.VIEWER))], doorkeeper=Doorkeeper())
    with served(app=app) as http:
        codes = [http.get("/secret", headers={"X-Role": role}).status_code for role in ("viewer", "service", "nobody")]
    assert codes == [200, 200, 403]


def test_programs_are_told_how_to_log_in(http: httpx.Client) -> None:
    answer = http.get("/metrics")
    assert answer.headers["www-authenticate"].startswith('Basic realm="dcm4py-leading"')
    assert answer.json() == {"errorMessage": "log in"}


def test_scripts_of_pages_and_viewer_open_no_box_of_the_browser(http: httpx.Client) -> None:
    script = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "empty"}
    answer = http.get("/metrics", headers=script)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Cookie realm="dcm4py-leading", form-action="/ui/login"'
    for others in ({**script, "Sec-Fetch-Site": "none"}, {**script, "Authorization": "Basic !"}):
        assert http.get("/metrics", headers=others).headers["www-authenticate"].startswith("Basic ")


def test_people_are_led_to_the_log_in_and_back(page: httpx.Client) -> None:
    answer = page.get("/ui/devices/a%20b%22?lang=de&x=%26")
    assert answer.status_code == 303
    location = httpx.URL(answer.headers["location"])
    assert location.path == "/ui/login"
    assert httpx.QueryParams(location.query)["next"] == "/ui/devices/a%20b%22?lang=de&x=%26"


def test_a_link_from_another_site_is_asked_for_again_as_the_first_time_is_without_the_cookie(
    page: httpx.Client,
) -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    answer = page.get("/ui/devices/a", headers=link)
    assert answer.status_code == 200
    assert '<meta http-equiv="refresh" content="0">' in answer.text
    assert page.get("/ui/devices/a", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 303


def test_a_form_that_was_sent_too_late_leads_to_the_log_in_alone(page: httpx.Client) -> None:
    answer = page.post("/ui/devices/a")
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/login")


def test_a_part_of_a_page_is_not_replaced_by_the_log_in(page: httpx.Client) -> None:
    answer = page.get("/ui/devices/a", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["hx-redirect"]) == (401, "/ui/login")


def test_people_without_the_role_get_a_page_that_says_so(page: httpx.Client) -> None:
    answer = page.get("/ui/control", headers={"X-Role": "viewer"})
    assert answer.status_code == 403
    assert answer.headers["content-type"].startswith("text/html")
    assert "a viewer has not the role administrator" in answer.text


@pytest.mark.parametrize(
    ("role", "status", "header"),
    [("refused", 401, "www-authenticate"), ("throttled", 429, "retry-after"), ("unavailable", 503, "content-type")],
)
def test_why_credentials_do_not_do_is_told(http: httpx.Client, role: str, status: int, header: str) -> None:
    answer = http.get("/metrics", headers={"X-Role": role})
    assert answer.status_code == status
    assert header in answer.headers
    assert answer.json()["errorMessage"]


def test_health_is_open_without_details(http: httpx.Client) -> None:
    assert http.get("/health/live").json() == {"status": "UP"}
    for headers in ({}, {"X-Role": "nobody"}, {"X-Role": "refused"}):
        assert http.get("/health/ready", headers=headers).json() == {"status": "UP"}
    for role in Role:
        assert http.get("/health/ready", headers={"X-Role": role}).json()["device"] == "dcm4chee-arc"


def test_liveness_needs_no_authentication() -> None:
    class Silent:
        async def identify(self, request: Request) -> Identity | None:
            raise AssertionError("asked")

    with served(app=create_app(cast(Control, Service()), doorkeeper=Silent())) as http:
        assert http.get("/health/live").status_code == 200


def test_errors_of_a_log_in_are_of_one_family() -> None:
    assert all(issubclass(kind, LoginError) for kind in (LoginRefused, LoginThrottled, LoginUnavailable))


def test_the_address_alone_leads_to_the_pages(http: httpx.Client) -> None:
    answer = http.get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/")


@pytest.mark.parametrize(
    ("path", "host", "status", "title"),
    [
        ("/ui/nowhere", "localhost", 404, "Diese Seite gibt es nicht"),
        ("/ui/login", "evil.example", 421, "Abgelehnt"),
    ],
)
def test_people_are_refused_in_their_language(
    http: httpx.Client, path: str, host: str, status: int, title: str
) -> None:
    answer = http.get(path, headers={"Host": host, "Accept-Language": "de"})
    assert answer.status_code == status
    assert title in answer.text
