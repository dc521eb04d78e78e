"""``dcm4py-leading echo``: one C-ECHO of the running service."""

from __future__ import annotations

import json
from urllib.parse import quote

import click

from dcm4py_leading.cli.command import PROBLEMS, fail
from dcm4py_leading.cli.sending.our_ae import our_ae
from dcm4py_leading.cli.service_client import RunningService, service_options
from dcm4py_leading.service.monitor.echo import EchoResult

_TOLD = {
    EchoResult.INCOMPATIBLE: "cannot be called",
    EchoResult.NOT_CONNECTED: "is not reached",
    EchoResult.REJECTED: "rejects the association",
    EchoResult.NOT_SENT: "took the association, but not the request",
    EchoResult.NO_ANSWER: "does not answer the request",
    EchoResult.NOT_RELEASED: "answers, but does not release the association",
}


def add_echo_command(main: click.Group) -> None:
    """Register the command."""

    @main.command(
        short_help="Let the running service send a C-ECHO.",
        examples=["dcm4py-leading echo STORESCP", "dcm4py-leading echo STORESCP --ae DCM4CHEE --json"],
    )
    @click.argument("aet")
    @click.option("--ae", metavar="AET", help="Of ours: it calls. Default: the only one.")
    @click.option("--json", "as_json", is_flag=True, help="The answer of the service as JSON.")
    @service_options
    def echo(aet: str, ae: str | None, as_json: bool, service: RunningService) -> None:
        """Let the running service send a C-ECHO to AET, an AE of the directory; print how long each step took.

        Exit code 1 where it fails, with the reason.
        """
        path = f"/dcm4chee-arc/aets/{quote(our_ae(service, ae), safe='')}/dimse/{quote(aet, safe='')}"
        answer = json.loads(service.exchange("POST", path)[0])
        result = EchoResult(int(answer["result"]))
        if as_json:
            click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
        if result is not EchoResult.SUCCESS:
            fail(f"{aet} {_TOLD[result]}: {answer.get('errorMessage', 'no reason is known')}", PROBLEMS)
        if not as_json:
            connection, answered, release = (answer[step] for step in ("connectionTime", "echoTime", "releaseTime"))
            click.echo(f"{aet} answers: association {connection} ms, C-ECHO {answered} ms, release {release} ms")
