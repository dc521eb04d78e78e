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
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial, wraps
from http import HTTPStatus
from pathlib import Path
from typing import Any, NoReturn

import click

from dcm4py_leading import __version__, log
from dcm4py_leading.app import Service, explain_file
from dcm4py_leading.coercion.explain import to_json, to_text
from dcm4py_leading.compose import Site, check, heartbeat, surviving, unserved_lines
from dcm4py_leading.config.entry import ConfigSource
from dcm4py_leading.config.inventory import Present, shortcomings
from dcm4py_leading.config.ldap_properties import LdapArguments, parse_ldap_properties
from dcm4py_leading.config.ldap_source import LdapSource
from dcm4py_leading.config.ldif_source import LdifSource
from dcm4py_leading.config.show import describe
from dcm4py_leading.config.watch import Pace
from dcm4py_leading.errors import ConfigError, ConfigInvalid, ConfigUnavailable, Dcm4pyError, Problem
from dcm4py_leading.ldif_commands import add_ldif_commands
from dcm4py_leading.model.coercion import Dimse
from dcm4py_leading.model.descriptors import ask_for_more
from dcm4py_leading.model.options import parse_options
from dcm4py_leading.model.values import TransferRole
from dcm4py_leading.service.explain import WrongQuestion, parse_wanted
from dcm4py_leading.web.app import create_app, problem_json
from dcm4py_leading.web.explain import FAILED_HEADER
from dcm4py_leading.web.server import HttpServer
from dcm4py_leading.workers.process import CONTROL_FD, FORWARDS_FD, PASSING_DIR, SLOT, SLOTS_FD
from dcm4py_leading.workers.supervisor import Supervisor
from dcm4py_leading.workers.worker import run_worker

PROBLEMS, WRONG_USAGE, UNREACHABLE = 1, 2, 3


def option(*names: str, **settings: Any) -> Callable[[Any], Any]:
    """A click option that is also an environment variable."""
    variable = "DCM4PY_" + names[0].lstrip("-").replace("-", "_").upper()
    return click.option(*names, envvar=variable, show_envvar=True, **settings)


def fail(message: str, code: int) -> NoReturn:
    """Say why on stderr, and end."""
    click.echo(message, err=True)
    sys.exit(code)


