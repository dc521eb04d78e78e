"""Log-in over HTTP: the form, the cookie of a session, HTTP Basic; users in a real directory."""

from __future__ import annotations

import base64
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from importlib import resources
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dcm4py_leading.config.ldap.login import LoginSearch
from dcm4py_leading.errors import LoginRefused, LoginUnavailable
from dcm4py_leading.model.bounds import (
    LOGIN_CONFIRMED_SECONDS,
    LOGIN_FAILURES,
    LOGIN_FAILURES_SECONDS,
    LOGIN_FORM_BYTES,
    LOGIN_IDLE_SECONDS,
    LOGIN_REMEMBERED_SECONDS,
    LOGIN_SESSION_SECONDS,
)
from dcm4py_leading.web.app import Control, create_app, guarded_app
from dcm4py_leading.web.gate.access import needs
from dcm4py_leading.web.gate.identity import Identity, Role
from dcm4py_leading.web.login.directory import DEFAULT_GROUPS, DirectoryUsers
from dcm4py_leading.web.login.doorkeeper import BY_ITSELF, LoginDoorkeeper, Users
from dcm4py_leading.web.login.endpoints import login_routes, own_page
from tests.fixtures.clock import Clock
from tests.fixtures.directory import BASE_DN, DirectoryServer
from tests.fixtures.event_loop import run_in_loop
from tests.fixtures.http import served
from tests.fixtures.slapd import Slapd
from tests.fixtures.users import PASSWORDS, USERS, dn_of, source_of

GROUPS = {**DEFAULT_GROUPS, Role.SERVICE: (f"cn=watchers,ou=programs,{BASE_DN}",)}
ANNA = Identity("anna", frozenset({Role.ADMINISTRATOR}))
PAGE = "/ui/devices"
TEMPLATES = Path(str(resources.files("dcm4py_leading.web.pages"))) / "templates"
OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}


class SomeUsers:
    """Authenticator that counts how often it is asked; anna's password is hers."""

    def __init__(self) -> None:
        self.asked = 0
        self.is_down = False
        self.present: Identity | None = ANNA

    def authenticate(self, user: str, password: str) -> Identity:
        self.asked += 1
        if self.is_down:
            raise LoginUnavailable("down")
        if (user.lower(), password) != ("anna", PASSWORDS["anna"]):
            raise LoginRefused("wrong")
        return ANNA

    def confirmed(self, identity: Identity) -> Identity | None:
        if self.is_down:
            raise LoginUnavailable("down")
        assert identity.name == "anna"
        return self.present


class Site:
    """What answers, and those who ask: each client has cookies of its own."""

    def __init__(self, users: Users, running: ExitStack) -> None:
        self.clock = Clock()
        self.doorkeeper = LoginDoorkeeper(users, clock=self.clock)
        self._running = running

        async def who(request: Request) -> Response:
            identity: Identity = request.state.identity
            return JSONResponse({"name": identity.name, "roles": sorted(identity.roles)})

        routes = [
            Route(PAGE, needs(Role.VIEWER, who)),
            Route("/for/viewer", needs(Role.VIEWER, who)),
            Route("/for/administrator", needs(Role.ADMINISTRATOR, who)),
            Route("/for/service", needs(Role.SERVICE, who)),
            *login_routes(self.doorkeeper),
        ]
        app = guarded_app(routes, doorkeeper=self.doorkeeper)
        self.address = str(running.enter_context(served(app=app)).base_url)

    def client(self) -> httpx.Client:
        return self._running.enter_context(httpx.Client(base_url=self.address, trust_env=False, headers=OWN_PAGE))


def log_in(client: httpx.Client, user: str, password: str | None = None, **more: str) -> httpx.Response:
    form = {"user": user, "password": PASSWORDS[user] if password is None else password, **more}
    return client.post("/ui/login", data=form)


@pytest.fixture
def users() -> SomeUsers:
    return SomeUsers()


