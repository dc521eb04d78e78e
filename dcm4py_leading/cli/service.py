"""Commands about the running service: reload, status, cache, log-reference."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

import click

from dcm4py_leading.cli.service_client import RunningService, service_options


def add_service_commands(main: click.Group) -> None:
    """Register the commands."""

    @main.command(
        short_help="Let the running service read its configuration again.",
        examples=[
            "dcm4py-leading reload",
            "dcm4py-leading reload --http https://archive.example.org:8443 --http-user anna --http-password-file ~/pw",
        ],
    )
    @service_options
    def reload(service: RunningService) -> None:
        """Let the running service reload its configuration, and print which one is in force."""
        service.exchange("POST", "/dcm4chee-arc/ctrl/reload")
        state = service.state()
        click.echo(f"reloaded: {_configuration(state)}", err=True)

    @main.command(
        short_help="Print how the running service is.",
        examples=["dcm4py-leading status", "dcm4py-leading status --json"],
    )
    @service_options
    @click.option("--json", "as_json", is_flag=True, help="All of it as JSON, as /health/ready gives it.")
    def status(service: RunningService, as_json: bool) -> None:
        """Print the state of the running service: its configuration, the directory, the archives that it asks.

        Exit code 0 also when it is DEGRADED: it serves.
        """
        state = service.state()
        click.echo(json.dumps(state, indent=2, ensure_ascii=False) if as_json else "\n".join(status_lines(state)))

    @main.command(
        name="log-reference",
        short_help="Print what stands for a study in the log.",
        examples=["dcm4py-leading log-reference 1.2.840.113619.2.55.3 | xargs -I% grep % service.log"],
    )
    @click.argument("uid")
    @service_options
    def log_reference(uid: str, service: RunningService) -> None:
        """Print the reference that stands for UID, a Study or SOP Instance UID, in the log of the running service."""
        path = f"/log-reference/{urllib.parse.quote(uid, safe='')}"
        click.echo(json.loads(service.exchange("GET", path)[0])["reference"])

    @main.group(short_help="List or forget remembered answers of leading archives.")
    def cache() -> None:
        """Answers of leading archives that the running service remembers."""

    @cache.command(name="list", short_help="Print which studies are remembered.")
    @service_options
    @click.option("--json", "as_json", is_flag=True, help="JSON instead of one line a study.")
    def list_cache(service: RunningService, as_json: bool) -> None:
        """Print the remembered studies with leading archive and age, the oldest answer first."""
        studies = json.loads(service.exchange("GET", "/leading-cache")[0])
        if as_json:
            click.echo(json.dumps(studies, indent=2))
            return
        for study in studies:
            answer = "found" if study["isFound"] else "unknown there"
            click.echo(f"{study['leadingAETitle']}\t{study['studyInstanceUID']}\t{study['ageSeconds']:.0f} s\t{answer}")
        if not studies:
            click.echo("no answers are remembered", err=True)

    @cache.command(
        short_help="Forget remembered answers.",
        examples=["dcm4py-leading cache drop 1.2.840.113619.2.55.3", "dcm4py-leading cache drop"],
    )
    @click.argument("study", required=False)
    @service_options
    def drop(study: str | None, service: RunningService) -> None:
        """Forget the answers about STUDY, or about all studies, last known answers included."""
        path = "/leading-cache" if study is None else f"/leading-cache/{urllib.parse.quote(study, safe='')}"
        click.echo(f"dropped {json.loads(service.exchange('DELETE', path)[0])['dropped']} answers")


def _configuration(state: Mapping[str, Any]) -> str:
    configuration = state["configuration"]
    return f"device {state['device']}, fingerprint {configuration['fingerprint']}, read {configuration['loadedAt']}"


def status_lines(state: Mapping[str, Any]) -> Iterator[str]:
    """The state of a service for a terminal."""
    yield str(state["status"])
    for reason in state.get("degraded", ()):
        yield f"  {reason}"
    yield f"configuration    {_configuration(state)}"
    if (failed := state.get("lastFailedReload")) is not None:
        yield f"last reload      failed at {failed['at']}: {failed['error']}"
    if (directory := state.get("directory")) is not None:
        reach = "answers" if directory["isReachable"] else f"does not answer: {directory['failure']}"
        yield f"directory        {reach}; last read {directory['lastReadAt'] or 'never'}"
    for name, key in (("leading archive", "leadingArchives"), ("archive", "archives")):
        for archive in state.get(key, ()):
            yield f"{name:<16} {_archive(archive)}"
    yield f"associations     {state.get('associations', 0)}"
    for worker in state.get("workers", ()):
        serving = "serves" if worker["isServing"] else "does not serve"
        yield f"worker           process {worker['pid']} {serving}, {worker['associations']} associations"


def _archive(archive: Mapping[str, Any]) -> str:
    told = f"{archive['aeTitle']}, asked by {archive['askedBy']}: "
    if archive["lastAnswer"] is None and archive["lastFailure"] is None:
        return told + "not asked yet"
    told += "answers" if archive["isAnswering"] else f"does not answer: {archive['failure']}"
    if archive.get("breaker", "closed") != "closed":
        told += " (left alone after several failures, and probed)"
    return f"{told}; last answer {archive['lastAnswer'] or 'never'}, last failure {archive['lastFailure'] or 'never'}"
