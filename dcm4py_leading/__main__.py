"""The command line: ``dcm4py-leading``, also ``python -m dcm4py_leading``.

Results go to stdout, remarks and the log to stderr. Exit code 0 good, 1 problems found, 2 wrong usage, 3 directory or
service unreachable. Every option can be given as environment variable ``DCM4PY_<OPTION>``.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn

import click

from dcm4py_leading import __version__, log
from dcm4py_leading.app import Service, Site, check, unserved_lines
from dcm4py_leading.config.entry import ConfigSource
from dcm4py_leading.config.ldap_source import LdapSource, parse_ldap_properties
from dcm4py_leading.config.ldif_source import LdifSource
from dcm4py_leading.config.show import describe
from dcm4py_leading.errors import ConfigError, ConfigInvalid, ConfigUnavailable, Dcm4pyError, Problem
from dcm4py_leading.web.app import create_app, problem_json
from dcm4py_leading.web.server import HttpServer

PROBLEMS, UNREACHABLE = 1, 3


def option(*names: str, **settings: Any) -> Callable[[Any], Any]:
    """A click option that is also an environment variable."""
    variable = "DCM4PY_" + names[0].lstrip("-").replace("-", "_").upper()
    return click.option(*names, envvar=variable, show_envvar=True, **settings)


def fail(message: str, code: int) -> NoReturn:
    """Say why on stderr, and end."""
    click.echo(message, err=True)
    sys.exit(code)


def source_options(command: Callable[..., None]) -> Any:
    """The SOURCE of a configuration, given to the command as one `Site`."""

    @option("--ldap-url", multiple=True, metavar="URL", help="ldap[s]://HOST:PORT/BASE_DN; repeat it for failover.")
    @option("--bind-dn", metavar="DN", help="Simple bind; anonymous without it. Password: DCM4PY_BIND_PASSWORD.")
    @option("--bind-password-file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
    @option("--start-tls", is_flag=True, help="StartTLS before the bind.")
    @option("--ca-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="CA certificates (PEM).")
    @option(
        "--ldap-properties",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="dcm4che's ldap.properties instead of the options above.",
    )
    @option(
        "--ldif",
        multiple=True,
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="The embedded directory: LDIF files, in order, instead of a server.",
    )
    @option("--device", default="dcm4chee-arc", show_default=True, help="dicomDeviceName.")
    @option("--property", "properties", multiple=True, metavar="NAME=VALUE", help="Value of a ${NAME} placeholder.")
    @option(
        "--data-dir",
        default="dcm4py-data",
        show_default=True,
        type=click.Path(file_okay=False, path_type=Path),
        help="Index, objects, keys.",
    )
    @option(
        "--log-level",
        default="INFO",
        show_default=True,
        type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"], case_sensitive=False),
    )
    @wraps(command)
    def with_site(
        ldap_url: tuple[str, ...],
        bind_dn: str | None,
        bind_password_file: Path | None,
        start_tls: bool,
        ca_file: Path | None,
        ldap_properties: Path | None,
        ldif: tuple[Path, ...],
        device: str,
        properties: tuple[str, ...],
        data_dir: Path,
        log_level: str,
        **rest: Any,
    ) -> None:
        if sum(map(bool, (ldap_url, ldap_properties, ldif))) != 1:
            raise click.UsageError("give exactly one of --ldap-url, --ldap-properties, --ldif")
        log.configure(log_level.upper())
        log.quieten_pydicom()
        source: ConfigSource
        try:
            if ldif:
                source = LdifSource(ldif)
            elif ldap_properties:
                source = LdapSource(**parse_ldap_properties(ldap_properties), ca_file=ca_file, start_tls=start_tls)
            else:
                password = os.environ.get("DCM4PY_BIND_PASSWORD")
                if bind_password_file:
                    password = bind_password_file.read_text().rstrip("\r\n")
                source = LdapSource(
                    urls=ldap_url, bind_dn=bind_dn, password=password, start_tls=start_tls, ca_file=ca_file
                )
        except ValueError as err:
            raise click.UsageError(str(err)) from err
        pairs = [text.partition("=") for text in properties]
        if any(not separator for _, separator, _ in pairs):
            raise click.UsageError("--property wants NAME=VALUE")
        site = Site(
            source=source,
            device_name=device,
            properties={name: value for name, _, value in pairs},
            data_dir=data_dir.absolute(),
        )
        try:
            command(site=site, **rest)
        except ConfigUnavailable as err:
            fail(str(err), UNREACHABLE)
        except Dcm4pyError as err:
            fail(str(err), PROBLEMS)

    return with_site


@click.group()
@click.version_option(__version__, prog_name="dcm4py-leading")
def main() -> None:
    """DICOM query/retrieve service that delivers the attributes of a leading archive, configured from LDAP."""


@main.command()
@source_options
@option("--http", default="127.0.0.1:8080", show_default=True, metavar="HOST:PORT", help="Control and health.")
@option("--drain", default=30.0, show_default=True, help="Seconds that associations get to end on SIGTERM.")
def serve(site: Site, http: str, drain: float) -> None:
    """Run the service. SIGHUP reloads, SIGTERM drains and stops."""
    host, separator, port = http.rpartition(":")
    if not separator or not port.isdecimal():
        raise click.UsageError("--http wants HOST:PORT")
    wishes: queue.SimpleQueue[signal.Signals] = queue.SimpleQueue()
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: wishes.put(signal.Signals(received)))
    try:
        site.data_dir.mkdir(parents=True, exist_ok=True)
        service = Service(site)
    except OSError as err:
        fail(f"{site.data_dir}: {err.strerror or err}", PROBLEMS)
    web = None
    try:
        web = HttpServer(create_app(service), host.strip("[]"), int(port))
        web.start()
        click.echo(f"ready, control on http://{host}:{web.port}", err=True)
        while wishes.get() is signal.SIGHUP:
            with contextlib.suppress(ConfigError):  # told by the service; the old configuration runs on
                service.reload()
    finally:
        if web is not None:
            web.stop()
        service.stop(drain)


@main.command(name="check")
@source_options
@click.option("--json", "as_json", is_flag=True, help="Problems as JSON.")
def check_command(site: Site, as_json: bool) -> None:
    """Print every problem of the configuration with DN, attribute, value and reason."""
    problems: tuple[Problem, ...]
    try:
        snapshot = check(site)
        problems, code = snapshot.problems, 0
    except ConfigInvalid as err:
        problems, code = err.problems, PROBLEMS
    if as_json:
        click.echo(json.dumps([problem_json(problem) for problem in problems], indent=2))
    else:
        for problem in problems:
            click.echo(f"{problem.severity.value} {problem}")
        if code == 0:
            for line in unserved_lines(snapshot.device):
                click.echo(f"INFO {line}")
            click.echo(f"{site.device_name}: the configuration can be put in force")
    sys.exit(code)


@main.command()
@source_options
@click.option("--json", "as_json", is_flag=True, help="JSON instead of indented text.")
def show(site: Site, as_json: bool) -> None:
    """Print the effective configuration, defaults and inheritance resolved."""
    effective = describe(check(site).device)
    click.echo(json.dumps(effective, indent=None if as_json else 2, ensure_ascii=False))


@main.command()
@option("--http", default="http://127.0.0.1:8080", show_default=True, metavar="URL", help="The running service.")
def reload(http: str) -> None:
    """Let the running service read its configuration again."""
    _call(http, "POST", "/dcm4chee-arc/ctrl/reload")


@main.command()
@option("--http", default="http://127.0.0.1:8080", show_default=True, metavar="URL", help="The running service.")
def status(http: str) -> None:
    """Print what the running service says of itself, as JSON."""
    click.echo(_call(http, "GET", "/health/ready"))


def _call(http: str, method: str, path: str) -> str:
    url = http if "://" in http else f"http://{http}"
    request = urllib.request.Request(url.rstrip("/") + path, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return str(response.read().decode())
    except urllib.error.HTTPError as err:
        body = err.read().decode()
        try:
            message = json.loads(body)["errorMessage"]
        except (ValueError, KeyError, TypeError):
            message = body or str(err)
        fail(message, PROBLEMS)
    except (urllib.error.URLError, OSError) as err:
        fail(f"{url}: {getattr(err, 'reason', err)}", UNREACHABLE)


if __name__ == "__main__":
    main()