@pytest.fixture
def site(users: SomeUsers) -> Iterator[Site]:
    with ExitStack() as running:
        yield Site(users, running)


@pytest.fixture
def directory_site(users_directory: DirectoryServer) -> Iterator[Site]:
    with ExitStack() as running:
        yield Site(DirectoryUsers(source_of(users_directory), LoginSearch(), GROUPS), running)


# By the directory.


@pytest.mark.parametrize(
    ("user", "roles"), [("anna", ["administrator"]), ("vera", ["viewer"]), ("prometheus", ["service"])]
)
def test_roles_come_from_groups(directory_site: Site, user: str, roles: list[str]) -> None:
    answer = directory_site.client().get(f"/for/{roles[0]}", auth=(user, PASSWORDS[user]))
    assert answer.json() == {"name": user, "roles": roles}


@pytest.mark.parametrize(
    ("user", "path", "status"),
    [
        ("anna", "/for/viewer", 200),
        ("anna", "/for/service", 200),
        ("vera", "/for/administrator", 403),
        ("vera", "/for/service", 403),
        ("prometheus", "/for/viewer", 403),
        ("otto", "/for/viewer", 401),
    ],
)
def test_role_lets_in_where_it_is_needed(directory_site: Site, user: str, path: str, status: int) -> None:
    assert directory_site.client().get(path, auth=(user, PASSWORDS[user])).status_code == status


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("anna", "wrong"),
        ("anna", ""),
        ("nobody", PASSWORDS["anna"]),
        ("*)(uid=*", PASSWORDS["anna"]),
        ("otto", PASSWORDS["otto"]),
        ("anna\0", PASSWORDS["anna"]),
        ("anna", PASSWORDS["anna"] + "\0"),
        ("", ""),
    ],
)
def test_refused_login_is_not_told_why(directory_site: Site, user: str, password: str) -> None:
    client = directory_site.client()
    answer = log_in(client, user, password)
    assert answer.status_code == 403
    assert "Wrong user name or password, or no role here." in answer.text
    assert "set-cookie" not in answer.headers
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    basic = client.get("/for/viewer", headers={"Authorization": f"Basic {token}"})
    assert basic.status_code == 401
    assert basic.json() == {"errorMessage": "wrong user name or password, or no role here"}


def test_log_in_by_the_form(directory_site: Site) -> None:
    client = directory_site.client()
    answer = log_in(client, "vera")
    assert (answer.status_code, answer.headers["location"]) == (303, PAGE)
    assert client.get("/for/viewer").json() == {"name": "vera", "roles": ["viewer"]}
    assert client.get("/for/administrator").status_code == 403
    assert directory_site.client().get("/for/viewer").status_code == 401


def test_directory_that_is_down_is_503_and_no_wrong_log_in(users_slapd: Slapd, caplog: Any) -> None:
    with ExitStack() as running:
        site = Site(DirectoryUsers(source_of(users_slapd), LoginSearch(), GROUPS), running)
        users_slapd.stop()
        client = site.client()
        for _ in range(LOGIN_FAILURES):
            answer = log_in(client, "anna")
            assert answer.status_code == 503
            assert client.get("/for/viewer", auth=("anna", PASSWORDS["anna"])).status_code == 503
        assert "gives no answer" in answer.text
        assert f"nobody can log in: {users_slapd.url}" in caplog.text
        assert PASSWORDS["anna"] not in caplog.text
        users_slapd.start()
        assert log_in(client, "anna").status_code == 303


def test_curl_logs_in_as_scripts_do(directory_site: Site) -> None:
    command = ["curl", "-s", "-u", f"anna:{PASSWORDS['anna']}", f"{directory_site.address}/for/administrator"]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout == '{"name":"anna","roles":["administrator"]}'


# Sessions and their cookie.