def source_options(command: Callable[..., None], *, is_required: bool = True) -> Any:
    """The SOURCE of a configuration, given to the command as one `Site`; None when it may be left out and is."""

    @option(
        "--ldap-url",
        multiple=True,
        metavar="URL",
        help="ldap[s]://HOST:PORT/BASE_DN, ldapi://%2FPATH%2FOF%2FSOCKET/BASE_DN; repeat it for failover.",
    )
    @option("--bind-dn", metavar="DN", help="Simple bind; anonymous without it. Password: DCM4PY_BIND_PASSWORD.")
    @option("--bind-password-file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
    @option("--sasl-external", is_flag=True, help="Bind as the client certificate, or the user of an ldapi: socket.")
    @option(
        "--ldap-properties",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="dcm4che's ldap.properties instead of the options above.",
    )
    @option("--start-tls", is_flag=True, help="StartTLS before the bind.")
    @option("--ca-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="CA certificates (PEM).")
    @option("--client-cert", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="For TLS (PEM).")
    @option(
        "--client-key",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Its key (PEM), not encrypted, unless it is in the same file.",
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
        "--set", "settings", multiple=True, metavar="[AET:]NAME=VALUE", help="What the schema has no attribute for."
    )
    @option("--compat", type=click.Choice(["5.35"]), help="Do as this dcm4chee-arc where we differ on purpose.")
    @option(
        "--style-sheet-dir",
        "style_sheet_dirs",
        multiple=True,
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="Where style sheets of rules may be, besides DATA_DIR/temp.",
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
        sasl_external: bool,
        ldap_properties: Path | None,
        start_tls: bool,
        ca_file: Path | None,
        client_cert: Path | None,
        client_key: Path | None,
        ldif: tuple[Path, ...],
        device: str,
        properties: tuple[str, ...],
        data_dir: Path,
        settings: tuple[str, ...],
        compat: str | None,
        style_sheet_dirs: tuple[Path, ...],
        log_level: str,
        **rest: Any,
    ) -> None:
        sources = sum(map(bool, (ldap_url, ldap_properties, ldif)))
        if sources > 1 or (is_required and not sources):
            raise click.UsageError("give exactly one of --ldap-url, --ldap-properties, --ldif")
        log.configure(log_level.upper())
        log.quieten_pydicom()
        if not sources:
            command(site=None, **rest)
            return
        source: ConfigSource
        try:
            if ldif:
                source = LdifSource(ldif)
            else:
                if ldap_properties:
                    arguments = parse_ldap_properties(ldap_properties)
                else:
                    password = os.environ.get("DCM4PY_BIND_PASSWORD")
                    if bind_password_file:
                        password = bind_password_file.read_text().rstrip("\r\n")
                    arguments = LdapArguments(
                        urls=ldap_url, bind_dn=bind_dn, password=password, sasl_external=sasl_external
                    )
                source = LdapSource(
                    **arguments, start_tls=start_tls, ca_file=ca_file, client_cert=client_cert, client_key=client_key
                )
        except ValueError as err:
            raise click.UsageError(str(err)) from err
        try:
            options = parse_options(settings, compat_5_35=compat == "5.35")
        except ValueError as err:
            raise click.UsageError(f"--set: {err}") from err
        pairs = [text.partition("=") for text in properties]
        if any(not separator for _, separator, _ in pairs):
            raise click.UsageError("--property wants NAME=VALUE")
        site = Site(
            source=source,
            device_name=device,
            properties={name: value for name, _, value in pairs},
            data_dir=data_dir.absolute(),
            style_sheet_folders=tuple(folder.absolute() for folder in style_sheet_dirs),
            options=options,
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
@option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes that take associations.")
@option(
    "--watch",
    is_flag=False,
    flag_value=Pace().interval_seconds,
    type=click.FloatRange(min=0, min_open=True),
    metavar="[SECONDS]",
    help="Follow the directory: a look every so many seconds (5), a change is put in force when it has come to rest.",
)
@option(
    "--http-host",
    "http_hosts",
    multiple=True,
    metavar="NAME",
    help="A name by which the control port may be asked, besides localhost and this machine's.",
)
@option("--new-index", is_flag=True, help="Begin with an empty index although a storage has files: they are not known.")
def serve(
    site: Site, http: str, drain: float, workers: int, watch: float | None, http_hosts: tuple[str, ...], new_index: bool
) -> None:
    """Run the service. SIGHUP reloads, SIGTERM drains and stops."""
    site = replace(surviving(site), may_be_new=new_index)
    ask_for_more()
    if CONTROL_FD in os.environ:
        names = (CONTROL_FD, SLOTS_FD, FORWARDS_FD, SLOT)
        control, slots, forwards, slot = (int(os.environ.pop(name)) for name in names)
        passing = Path(os.environ.pop(PASSING_DIR))
        run_worker(site, control=control, slots=slots, forwards=forwards, slot=slot, passing=passing)
    host, separator, port = http.rpartition(":")
    if not separator or not port.isdecimal():
        raise click.UsageError("--http wants HOST:PORT")
    wishes: queue.SimpleQueue[signal.Signals] = queue.SimpleQueue()
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: wishes.put(signal.Signals(received)))
    try:
        site.data_dir.mkdir(parents=True, exist_ok=True)
        pace = None if watch is None else Pace.every(watch)
        if workers == 1:
            service: Service | Supervisor = Service(site, pace=pace)
        else:
            service = Supervisor(site, workers=workers, command_line=sys.argv[1:], pace=pace)
    except OSError as err:
        fail(f"{site.data_dir}: {err.strerror or err}", PROBLEMS)
    web = None
    try:
        web = HttpServer(create_app(service, hosts=(host, *http_hosts)), host.strip("[]"), int(port))
        web.start()
        click.echo(f"ready, control on http://{host}:{web.port}", err=True)
        with heartbeat(site, service.reload):
            while wishes.get() is signal.SIGHUP:
                with contextlib.suppress(ConfigError):  # told by the service; the old configuration runs on
                    service.reload()
    finally:
        if web is not None:
            web.stop()
        service.stop(drain)


@main.command(name="check")
@source_options
@click.option("--attributes", is_flag=True, help="Every attribute in the tree instead: acted on yes, partial or no.")
@click.option("--json", "as_json", is_flag=True, help="Problems, or attributes, as JSON.")
def check_command(site: Site, attributes: bool, as_json: bool) -> None:
    """Print every problem of the configuration with DN, attribute, value and reason, and what is not acted on."""
    if attributes:
        _list_attributes(check(site).snapshot.present, as_json=as_json)
        return
    problems: tuple[Problem, ...]
    try:
        snapshot = check(site).snapshot
        problems, code = snapshot.problems, 0
    except ConfigInvalid as err:
        problems, code = err.problems, PROBLEMS
    if as_json:
        click.echo(json.dumps([problem_json(problem) for problem in problems], indent=2))
    else:
        for problem in problems:
            click.echo(f"{problem.severity.value} {problem}")
        if code == 0:
            for line in (*unserved_lines(snapshot.device), *shortcomings(snapshot.present)):
                click.echo(f"INFO {line}")
            click.echo(f"{site.device_name}: the configuration can be put in force")
    sys.exit(code)


def _list_attributes(present: Iterable[Present], *, as_json: bool) -> None:
    if not as_json:
        for found in present:
            click.echo(str(found))
        return
    listed = [
        {
            "status": found.status.value,
            "objectClass": found.object_class,
            "attribute": found.attribute,
            "entries": found.entries,
            "remark": found.remark,
        }
        for found in present
    ]
    click.echo(json.dumps(listed, indent=2))


@main.command()
@source_options
@click.option("--json", "as_json", is_flag=True, help="JSON instead of indented text.")
def show(site: Site, as_json: bool) -> None:
    """Print the effective configuration, defaults and inheritance resolved."""
    effective = describe(check(site).snapshot.device)
    click.echo(json.dumps(effective, indent=None if as_json else 2, ensure_ascii=False))


@main.command(name="explain")
@partial(source_options, is_required=False)
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@option("--dimse", required=True, type=click.Choice([dimse.value for dimse in Dimse]), help="The message.")
@option("--role", required=True, type=click.Choice([role.value for role in TransferRole]), help="Of the other system.")
@option("--sop-class", metavar="UID", help="Default: that of FILE; of a query, by its level.")
@option("--sending-ae", metavar="AET")
@option("--sending-host", metavar="HOST", help="Default: as the directory says.")
@option("--receiving-ae", metavar="AET")
@option("--receiving-host", metavar="HOST", help="Default: as the directory says.")
@option(
    "--leading",
    default="ask",
    show_default=True,
    metavar="ask|none|FILE",
    help="Ask the leading archive; tell only whom to ask; or take the answer from a DICOM file.",
)
@option("--study", metavar="UID", help="Instead of FILE, a study that the running service has stored.")
@option("--http", metavar="URL", help="The running service.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def explain_command(
    site: Site | None,
    file: Path | None,
    study: str | None,
    http: str | None,
    leading: str,
    as_json: bool,
    **said: str | None,
) -> None:
    """Print which rules match FILE and why others do not, and what becomes of it. Nothing is stored or delivered.

    FILE is a DICOM object, or the keys of a query.
    """
    parameters = {name.replace("_", "-"): value for name, value in said.items() if value is not None}
    try:
        wanted = parse_wanted(parameters)
        if file is not None and study is None and site is not None:
            explanation = explain_file(site, file, wanted, leading)
            told = json.dumps(to_json(explanation), indent=2, ensure_ascii=False) if as_json else to_text(explanation)
            has_failed = explanation.has_failed
        elif study is not None and file is None and http is not None and leading in ("ask", "none"):
            told, has_failed = _explain_stored(study, http, {**parameters, "leading": leading}, as_json=as_json)
        else:
            raise WrongQuestion("give FILE and a configuration, or --study, --http and no --leading FILE")
    except WrongQuestion as err:
        raise click.UsageError(str(err)) from err
    click.echo(told)
    sys.exit(PROBLEMS if has_failed else 0)


def _explain_stored(study: str, http: str, parameters: Mapping[str, str], *, as_json: bool) -> tuple[str, bool]:
    path = f"/explain/{urllib.parse.quote(study, safe='')}?{urllib.parse.urlencode(parameters)}"
    body, headers = _exchange(http, "GET", path, accept="application/json" if as_json else "text/plain")
    if as_json:
        body = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    return body, headers.get(FAILED_HEADER) == "true"


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


@main.group()
def cache() -> None:
    """Answers of leading archives that the running service remembers."""


@cache.command(name="list")
@option("--http", default="http://127.0.0.1:8080", show_default=True, metavar="URL", help="The running service.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of one line a study.")
def list_cache(http: str, as_json: bool) -> None:
    """Print which studies are remembered, of which leading archive and since when, the oldest answer first."""
    studies = json.loads(_call(http, "GET", "/leading-cache"))
    if as_json:
        click.echo(json.dumps(studies, indent=2))
        return
    for study in studies:
        answer = "found" if study["isFound"] else "unknown there"
        click.echo(f"{study['leadingAETitle']}\t{study['studyInstanceUID']}\t{study['ageSeconds']:.0f} s\t{answer}")


@cache.command()
@click.argument("study", required=False)
@option("--http", default="http://127.0.0.1:8080", show_default=True, metavar="URL", help="The running service.")
def drop(study: str | None, http: str) -> None:
    """Forget what leading archives said of STUDY, or of all studies, last known answers included."""
    path = "/leading-cache" if study is None else f"/leading-cache/{urllib.parse.quote(study, safe='')}"
    click.echo(f"dropped {json.loads(_call(http, 'DELETE', path))['dropped']} answers")


def _call(http: str, method: str, path: str) -> str:
    body, _ = _exchange(http, method, path)
    return body


def _exchange(http: str, method: str, path: str, accept: str = "application/json") -> tuple[str, Mapping[str, str]]:
    """Body and headers of the answer; ends the program where there is none, or an error."""
    url = http if "://" in http else f"http://{http}"
    try:
        request = urllib.request.Request(url.rstrip("/") + path, method=method, headers={"Accept": accept})
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.read().decode(), response.headers
    except urllib.error.HTTPError as err:
        body = err.read().decode()
        try:
            message = json.loads(body)["errorMessage"]
        except (ValueError, KeyError, TypeError):
            message = body or str(err)
        fail(message, WRONG_USAGE if err.code == HTTPStatus.BAD_REQUEST else PROBLEMS)
    except (urllib.error.URLError, OSError) as err:
        fail(f"{url}: {getattr(err, 'reason', err)}", UNREACHABLE)


add_ldif_commands(main, source_options)


if __name__ == "__main__":
    main()
