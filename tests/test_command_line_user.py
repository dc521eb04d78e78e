"""Users on the command line: the password file, and how serve is told who may log in."""

from __future__ import annotations

from pathlib import Path

import click
import httpx
import pytest
from click.testing import CliRunner, Result

from dcm4py_leading.__main__ import main
from dcm4py_leading.cli.login_options import Login, login_options
from dcm4py_leading.web.gate.identity import Role
from tests.fixtures.slapd import OUR_LDIF, Slapd
from tests.fixtures.users import PASSWORDS
from tests.fixtures.workers import Serve

QUICKSTART = str(OUR_LDIF / "quickstart.ldif")
PASSWORD = "Anna's password"


def run(*arguments: str | Path, typed: str | None = None) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], input=typed)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "users"
    assert run("user", "add", path, "anna", "--role", "administrator", typed=f"{PASSWORD}\n" * 2).exit_code == 0
    return path


def test_user_is_added_by_prompt_and_the_password_is_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "users"
    result = run("user", "add", path, "anna", "--role", "viewer", typed=f"{PASSWORD}\n{PASSWORD}\n")
    assert (result.exit_code, result.stdout) == (0, "")
    assert PASSWORD not in result.output
    assert run("user", "list", path).stdout == "anna: viewer\n"


def test_password_comes_from_a_file_or_standard_input(file: Path, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text(f"{PASSWORD}\nanother line\n")
    roles = ("--role", "viewer", "--role", "service")
    assert run("user", "add", file, "vera", *roles, "--password-file", password).exit_code == 0
    assert run("user", "add", file, "otto", *roles, "--password-file", "-", typed="Otto's password\n").exit_code == 0
    listed = "anna: administrator\nvera: service, viewer\notto: service, viewer\n"
    assert run("user", "list", file).stdout == listed


def test_no_option_takes_a_password() -> None:
    result = run("user", "add", "-h")
    assert "--password-file" in result.stdout
    assert "--password " not in result.stdout


def test_user_is_removed(file: Path) -> None:
    assert run("user", "remove", file, "anna").exit_code == 0
    assert run("user", "list", file).stdout == ""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("add", "{}", "anna", "--role", "viewer", "--password-file", "-"), "a user anna already"),
        (("add", "{}", "a:b", "--role", "viewer", "--password-file", "-"), "expected a user name"),
        (("remove", "{}", "vera"), "no user vera"),
        (("list", "{}.not"), "No such file"),
    ],
)
def test_refusal_exits_with_1(file: Path, arguments: tuple[str, ...], told: str) -> None:
    result = run("user", *(argument.format(file) for argument in arguments), typed="a password\n")
    assert (result.exit_code, result.stdout) == (1, "")
    assert told in result.stderr


def test_user_without_a_role_is_wrong_usage(file: Path) -> None:
    assert run("user", "add", file, "vera").exit_code == 2


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--ldif", QUICKSTART, "--login"), "--login needs a directory"),
        (("--ldif", QUICKSTART, "--login", "--login-file", QUICKSTART), "either --login or --login-file"),
        (("--ldap-url", "ldap://ldap.example/dc=a", "--login"), "without TLS: use ldaps:, ldapi: or --start-tls"),
        (("--ldap-url", "ldap://localhost/dc=a", "--login-user-filter", "uid={}"), "user filter"),
        (("--ldap-url", "ldap://localhost/dc=a", "--login", "--login-viewer-group", "ou=x"), "expected a group"),
        (("--ldif", QUICKSTART, "--oidc-issuer", "https://a", "--oidc-client", "b"), "wants --login or --login-file"),
        (("--ldif", QUICKSTART, "--oidc-issuer", "https://a"), "--oidc-issuer wants --oidc-client"),
        (("--ldif", QUICKSTART, "--oidc-issuer", "http://a.example", "--oidc-client", "b"), "expected an https: URL"),
        (("--ldif", QUICKSTART, "--oidc-client", "b"), "--oidc-client wants --oidc-issuer"),
    ],
)
def test_log_in_that_cannot_be_is_wrong_usage(tmp_path: Path, options: tuple[str, ...], told: str) -> None:
    result = run("serve", *options, "--data-dir", tmp_path / "data", "--http", "127.0.0.1:0")
    assert (result.exit_code, result.stdout) == (2, "")
    assert told in result.stderr


def test_groups_in_the_environment_are_parted_by_semicolons(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Login] = []

    @click.command()
    @login_options
    def command(login: Login) -> None:
        given.append(login)

    monkeypatch.setenv("DCM4PY_LOGIN_VIEWER_GROUP", "CN=PACS Readers,DC=a;guests")
    assert CliRunner().invoke(command).exit_code == 0
    assert given[0].groups[Role.VIEWER] == ("CN=PACS Readers,DC=a", "guests")
    assert given[0].groups[Role.ADMINISTRATOR] == ("admin", "root")


def test_file_that_others_may_read_ends_the_start(file: Path, tmp_path: Path) -> None:
    file.chmod(0o644)
    source = ("--ldif", QUICKSTART, "--data-dir", tmp_path / "data", "--http", "127.0.0.1:0")
    result = run("serve", *source, "--login-file", file)
    assert result.exit_code == 1
    assert "chmod 600" in result.stderr


@pytest.mark.parametrize("workers", [1, 2])
def test_service_lets_in_whoever_is_in_the_file(serve: Serve, file: Path, workers: int) -> None:
    served = serve(workers, options=("--login-file", str(file)))
    status = "/dcm4chee-arc/ctrl/status"
    assert served.http.get(status).status_code == 401
    assert served.http.get(status, auth=("anna", "wrong")).status_code == 401
    assert served.http.get(status, auth=("anna", PASSWORD)).json() == {"status": "STARTED"}
    assert served.http.post("/ui/login", data={"user": "anna", "password": PASSWORD}).status_code == 303
    assert served.http.post("/dcm4chee-arc/ctrl/reload", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 204
    assert PASSWORD not in served.told()


def test_service_lets_in_whoever_is_in_the_directory(serve: Serve, users_slapd: Slapd) -> None:
    source = ("--ldap-url", f"{users_slapd.url}/{users_slapd.base_dn}", "--bind-dn", users_slapd.bind_dn)
    account = ("--bind-password-file", str(users_slapd.password_file))
    served = serve(1, source=(*source, *account), options=("--login",))
    status = "/dcm4chee-arc/ctrl/status"
    assert served.http.get(status, auth=("vera", PASSWORDS["vera"])).status_code == 200
    assert served.http.get(status, auth=("otto", PASSWORDS["otto"])).status_code == 401
    assert _reload(served.http, "vera") == 403
    assert _reload(served.http, "anna") == 204


def _reload(http: httpx.Client, user: str) -> int:
    return http.post("/dcm4chee-arc/ctrl/reload", auth=(user, PASSWORDS[user])).status_code