def test_cookie_is_for_this_host_and_for_no_script(site: Site) -> None:
    cookie = log_in(site.client(), "anna").headers["set-cookie"]
    assert re.fullmatch(r"dcm4py=[\w-]{43}; HttpOnly; Path=/; SameSite=strict", cookie)


def test_cookie_over_https_has_the_host_prefix(site: Site) -> None:
    routes = [Route("/for/viewer", needs(Role.VIEWER, _nothing)), *login_routes(site.doorkeeper)]
    transport = httpx.ASGITransport(guarded_app(routes, doorkeeper=site.doorkeeper))

    async def cookies() -> tuple[str, int, int]:
        async with httpx.AsyncClient(transport=transport, base_url="https://localhost", headers=OWN_PAGE) as client:
            answer = await client.post("/ui/login", data={"user": "anna", "password": PASSWORDS["anna"]})
            right = await client.get("/for/viewer")
            session_id = client.cookies["__Host-dcm4py"]
            client.cookies.clear()
            under_the_other_name = await client.get("/for/viewer", headers={"Cookie": f"dcm4py={session_id}"})
            return answer.headers["set-cookie"], right.status_code, under_the_other_name.status_code

    cookie, right, under_the_other_name = run_in_loop(cookies)
    assert re.fullmatch(r"__Host-dcm4py=[\w-]{43}; HttpOnly; Path=/; SameSite=strict; Secure", cookie)
    assert (right, under_the_other_name) == (200, 401)


def test_identifier_that_somebody_else_chose_never_counts(site: Site) -> None:
    client = site.client()
    client.cookies.set("dcm4py", "chosen-by-somebody-else", domain="127.0.0.1")
    assert client.get("/for/viewer").status_code == 401
    answer = log_in(client, "anna")
    assert "chosen" not in answer.headers["set-cookie"]
    assert client.get("/for/viewer").status_code == 200
    other = site.client()
    other.cookies.set("dcm4py", "chosen-by-somebody-else", domain="127.0.0.1")
    assert other.get("/for/viewer").status_code == 401


def test_log_in_ends_the_session_before_it(site: Site) -> None:
    client = site.client()
    log_in(client, "anna")
    before = client.cookies["dcm4py"]
    log_in(client, "anna")
    assert client.cookies["dcm4py"] != before
    assert site.client().get("/for/viewer", headers={"Cookie": f"dcm4py={before}"}).status_code == 401
    assert client.get("/for/viewer").status_code == 200


def test_log_out_ends_the_session_on_the_server(site: Site) -> None:
    client = site.client()
    log_in(client, "anna")
    stolen = client.cookies["dcm4py"]
    answer = client.post("/ui/logout")
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/login")
    assert "dcm4py" not in client.cookies
    assert site.client().get("/for/viewer", headers={"Cookie": f"dcm4py={stolen}"}).status_code == 401
    assert client.post("/ui/logout").status_code == 303
    assert client.get("/ui/logout").status_code == 405


def test_log_out_everywhere(site: Site) -> None:
    here, there = site.client(), site.client()
    for client in (here, there):
        log_in(client, "anna")
    assert there.get("/for/viewer").status_code == 200
    here.post("/ui/logout?everywhere")
    assert there.get("/for/viewer").status_code == 401


def test_session_ends_by_time(site: Site) -> None:
    client = site.client()
    log_in(client, "anna")
    site.clock.now += LOGIN_IDLE_SECONDS - 1
    assert client.get("/for/viewer").status_code == 200
    site.clock.now += LOGIN_IDLE_SECONDS
    assert client.get("/for/viewer").status_code == 401
    log_in(client, "anna")
    for _ in range(int(LOGIN_SESSION_SECONDS / 1000)):
        assert client.get("/for/viewer").status_code == 200
        site.clock.now += 1010
    assert client.get("/for/viewer").status_code == 401


