"""The commands of docs/rest.md, run by curl against a directory with users, do what the page says."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import httpx
import pytest

from dcm4py_leading.config.ldap.login import LoginSearch
from dcm4py_leading.config.writing.editor import Editor
from dcm4py_leading.editing import editor_of
from dcm4py_leading.web.app import guarded_app
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.http.rooms import Room
from dcm4py_leading.web.login.directory import DEFAULT_GROUPS, DirectoryUsers
from dcm4py_leading.web.login.doorkeeper import LoginDoorkeeper
from dcm4py_leading.web.rest.configuration.routes import configuration_operations, configuration_routes
from tests.fixtures.configured import ARC, DEVICE_URL, OWN, site_of
from tests.fixtures.http import served
from tests.fixtures.slapd import OUR_LDIF, REPOSITORY, Slapd
from tests.fixtures.users import PASSWORDS, source_of

pytestmark = pytest.mark.peers

PAGE = (REPOSITORY / "docs" / "rest.md").read_text("utf-8")
COMMANDS = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
    if line.startswith("curl ") and not re.search("/ctrl/|/explain/", line)
]
OPERATIONS = configuration_operations(cast(Editor, object()), OWN)
SERVICES = set(re.findall(r"`(?:GET|PUT|POST|DELETE)?,? ?(?:DELETE )?(/dcm4chee-arc/[^`]*)`", PAGE))


@pytest.fixture
def rest(users_slapd: Slapd, tmp_path: Path) -> Iterator[httpx.Client]:
    """The services as they are configured at a site: LDAP, and log-in by the users of the directory."""
    assert users_slapd.ldapmodify(OUR_LDIF / "leading-cfind-scp.ldif").returncode == 0
    source = source_of(users_slapd)
    editor = editor_of(site_of(source, tmp_path / "data"))
    reading, changing = (Room(what, threads=4, waiting=32) for what in ("reading", "changing"))
    users = DirectoryUsers(source, LoginSearch(), DEFAULT_GROUPS)
    routes = configuration_routes(editor, OWN, reading=reading, changing=changing)
    with served(app=guarded_app(routes, doorkeeper=LoginDoorkeeper(users))) as client:
        client.timeout = httpx.Timeout(120)
        yield client


def run(command: str, rest: httpx.Client, user: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command of the page, as that user."""
    address = str(rest.base_url).rstrip("/")
    curl = f'curl -sS --fail-with-body --max-time 120 -u {user}:"$PASSWORD" '
    line = command.replace("http://localhost:8080", address).replace("curl ", curl, 1)
    environment = {"PATH": "/usr/bin:/bin", "PASSWORD": PASSWORDS[user], "no_proxy": "*"}
    return subprocess.run(
        ["/bin/bash", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def test_there_are_commands() -> None:
    assert len(COMMANDS) >= 15


def test_every_service_is_on_the_page_and_none_that_there_is_not() -> None:
    routes = [operation.path for operation in OPERATIONS]
    plain = {re.sub(r"\{\w+\}", "{}", path) for path in routes if "/devices/{deviceName}/" not in path}
    told = {re.sub(r"\{\w+\}", "{}", path) for path in SERVICES} - {f"{ARC}/devices/{{}}", f"{ARC}/openapi.json"}
    assert told == plain - {f"{ARC}/devices/{{}}"}


def test_an_administrator_runs_every_command_of_the_page(rest: httpx.Client, tmp_path: Path) -> None:
    for command in COMMANDS:
        done = run(command, rest, "anna", tmp_path)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    names = [rule["cn"] for rule in rest.get(f"{DEVICE_URL}/coercions", auth=("anna", PASSWORDS["anna"])).json()]
    assert names == ["Leading DCMQRSCP", "Leading for MR"]


def test_a_viewer_reads_and_changes_nothing(rest: httpx.Client, tmp_path: Path) -> None:
    for command in COMMANDS:
        done = run(command, rest, "vera", tmp_path)
        is_reading = " -X " not in command
        assert (done.returncode == 0) is is_reading, f"{command}\n{done.stdout}{done.stderr}"
        assert is_reading or "administrator" in done.stdout


def test_each_operation_wants_a_log_in_and_each_change_an_administrator(rest: httpx.Client) -> None:
    for operation in OPERATIONS:
        path = re.sub(r"\{\w+\}", "x", operation.path)
        assert operation.role is (Role.VIEWER if operation.method == "GET" else Role.ADMINISTRATOR)
        refused = rest.request(operation.method, path)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith("Basic ")
        allowed = rest.request(operation.method, path, auth=("vera", PASSWORDS["vera"]))
        assert (allowed.status_code == 403) is (operation.method != "GET")
