"""The commands that talk to the running service over HTTP: reload, status, cache, log-reference."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from email.message import Message
from http import HTTPStatus
from typing import Any

import click

from dcm4py_leading.source_options import PROBLEMS, UNREACHABLE, WRONG_USAGE, fail, service_option


def add_service_commands(main: click.Group) -> None:
    """Add the commands to the command line."""

    @main.command(
        short_help="Let the running service read its configuration again.",
        examples=["dcm4py-leading reload", "dcm4py-leading reload --http http://127.0.0.1:8081"],
    )
    @service_option()
    def reload(http: str) -> None:
        """Let the running service read its configuration again; say which one is in force then."""
        exchange(http, "POST", "/dcm4chee-arc/ctrl/reload")
        state = json.loads(exchange(http, "GET", "/health/ready")[0])
        click.echo(f"reloaded: {_configuration(state)}", err=True)

    @main.command(
        short_help="Print how the running service is.",
        examples=["dcm4py-leading status", "dcm4py-leading status --json"],
    )
    @service_option()
    @click.option("--json", "as_json", is_flag=True, help="All of it as JSON, as /health/ready gives it.")
    def status(http: str, as_json: bool) -> None:
        """Print how the running service is: its configuration, the directory, the archives that it asks.

        Exit code 0 also when it is DEGRADED: it serves.
        """
        state = json.loads(exchange(http, "GET", "/health/ready")[0])
        click.echo(json.dumps(state, indent=2, ensure_ascii=False) if as_json else "\n".join(status_lines(state)))

    @main.command(
        name="log-reference",
        short_help="Print what stands for a study in the log.",
        examples=["dcm4py-leading log-reference 1.2.840.113619.2.55.3 | xargs -I% grep % service.log"],
    )
    @click.argument("uid")
    @service_option()
    def log_reference(uid: str, http: str) -> None:
        """Print the reference that stands for UID, a Study or SOP Instance UID, in the log of the running service."""
        path = f"/log-reference/{urllib.parse.quote(uid, safe='')}"
        click.echo(json.loads(exchange(http, "GET", path)[0])["reference"])

    @main.group(short_help="List or forget remembered answers of leading archives.")
    def cache() -> None:
        """Answers of leading archives that the running service remembers."""

    @cache.command(name="list", short_help="Print which studies are remembered.")
    @service_option()
    @click.option("--json", "as_json", is_flag=True, help="JSON instead of one line a study.")
    def list_cache(http: str, as_json: bool) -> None:
        """Print which studies are remembered, of which leading archive and since when, the oldest answer first."""
        studies = json.loads(exchange(http, "GET", "/leading-cache")[0])
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
    @service_option()
    def drop(study: str | None, http: str) -> None:
        """Forget what leading archives said of STUDY, or of all studies, last known answers included."""
        path = "/leading-cache" if study is None else f"/leading-cache/{urllib.parse.quote(study, safe='')}"
        click.echo(f"dropped {json.loads(exchange(http, 'DELETE', path)[0])['dropped']} answers")


def exchange(http: str, method: str, path: str, accept: str = "application/json") -> tuple[str, Mapping[str, str]]:
    """Body and headers, by name in lower case, of the answer; ends the program where there is none, or an error."""
    try:
        request = urllib.request.Request(http + path, method=method, headers={"Accept": accept})
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.read().decode(), _lower(response.headers)
    except urllib.error.HTTPError as err:
        body = err.read().decode()
        if path == "/health/ready" and err.code == HTTPStatus.SERVICE_UNAVAILABLE and body.startswith("{"):
            return body, _lower(err.headers)
        try:
            message = json.loads(body)["errorMessage"]
        except (ValueError, KeyError, TypeError):
            message = body or str(err)
        fail(message, WRONG_USAGE if err.code == HTTPStatus.BAD_REQUEST else PROBLEMS)
    except (urllib.error.URLError, OSError) as err:
        reason = getattr(err, "reason", err)
        fail(f"{http}: {getattr(reason, 'strerror', None) or reason}: is the service running there?", UNREACHABLE)


def _lower(headers: Message[str, str]) -> Mapping[str, str]:
    return {name.lower(): value for name, value in headers.items()}


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
