"""Log-in in a real browser: what it makes of the form, of the cookie, and of a link on another site."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dcm4py_leading.web.app import guarded_app
from dcm4py_leading.web.gate.access import needs
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.http.addresses import HttpAddress
from dcm4py_leading.web.http.certificate import Certificate
from dcm4py_leading.web.http.server import HttpServer
from dcm4py_leading.web.login.doorkeeper import LoginDoorkeeper
from dcm4py_leading.web.login.endpoints import login_routes
from dcm4py_leading.web.login.password_file import FileUsers, add_user
from dcm4py_leading.web.pages.assets import asset_route
from dcm4py_leading.web.pages.render import render
from tests.fixtures.chromium import OpenWindow, screenshots
from tests.fixtures.tls import Authority

pytestmark = pytest.mark.peers

PASSWORD = "Anna's password"
PAGE = "/ui/devices"


async def page_of_ours(request: Request) -> Response:
    return render(request, "base.html")


@contextmanager
def site(folder: Path, certificate: Certificate | None) -> Iterator[str]:
    """Pages of ours, and one that another site might have: its host is localhost, and theirs 127.0.0.1."""
    file = folder / "users"
    add_user(file, "anna", frozenset({Role.VIEWER}), PASSWORD)
    doorkeeper = LoginDoorkeeper(FileUsers(file))
    routes = [asset_route(), Route(PAGE, needs(Role.VIEWER, page_of_ours)), *login_routes(doorkeeper)]
    app = guarded_app(routes, doorkeeper=doorkeeper)
    server = HttpServer(app, [HttpAddress("127.0.0.1", 0).bind()], certificate=certificate)
    server.start()
    try:
        yield f"{'http' if certificate is None else 'https'}://127.0.0.1:{server.port}"
    finally:
        server.stop()


@pytest.fixture(params=["https", "http"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    certificate = None
    if request.param == "https":
        pair = Authority(tmp_path).issue("archive", "IP:127.0.0.1")
        certificate = Certificate(pair.certificate, pair.key)
    with site(tmp_path, certificate) as url:
        yield url


def log_in(page: Page, address: str, password: str = PASSWORD) -> None:
    page.goto(f"{address}/ui/login?next={PAGE}")
    # The browser puts the cursor there when it has drawn the page, which may be after it says that it has loaded it.
    expect(page.get_by_label("User name")).to_be_focused()
    page.keyboard.type("anna")
    page.keyboard.press("Tab")
    page.keyboard.type(password)
    page.keyboard.press("Enter")


@pytest.mark.parametrize("has_scripts", [True, False])
def test_log_in_by_keyboard_and_log_out(open_window: OpenWindow, address: str, has_scripts: bool) -> None:
    window = open_window(ignore_https_errors=True, java_script_enabled=has_scripts)
    page = window.page
    log_in(page, address)
    page.wait_for_url(f"{address}{PAGE}")
    expect(page.get_by_text("Logged in as anna")).to_be_visible()
    (cookie,) = page.context.cookies()
    is_https = address.startswith("https:")
    assert (cookie["name"], cookie["secure"]) == (("__Host-dcm4py", True) if is_https else ("dcm4py", False))
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["expires"]) == (True, "Strict", -1)
    if has_scripts:
        assert page.evaluate("document.cookie") == ""
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url(f"{address}/ui/login")
    assert page.context.cookies() == []
    page.goto(f"{address}{PAGE}")
    page.wait_for_url(f"{address}/ui/login?next=*")


def test_wrong_password_is_told_and_the_name_kept(open_window: OpenWindow, address: str) -> None:
    for scheme in ("light", "dark"):
        for width in (390, 1280):
            page = open_window(
                ignore_https_errors=True, color_scheme=scheme, viewport={"width": width, "height": 800}
            ).page
            log_in(page, address, "wrong")
            expect(page.get_by_role("alert")).to_have_text("Wrong user name or password, or no role here.")
            expect(page.get_by_label("User name")).to_have_value("anna")
            expect(page.get_by_label("Password")).to_be_focused()
            page.screenshot(path=screenshots() / f"log-in-{scheme}-{width}.png")


def test_link_on_another_site_finds_the_session(open_window: OpenWindow, address: str) -> None:
    page = open_window(ignore_https_errors=True).page
    log_in(page, address)
    page.wait_for_url(f"{address}{PAGE}")
    elsewhere = "http://localhost/"
    link = f'<a href="{address}{PAGE}?a=b">a link in a mail</a>'
    page.route(elsewhere, lambda route: route.fulfill(body=link, content_type="text/html"))
    page.goto(elsewhere)
    page.get_by_role("link").click()
    page.wait_for_url(f"{address}{PAGE}?a=b")
    expect(page.get_by_text("Logged in as anna")).to_be_visible()


def test_form_on_another_site_changes_nothing(open_window: OpenWindow, address: str) -> None:
    page = open_window(ignore_https_errors=True).page
    log_in(page, address)
    page.wait_for_url(f"{address}{PAGE}")
    elsewhere = "http://localhost/"
    form = f'<form method="post" action="{address}/ui/logout"><button>win a prize</button></form>'
    page.route(elsewhere, lambda route: route.fulfill(body=form, content_type="text/html"))
    page.goto(elsewhere)
    page.get_by_role("button").click()
    expect(page.get_by_role("heading")).to_have_text("403")
    page.goto(f"{address}{PAGE}")
    expect(page.get_by_text("Logged in as anna")).to_be_visible()
