"""``dcm4py-leading send``: let the running service send a study, and show the progress."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import click

from dcm4py_leading import progress
from dcm4py_leading.cli.command import PROBLEMS, fail
from dcm4py_leading.cli.sending.our_ae import our_ae
from dcm4py_leading.cli.service_client import RunningService, service_options

_ASK_SECONDS = 0.5
"""Between two looks at how far it is."""
_RUNNING = "running"


def add_send_command(main: click.Group) -> None:
    """Register the command."""

    @main.command(
        short_help="Let the running service send a study.",
        examples=[
            "dcm4py-leading send 1.2.840.113619.2.55.3 STORESCP",
            "dcm4py-leading send 1.2.840.113619.2.55.3 STORESCP --ae DCM4CHEE --series 1.2.840.113619.2.55.3.1",
        ],
    )
    @click.argument("study")
    @click.argument("aet")
    @click.option("--series", metavar="UID", help="That series alone.")
    @click.option("--instance", metavar="UID", help="That object of the series alone.")
    @click.option("--ae", metavar="AET", help="Of ours: it sends, by its rules. Default: the only one.")
    @click.option("--json", "as_json", is_flag=True, help="The job as JSON, when it has ended.")
    @service_options
    def send(
        study: str,
        aet: str,
        series: str | None,
        instance: str | None,
        ae: str | None,
        as_json: bool,
        service: RunningService,
    ) -> None:
        """Let the running service send STUDY, a Study Instance UID, to AET, an AE of the directory, as by a C-MOVE.

        Ctrl-C cancels. What failed is told; the exit code is 1 where anything did, or was not sent.
        """
        if instance is not None and series is None:
            raise click.UsageError("--instance needs the --series that it is in")
        parts = ["aets", our_ae(service, ae), "studies", study]
        parts += [] if series is None else ["series", series]
        parts += [] if instance is None else ["instances", instance]
        path = "/".join(quote(part, safe="") for part in (*parts, "send", aet))
        job = _followed(service, json.loads(service.exchange("POST", f"/dcm4py-leading/{path}")[0]), aet)
        _tell(job, aet, as_json=as_json)


def _followed(service: RunningService, job: Mapping[str, Any], aet: str) -> Mapping[str, Any]:
    """The job, once it has ended. Shows its progress; an interrupt cancels it."""
    path = f"/dcm4py-leading/jobs/{quote(job['id'], safe='')}"
    with progress.bar(0, f"sending to {aet}") as bar:
        while job["state"] == _RUNNING:
            try:
                time.sleep(_ASK_SECONDS)
                job = json.loads(service.exchange("GET", path)[0])
                if job["of"]:
                    bar.reach(job["done"], job["of"])
            except KeyboardInterrupt:
                bar.say("cancelled: it ends after the object that is on its way")
                service.exchange("DELETE", path)
    return job


def _tell(job: Mapping[str, Any], aet: str, *, as_json: bool) -> None:
    """Print the outcome of the job; exit with an error if anything was not sent."""
    if as_json:
        click.echo(json.dumps(job, indent=2, ensure_ascii=False))
    for problem in job["problems"]:
        click.echo(problem, err=True)
    sent, failed, left = job["done"] - job["failed"], job["failed"], job["result"].get("notSent", 0)
    told = f"{sent} sent to {aet}, {failed} failed" + (f", {left} not sent" if left else "")
    if job["state"] != "done" or failed:
        fail(f"{job['state']}: {told}" if job["state"] != "done" else told, PROBLEMS)
    if not as_json:
        click.echo(told)
