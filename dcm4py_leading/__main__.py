"""The command line: ``dcm4py-leading``, also ``python -m dcm4py_leading``.

Results go to stdout, remarks and the log to stderr. Exit codes are those of `cli.source_options`. Every option can be given
as environment variable ``DCM4PY_<OPTION>``; what is on the command line goes before it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import signal
import sys
import textwrap
from collections.abc import Iterable
from dataclasses import replace

import click

from dcm4py_leading import __version__
from dcm4py_leading.app import Service
from dcm4py_leading.cli.drift import add_drift_command
from dcm4py_leading.cli.explain import add_explain_command
from dcm4py_leading.cli.http_options import Http, http_options
from dcm4py_leading.cli.installation import add_installation_commands
from dcm4py_leading.cli.ldif import add_ldif_commands
from dcm4py_leading.cli.login_options import Login, login_options
from dcm4py_leading.cli.sending.echo import add_echo_command
from dcm4py_leading.cli.sending.send import add_send_command
from dcm4py_leading.cli.service import add_service_commands
from dcm4py_leading.cli.source_options import (
    CONTEXT_SETTINGS,
    PROBLEMS,
    Group,
    fail,
    option,
    source_options,
)
from dcm4py_leading.cli.studies.group import add_studies_commands
from dcm4py_leading.cli.user import add_user_commands
from dcm4py_leading.compose import Site, check, heartbeat, surviving, unserved_lines
from dcm4py_leading.config.following.watch import Pace
from dcm4py_leading.config.report.inventory import Present, shortcomings
from dcm4py_leading.config.report.screen import screen
from dcm4py_leading.config.report.show import describe
from dcm4py_leading.editing import editor_of
from dcm4py_leading.errors import ConfigError, ConfigInvalid, Problem
from dcm4py_leading.listening import DRAIN_SECONDS
from dcm4py_leading.model.descriptors import ask_for_more
from dcm4py_leading.web.app import Configured, create_app
from dcm4py_leading.web.http.addresses import HttpUnavailable
from dcm4py_leading.web.http.answers import problem_json
from dcm4py_leading.web.http.certificate import Certificate
from dcm4py_leading.web.http.server import HttpServer
from dcm4py_leading.workers.handed import CONTROL_FD, Handed
from dcm4py_leading.workers.supervisor import Supervisor
from dcm4py_leading.workers.worker import run_worker

LOG = logging.getLogger("dcm4py_leading")


@click.group(cls=Group, context_settings=CONTEXT_SETTINGS)
@click.version_option(__version__, prog_name="dcm4py-leading")
def main() -> None:
    """DICOM query/retrieve service that delivers the attributes of a leading archive, configured from LDAP.

    COMMAND -h tells the options of a command, with examples.
    """


class _Seconds(click.ParamType):  # type: ignore[type-arg]
    """A number of seconds above 0."""

    name = "seconds"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            seconds = float(str(value))
        except ValueError:
            seconds = 0.0
        if not 0 < seconds < float("inf"):
            self.fail(f"expected a number of seconds above 0, such as 5, not {value!r}", param, ctx)
        return seconds


@main.command(
    short_help="Run the service.",
    examples=[
        "dcm4py-leading serve --ldif ldif/quickstart.ldif --data-dir ~/dcm4py",
        "dcm4py-leading serve --ldap-url ldap://ldap.example.org/dc=dcm4che,dc=org --watch --workers 4",
    ],
)
@source_options
@http_options
@option("--drain", default=DRAIN_SECONDS, show_default=True, help="Seconds that associations get to end at a stop.")
@option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes that take associations.")
@option(
    "--watch",
    is_flag=False,
    flag_value=Pace().interval_seconds,
    type=_Seconds(),
    metavar="[SECONDS]",
    help="Follow the directory: a look every so many seconds (5), a change is put in force when it has come to rest.",
)
@login_options
@option(
    "--ldif-writable", is_flag=True, help="Let the files of --ldif be changed over HTTP; without it they are only read."
)
@option("--new-index", is_flag=True, help="Begin with an empty index although a storage has files: they are not known.")
def serve(
    site: Site,
    http: Http,
    drain: float,
    workers: int,
    watch: float | None,
    login: Login,
    ldif_writable: bool,
    new_index: bool,
) -> None:
    """Run the service on the device of SOURCE. SIGHUP reloads, SIGTERM drains and stops."""
    source = site.source
    site = replace(surviving(site), may_be_new=new_index, is_ldif_writable=ldif_writable)
    ask_for_more()
    if CONTROL_FD in os.environ:
        run_worker(site, Handed.taken_from(os.environ))
    wishes: queue.SimpleQueue[signal.Signals] = queue.SimpleQueue()
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: wishes.put(signal.Signals(received)))
    with contextlib.ExitStack() as running:
        doorkeeper = login.doorkeeper(source)
        certificate = http.certificate()
        sockets = http.bind(has_login=doorkeeper is not None)
        for one in sockets:
            running.callback(one.close)
        service = _started(site, workers, None if watch is None else Pace.every(watch), drain)
        running.callback(service.stop, drain)
        app = create_app(
            service,
            hosts=http.hosts,
            doorkeeper=doorkeeper,
            configured=Configured(editor_of(site), site.device_name),
            proxies=http.proxies,
            public_url=http.public_url,
        )
        web = HttpServer(app, sockets, certificate=certificate)
        running.callback(web.stop)
        web.start()
        who = "" if doorkeeper is not None else ", without a log-in: everybody on this machine may do everything"
        urls = http.urls(web.ports)
        pages = urls[0] if http.public_url is None else urls[-1]
        _say_ready(f"ready, control on {', '.join(urls)}, pages at {pages}/ui/{who}")
        with heartbeat(site, service.reload):
            while wishes.get() is signal.SIGHUP:
                _renew(certificate)
                with contextlib.suppress(ConfigError):  # told by the service; the old configuration runs on
                    service.reload()


def _started(site: Site, workers: int, pace: Pace | None, drain_seconds: float) -> Service | Supervisor:
    """The running service, in its data directory, which is made where there is none."""
    try:
        is_new = not site.data_dir.exists()
        site.data_dir.mkdir(parents=True, exist_ok=True)
        LOG.info("data directory %s%s", site.data_dir, " (made)" if is_new else "")
        if workers == 1:
            return Service(site, pace=pace, drain_seconds=drain_seconds)
        command_line = sys.argv[1:]
        return Supervisor(site, workers=workers, command_line=command_line, pace=pace, drain_seconds=drain_seconds)
    except OSError as err:
        fail(f"{err.filename or site.data_dir}: {err.strerror or err}", PROBLEMS)


def _renew(certificate: Certificate | None) -> None:
    """Read the certificate again, which may be another one by now; the old one stays where that cannot be."""
    if certificate is not None:
        try:
            certificate.renew()
        except HttpUnavailable as err:
            LOG.error("the certificate of HTTP stays: %s", err)


def _say_ready(message: str) -> None:
    """Also where the log level lets nothing of it through: whoever starts the service waits for it."""
    if LOG.isEnabledFor(logging.INFO):
        LOG.info(message)
    else:
        click.echo(message, err=True)


@main.command(
    name="check",
    short_help="Print every problem of the configuration.",
    examples=[
        "dcm4py-leading check --ldif ldif/quickstart.ldif --ldif ldif/leading-cfind-scp.ldif",
        "dcm4py-leading check --attributes --ldap-url ldap://ldap.example.org/dc=dcm4che,dc=org",
    ],
)
@source_options
@click.option("--attributes", is_flag=True, help="Every attribute in the tree instead: acted on yes, partial or no.")
@click.option("--full", is_flag=True, help="All names of what is not acted on, in place of the first few.")
@click.option("--json", "as_json", is_flag=True, help="Problems, or attributes, as JSON.")
def check_command(site: Site, attributes: bool, full: bool, as_json: bool) -> None:
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
            unserved = unserved_lines(snapshot.device, is_full=full)
            lines = [*unserved, *shortcomings(snapshot.present, is_full=full)]
            for line in lines:
                click.echo(_folded(f"INFO {line}"))
            if not full and any(" more" in line for line in lines):
                click.echo("INFO check --full names them all")
            click.echo(f"{site.device_name}: the configuration can be put in force")
    sys.exit(code)


def _folded(line: str) -> str:
    """A line of many names, on as many lines as a terminal needs; those that go on are indented."""
    return textwrap.fill(line, 120, subsequent_indent="     ", break_long_words=False, break_on_hyphens=False)


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


@main.command(
    short_help="Print the effective configuration on one screen.",
    examples=["dcm4py-leading show --ldif ldif/quickstart.ldif", "dcm4py-leading show --json --ldif tree.ldif"],
)
@source_options
@click.option("--json", "as_json", is_flag=True, help="All attributes under their LDAP names, as JSON.")
def show(site: Site, as_json: bool) -> None:
    """Print the effective configuration, defaults and inheritance resolved: ports, AEs, rules in order, storages.

    A rule line has its conditions, and what it does to whom.
    """
    checked = check(site)
    if as_json:
        click.echo(json.dumps(describe(checked.snapshot.device), indent=2, ensure_ascii=False))
    else:
        rules = {
            title: [(found.rule, [step.name for step in found.steps]) for found in compiled]
            for title, compiled in checked.rules.items()
        }
        click.echo("\n".join(screen(checked.snapshot.device, rules)))


add_explain_command(main)
add_drift_command(main)
add_studies_commands(main)
add_send_command(main)
add_echo_command(main)
add_service_commands(main)
add_ldif_commands(main, source_options)
add_user_commands(main)
add_installation_commands(main)


if __name__ == "__main__":
    main()
