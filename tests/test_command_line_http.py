"""HTTP as the command line sets it up, and commands that ask a service which wants TLS and a log-in."""

from __future__ import annotations

import shutil
import signal
import ssl
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from dcm4py_leading.__main__ import main
from tests.fixtures.ports import free_port
from tests.fixtures.service import Seed
from tests.fixtures.slapd import OUR_LDIF
from tests.fixtures.tls import Authority, Pair
from tests.fixtures.workers import Serve, Served, until

QUICKSTART = str(OUR_LDIF / "quickstart.ldif")
PASSWORDS = {"anna": "Anna's password", "vera": "Vera's password", "probe": "the probe's password"}
ROLES = {"anna": "administrator", "vera": "viewer", "probe": "service"}


def run(*arguments: str | Path, environment: Mapping[str, str] | None = None, typed: str | None = None) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], env=environment, input=typed)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def pair(authority: Authority) -> Pair:
    return authority.issue("archive", "DNS:localhost,IP:127.0.0.1,IP:::1")


@pytest.fixture(scope="module")
def made_users(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """To make a password file takes long, as it has to."""
    path = tmp_path_factory.mktemp("made") / "users"
    for name, role in ROLES.items():
        typed = f"{PASSWORDS[name]}\n" * 2
        assert run("user", "add", path, name, "--role", role, typed=typed).exit_code == 0
    return path


@pytest.fixture
def users(made_users: Path, tmp_path: Path) -> Path:
    """A password file of the test's own."""
    return Path(shutil.copy(made_users, tmp_path / "users"))


def log_in(name: str, password: str | None = None) -> dict[str, str]:
    return {"DCM4PY_HTTP_USER": name, "DCM4PY_HTTP_PASSWORD": PASSWORDS[name] if password is None else password}


def serving(serve: Serve, pair: Pair, users: Path, *, workers: int, **more: object) -> Served:
    options = ("--http-cert", pair.certificate, "--http-key", pair.key, "--login-file", users)
    return serve(workers=workers, options=[*map(str, options)], **more)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--http", "0.0.0.0:0"), "give --login or --login-file"),
        (("--http", "0.0.0.0:0", "--http-insecure"), "give --login or --login-file"),
        (("--http", "127.0.0.1:0", "--http", "[::]:0"), "--http [::]:0"),
        (("--http", "0.0.0.0:0", "--login-file", "USERS"), "give --http-cert and --http-key, or --http-insecure"),
    ],
)
def test_serve_lets_nobody_else_in_by_mistake(options: tuple[str, ...], told: str, users: Path, tmp_path: Path) -> None:
    given = [str(users) if option == "USERS" else option for option in options]
    result = run("serve", "--ldif", QUICKSTART, "--data-dir", tmp_path / "data", *given)
    assert result.exit_code == 1
    assert told in result.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--http", "::1:8080"), "expected HOST:PORT"),
        (("--http-key", QUICKSTART), "--http-key wants --http-cert"),
        (("--http-url", "archive.example"), "expected https://HOST"),
        (("--http-trusted-proxy", "proxy.example"), "expected an IP address or a network"),
        (("--viewer-dir", str(OUR_LDIF)), f"{OUR_LDIF}: index.html of an OHIF build"),
    ],
)
def test_wrong_options_are_told_in_words(options: tuple[str, ...], told: str) -> None:
    result = run("serve", "--ldif", QUICKSTART, *options)
    assert result.exit_code == 2
    assert told in result.stderr


def test_invalid_certificate_is_reported_before_anything_is_created(tmp_path: Path) -> None:
    result = run("serve", "--ldif", QUICKSTART, "--data-dir", tmp_path / "data", "--http-cert", QUICKSTART)
    assert result.exit_code == 1
    assert "no certificate and key in PEM" in result.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_commands_log_in_over_tls(
    serve: Serve, seed: Seed, authority: Authority, pair: Pair, users: Path, workers: int, tmp_path: Path
) -> None:
    seed.lead()
    served = serving(serve, pair, users, workers=workers)
    where = ("--http", f"https://127.0.0.1:{served.http_port}", "--http-ca-file", authority.ca_file)
    assert run("status", *where, environment=log_in("vera")).stdout.startswith("UP\n")
    assert run("status", *where, environment=log_in("probe")).exit_code == 0
    assert run("reload", *where, environment=log_in("probe")).stderr.startswith("reloaded: ")
    password = tmp_path / "password"
    password.write_text(PASSWORDS["anna"] + "\n")
    dropped = run("cache", "drop", *where, "--http-user", "anna", "--http-password-file", password)
    assert dropped.stdout == "dropped 0 answers\n"
    assert run("log-reference", "1.2.3", *where, environment=log_in("vera")).exit_code == 0
    explained = run("explain", "--study", "1.2.3", "--to", "STORESCP", *where, environment=log_in("vera"))
    assert explained.stderr == "the study is not stored here\n"


