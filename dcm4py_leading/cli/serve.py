"""``serve``: run the service until it is stopped."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import sys
from dataclasses import replace

import click

from dcm4py_leading.app import Service
from dcm4py_leading.cli.command import PROBLEMS, Command, fail, option
from dcm4py_leading.cli.http_options import Http, http_options
from dcm4py_leading.cli.login_options import Login, login_options
from dcm4py_leading.cli.source_options import source_options
from dcm4py_leading.composition.site import Site, surviving
from dcm4py_leading.config.following.heartbeat import Heartbeat
from dcm4py_leading.config.following.watch import Pace
from dcm4py_leading.editing import editor_of
from dcm4py_leading.errors import ConfigError
from dcm4py_leading.listening import DRAIN_SECONDS
from dcm4py_leading.model.descriptors import ask_for_more
from dcm4py_leading.web.app import Configured, create_app
from dcm4py_leading.web.http.addresses import HttpUnavailable
from dcm4py_leading.web.http.certificate import Certificate
from dcm4py_leading.web.http.server import HttpServer
from dcm4py_leading.workers.inherited_resources import CONTROL_FD, InheritedResources
from dcm4py_leading.workers.number import MOST_BY_DEFAULT, PROCESS_MIB, default_workers
from dcm4py_leading.workers.supervisor import Supervisor
from dcm4py_leading.workers.worker import run_worker

LOG = logging.getLogger("dcm4py_leading")


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


@click.command(
    cls=Command,
    short_help="Run the service.",
    examples=[
        "dcm4py-leading serve --ldif ldif/quickstart.ldif --data-dir ~/dcm4py",
        "dcm4py-leading serve --ldap-url ldap://ldap.example.org/dc=dcm4che,dc=org --watch --workers 1",
    ],
)
@source_options
@http_options
@option("--drain", default=DRAIN_SECONDS, show_default=True, help="Seconds that associations get to end at a stop.")
@option(
    "--workers",
    type=click.IntRange(1, 64),
    show_default=f"one for each core that may be used, at most {MOST_BY_DEFAULT}",
    help=f"Processes that take associations, about {PROCESS_MIB} MiB of memory each; with 1, one does everything.",
)
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
    workers: int | None,
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
        run_worker(site, InheritedResources.taken_from(os.environ))
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
            cors_origins=http.cors_origins,
            viewer=http.viewer,
        )
        web = HttpServer(app, sockets, certificate=certificate)
        running.callback(web.stop)
        web.start()
        who = "" if doorkeeper is not None else ", without a log-in: everybody on this machine may do everything"
        urls = http.urls(web.ports)
        pages = urls[0] if http.public_url is None else urls[-1]
        _say_ready(f"ready, control on {', '.join(urls)}, pages at {pages}/ui/{who}")
        if site.source.state is not None:
            running.enter_context(Heartbeat(site.source, site.device_name, service.reload))
        while wishes.get() is signal.SIGHUP:
            _renew(certificate)
            with contextlib.suppress(ConfigError):  # told by the service; the old configuration runs on
                service.reload()
        LOG.info("stopping: requests under way get up to %g s to end (--drain)", drain)
    LOG.info("stopped")


def _started(site: Site, workers: int | None, pace: Pace | None, drain_seconds: float) -> Service | Supervisor:
    """The running service, in its data directory, which is made where there is none."""
    try:
        is_new = not site.data_dir.exists()
        site.data_dir.mkdir(parents=True, exist_ok=True)
        LOG.info("data directory %s%s", site.data_dir, " (made)" if is_new else "")
        workers = workers or default_workers()
        if workers == 1:
            LOG.info("one process does everything: about %d MiB of memory", PROCESS_MIB)
            return Service(site, pace=pace, drain_seconds=drain_seconds)
        LOG.info(
            "%d workers take associations, a supervisor leads them: about %d MiB of memory each, %d MiB in all",
            *(workers, PROCESS_MIB, (workers + 1) * PROCESS_MIB),
        )
        command_line = sys.argv[1:]
        return Supervisor(site, workers=workers, command_line=command_line, pace=pace, drain_seconds=drain_seconds)
    except OSError as err:
        fail(f"{err.filename or site.data_dir}: {err.strerror or err}", PROBLEMS)


def _renew(certificate: Certificate | None) -> None:
    """Read the certificate again, which may have been renewed; if that fails, the old one stays."""
    if certificate is not None:
        try:
            certificate.renew()
        except HttpUnavailable as err:
            LOG.error("the certificate of HTTP stays: %s", err)


def _say_ready(message: str) -> None:
    """Print that the service is ready, whatever the log level: whoever starts it waits for this line."""
    if LOG.isEnabledFor(logging.INFO):
        LOG.info(message)
    else:
        click.echo(message, err=True)


def add_serve_command(main: click.Group) -> None:
    """Register the command."""
    main.add_command(serve)