def test_page_that_renews_itself_keeps_no_session_alive(site: Site) -> None:
    client = site.client()
    log_in(client, "anna")
    for _ in range(2):
        site.clock.now += LOGIN_IDLE_SECONDS / 2 - 1
        assert client.get("/for/viewer", headers={BY_ITSELF: "true"}).status_code == 200
    site.clock.now += 2
    assert client.get("/for/viewer").status_code == 401


def test_pages_say_what_they_ask_by_themselves() -> None:
    renewed = [path.read_text() for path in TEMPLATES.glob("*.html") if 'hx-trigger="every' in path.read_text()]
    assert renewed
    assert all(text.count('hx-trigger="every') == text.count(BY_ITSELF) for text in renewed)


def test_roles_are_looked_up_again_while_a_session_lasts(site: Site, users: SomeUsers) -> None:
    client = site.client()
    log_in(client, "anna")
    users.present = Identity("anna", frozenset({Role.VIEWER}))
    site.clock.now += LOGIN_CONFIRMED_SECONDS - 1
    assert client.get("/for/administrator").status_code == 200
    site.clock.now += 1
    assert [client.get("/for/administrator").status_code for _ in range(2)] == [403, 403]
    assert client.get("/for/viewer").status_code == 200


def test_session_of_a_user_who_is_gone_ends(site: Site, users: SomeUsers) -> None:
    client = site.client()
    log_in(client, "anna")
    users.present = None
    site.clock.now += LOGIN_CONFIRMED_SECONDS
    assert client.get("/for/viewer").status_code == 401
    users.present = ANNA
    assert client.get("/for/viewer").status_code == 401


def test_session_outlives_a_directory_that_is_down(site: Site, users: SomeUsers) -> None:
    client = site.client()
    log_in(client, "anna")
    users.is_down = True
    site.clock.now += LOGIN_CONFIRMED_SECONDS
    assert client.get("/for/viewer").status_code == 200


def test_user_who_leaves_a_group_loses_the_role(users_slapd: Slapd) -> None:
    with ExitStack() as running:
        site = Site(DirectoryUsers(source_of(users_slapd), LoginSearch(), GROUPS), running)
        client = site.client()
        log_in(client, "vera")
        change = f"dn: cn=user,{USERS}\nchangetype: modify\ndelete: member\nmember: {dn_of('vera')}\n"
        assert users_slapd.ldapmodify(change).returncode == 0
        assert client.get("/for/viewer").status_code == 200
        site.clock.now += LOGIN_CONFIRMED_SECONDS
        assert client.get("/for/viewer").status_code == 401


# The form.


def test_form_works_without_scripts_and_leads_back(site: Site) -> None:
    client = site.client()
    asked = client.get(f"{PAGE}?search=a%26b")
    assert asked.status_code == 303
    form = client.get(asked.headers["location"])
    target = re.search(r'name="next" value="([^"]*)"', form.text)
    assert target is not None
    assert log_in(client, "anna", next=target[1]).headers["location"] == f"{PAGE}?search=a%26b"


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/ui/",
        "//evil.example/ui/devices",
        "//[evil",
        "/\\evil.example/ui/",
        "/ui/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/ui/devices\r\nSet-Cookie: a=b",
        "/ui",
        "/dcm4chee-arc/ctrl/status",
        "/ui/login",
        "/ui/login?next=/ui/login",
        "/ui/logout",
        "/viewers",
        "//viewer/",
        " /ui/devices",
        "/\tui/devices",
        "http:/ui/devices",
        "",
    ],
)
def test_nobody_is_led_elsewhere(site: Site, target: str) -> None:
    client = site.client()
    assert own_page(target) == PAGE
    form = client.get("/ui/login", params={"next": target})
    assert f'name="next" value="{PAGE}"' in form.text
    assert log_in(client, "anna", next=target).headers["location"] == PAGE


@pytest.mark.parametrize(
    "target", ["/ui/control", "/ui/devices/a%20b?x=//evil.example", "/ui/devices#part", "/viewer?StudyInstanceUIDs=1.2"]
)
def test_own_pages_are_led_to(target: str) -> None:
    assert own_page(target) == target