def test_refused_user_is_told_why(serve: Serve, seed: Seed, authority: Authority, pair: Pair, users: Path) -> None:
    seed.lead()
    served = serving(serve, pair, users, workers=1)
    url = f"https://127.0.0.1:{served.http_port}"
    where = ("--http", url, "--http-ca-file", authority.ca_file)
    for command in ("status", "reload"):
        nobody = run(command, *where)
        assert nobody.exit_code == 1
        assert "--http-user" in nobody.stderr
        wrong = run(command, *where, environment=log_in("anna", "wrong"))
        assert wrong.exit_code == 1
        assert "wrong" in wrong.stderr and "--http-user" not in wrong.stderr
    viewer = run("reload", *where, environment=log_in("vera"))
    assert (viewer.exit_code, viewer.stderr) == (1, "vera has not the role service\n")
    unknown = run("status", "--http", url, environment=log_in("vera"))
    assert unknown.exit_code == 3
    assert "--http-ca-file" in unknown.stderr
    assert not any(password in served.told() for password in PASSWORDS.values())


def test_several_addresses_are_served_and_told(serve: Serve, seed: Seed) -> None:
    seed.lead()
    other = free_port()
    served = serve(workers=1, options=["--http", f"[::1]:{other}", "--http-url", "https://arc.example"])
    told = f"ready, control on http://127.0.0.1:{served.http_port}, http://[::1]:{other}, https://arc.example"
    told += ", pages at https://arc.example/ui/"
    assert told in served.told()
    assert "without a log-in: everybody on this machine" in served.told()
    assert httpx.get(f"http://[::1]:{other}/health/live", trust_env=False).status_code == 200
    assert served.http.get("/health/live", headers={"Host": "arc.example"}).status_code == 200
    assert served.http.get("/health/live", headers={"Host": "evil.example"}).status_code == 421


def test_sighup_takes_the_new_certificate(
    serve: Serve, seed: Seed, authority: Authority, pair: Pair, users: Path
) -> None:
    seed.lead()
    served = serving(serve, pair, users, workers=1)
    before = ssl.get_server_certificate(("127.0.0.1", served.http_port))
    renewed = authority.issue("renewed", "DNS:localhost,IP:127.0.0.1")
    for old, new in zip(pair, renewed, strict=True):
        old.write_bytes(new.read_bytes())
    served.process.send_signal(signal.SIGHUP)
    until(lambda: ssl.get_server_certificate(("127.0.0.1", served.http_port)) != before)
    pair.key.write_text("no key")
    served.process.send_signal(signal.SIGHUP)
    until(lambda: "the certificate of HTTP stays" in served.told())
    assert ssl.get_server_certificate(("127.0.0.1", served.http_port)) == renewed.certificate.read_text()


def test_a_password_goes_over_tls_only_or_stays_on_this_machine() -> None:
    result = run("status", "--http", "http://archive.example:8080", environment=log_in("anna"))
    assert result.exit_code == 2
    assert "the password would go there as plain text" in result.stderr
    assert run("status", "--http", f"http://127.0.0.1:{free_port()}", environment=log_in("anna")).exit_code == 3


def test_a_user_without_a_password_is_wrong_usage() -> None:
    result = run("status", "--http-user", "anna")
    assert result.exit_code == 2
    assert "--http-password-file or DCM4PY_HTTP_PASSWORD" in result.stderr


def test_no_option_takes_a_password() -> None:
    told = run("status", "-h").stdout
    assert "--http-password-file" in told
    assert "--http-password " not in told


@pytest.mark.parametrize(
    ("addresses", "certificate", "url"),
    [
        ("127.0.0.1:1 [::1]:2", "", "http://127.0.0.1:1"),
        ("[::1]:2", "", "http://[::1]:2"),
        ("127.0.0.1:1", QUICKSTART, "https://127.0.0.1:1"),
    ],
)
def test_the_environment_of_serve_names_the_service(addresses: str, certificate: str, url: str) -> None:
    result = run("status", environment={"DCM4PY_HTTP": addresses, "DCM4PY_HTTP_CERT": certificate})
    assert result.exit_code == 3
    assert result.stderr.startswith(f"{url}: ")