def test_typed_values_are_shown_as_text_and_the_password_never(site: Site) -> None:
    answer = log_in(site.client(), '"><script>alert(1)</script>', "a secret word", next='/ui/"><script>')
    assert "<script>alert" not in answer.text and '"><script>' not in answer.text
    assert "&lt;script&gt;alert(1)" in answer.text
    assert "a secret word" not in answer.text


def test_form_speaks_german(site: Site) -> None:
    answer = site.client().get("/ui/login", headers={"Accept-Language": "de"})
    assert "Benutzername" in answer.text


@pytest.mark.parametrize("place", ["cross-site", "same-site"])
def test_link_from_elsewhere_asks_once_more_for_the_cookie_that_was_not_sent(site: Site, place: str) -> None:
    client = site.client()
    link = {"Sec-Fetch-Site": place, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert 'http-equiv="refresh"' in client.get("/ui/login?next=/ui/control", headers=link).text
    assert 'http-equiv="refresh"' not in client.get("/ui/login?next=/ui/control").text
    log_in(client, "anna")
    assert client.get("/ui/login?next=/ui/control").headers["location"] == "/ui/control"


def test_logged_in_user_is_not_asked_again(site: Site) -> None:
    client = site.client()
    log_in(client, "anna")
    answer = client.get("/ui/login?next=/ui/control")
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/control")


def test_form_is_bounded(site: Site, users: SomeUsers) -> None:
    client = site.client()
    assert client.post("/ui/login", data={"user": "a" * LOGIN_FORM_BYTES}).status_code == 413
    many = "&".join(f"field{number}=x" for number in range(1000))
    assert client.post("/ui/login", content=many).status_code == 403
    assert client.post("/ui/login", content=b"\xff\xfe=\x00").status_code == 403


def test_page_of_another_site_cannot_log_anybody_in(site: Site, users: SomeUsers) -> None:
    form = {"user": "anna", "password": PASSWORDS["anna"]}
    answer = site.client().post(
        "/ui/login", data=form, headers={"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    )
    assert answer.status_code == 403
    assert users.asked == 0


# HTTP Basic.


def test_right_password_is_remembered_for_a_short_time(site: Site, users: SomeUsers) -> None:
    client = site.client()
    auth = ("anna", PASSWORDS["anna"])
    for _ in range(3):
        assert client.get("/for/viewer", auth=auth).status_code == 200
    assert users.asked == 1
    site.clock.now += LOGIN_REMEMBERED_SECONDS
    assert client.get("/for/viewer", auth=auth).status_code == 200
    assert users.asked == 2


def test_wrong_password_is_never_remembered(site: Site, users: SomeUsers) -> None:
    client = site.client()
    assert client.get("/for/viewer", auth=("anna", PASSWORDS["anna"])).status_code == 200
    for _ in range(2):
        assert client.get("/for/viewer", auth=("anna", "wrong")).status_code == 401
    assert users.asked == 3
    # Neither part may flow into the other.
    assert client.get("/for/viewer", auth=("ann", f"a{PASSWORDS['anna']}")).status_code == 401


def test_basic_begins_no_session(site: Site) -> None:
    client = site.client()
    assert "set-cookie" not in client.get("/for/viewer", auth=("anna", PASSWORDS["anna"])).headers
    assert client.get("/for/viewer").status_code == 401


def test_wrong_basic_is_not_made_good_by_a_cookie(site: Site) -> None:
    client = site.client()
    log_in(client, "anna")
    assert client.get("/for/viewer", auth=("anna", "wrong")).status_code == 401
    assert client.get("/for/viewer", headers={"Authorization": "Basic !"}).status_code == 401
    assert client.get("/for/viewer", headers={"Authorization": "Bearer x"}).status_code == 200


# Too many.


def test_ten_wrong_log_ins_are_throttled_and_then_the_right_one_too(
    site: Site, users: SomeUsers, caplog: pytest.LogCaptureFixture
) -> None:
    client = site.client()
    for number in range(LOGIN_FAILURES):
        assert log_in(client, "anna", f"guess number {number}").status_code == 403
    answer = log_in(client, "anna")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "300")
    assert "Try again in 5 min" in answer.text
    assert users.asked == LOGIN_FAILURES
    basic = client.get("/for/viewer", auth=("anna", PASSWORDS["anna"]))
    assert (basic.status_code, basic.headers["retry-after"]) == (429, "300")
    assert caplog.text.count("10 wrong log-ins") == 1
    assert "guess number" not in caplog.text
    site.clock.now += LOGIN_FAILURES_SECONDS
    assert log_in(client, "anna").status_code == 303


def test_basic_is_throttled_alike(site: Site, users: SomeUsers) -> None:
    client = site.client()
    right = ("anna", PASSWORDS["anna"])
    assert client.get("/for/viewer", auth=right).status_code == 200
    for number in range(LOGIN_FAILURES):
        assert client.get("/for/viewer", auth=("anna", f"wrong {number}")).status_code == 401
    assert client.get("/for/viewer", auth=("anna", "wrong")).status_code == 429
    assert client.get("/for/viewer", auth=right).status_code == 429, "also one that is remembered"
    assert log_in(client, "anna").status_code == 429
    assert users.asked == LOGIN_FAILURES + 1


def at_the_same_time(site: Site, passwords: list[str]) -> list[int]:
    """What anna gets with each of them."""
    clients = [site.client() for _ in passwords]
    with ThreadPoolExecutor(len(passwords)) as threads:
        ask = [
            threads.submit(client.get, "/for/viewer", auth=("anna", password))
            for client, password in zip(clients, passwords, strict=True)
        ]
        return [answer.result().status_code for answer in ask]


def test_many_wrong_ones_at_the_same_time_are_throttled_too(site: Site, users: SomeUsers) -> None:
    statuses = at_the_same_time(site, [f"guess number {number}" for number in range(3 * LOGIN_FAILURES)])
    assert (statuses.count(401), statuses.count(429)) == (LOGIN_FAILURES, 2 * LOGIN_FAILURES)
    assert users.asked == LOGIN_FAILURES


def test_many_right_ones_at_the_same_time_are_one(site: Site, users: SomeUsers) -> None:
    assert set(at_the_same_time(site, 3 * LOGIN_FAILURES * [PASSWORDS["anna"]])) == {200}
    assert users.asked == 1


def test_sessions_are_not_touched_by_others_wrong_log_ins(site: Site) -> None:
    client = site.client()
    log_in(client, "anna")
    for number in range(LOGIN_FAILURES + 1):
        log_in(site.client(), "anna", f"wrong {number}")
    assert client.get("/for/viewer").status_code == 200


# The service itself.


class Service:
    def is_ready(self) -> bool:
        return True

    def state(self) -> dict[str, object]:
        return {"device": "dcm4chee-arc"}

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the service is asked for {name}")


def test_service_asks_for_a_log_in(users: SomeUsers) -> None:
    app = create_app(cast(Control, Service()), doorkeeper=LoginDoorkeeper(users))
    with served(app=app) as client:
        assert client.get("/dcm4chee-arc/ctrl/status").status_code == 401
        assert client.get("/dcm4chee-arc/ctrl/status", auth=("anna", PASSWORDS["anna"])).status_code == 200
        assert client.get("/ui/login").status_code == 200


def test_without_a_log_in_there_is_nothing_to_type() -> None:
    with served(app=create_app(cast(Control, Service()))) as client:
        assert client.get("/ui/login").headers["location"] == PAGE
        assert client.get("/dcm4chee-arc/ctrl/status").status_code == 200


async def _nothing(_: Request) -> Response:
    return Response()
