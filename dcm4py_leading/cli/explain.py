"""``dcm4py-leading explain``: effect of the rules on a file, or on a study of the running service."""

from __future__ import annotations

import json
import sys
import urllib.parse
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import click

from dcm4py_leading.app import explain_file
from dcm4py_leading.cli.command import PROBLEMS, option
from dcm4py_leading.cli.service_client import RunningService, service_options
from dcm4py_leading.cli.source_options import is_source_typed, source_options
from dcm4py_leading.coercion.explain import to_json, to_text
from dcm4py_leading.composition.site import Site
from dcm4py_leading.model.coercion import Dimse
from dcm4py_leading.model.values import TransferRole
from dcm4py_leading.service.explain import WrongQuestion, parse_message
from dcm4py_leading.web.rest.own.explain import FAILED_HEADER


def add_explain_command(main: click.Group) -> None:
    """Register the command."""

    @main.command(
        name="explain",
        short_help="Print which rules apply to an object or study, and why.",
        examples=[
            "dcm4py-leading explain --study 1.2.840.113619.2.55.3 --to STORESCP",
            "dcm4py-leading explain --ldif tree.ldif --to STORESCP object.dcm",
            "dcm4py-leading explain --ldif tree.ldif --dimse C_FIND_RSP --role SCU --sending-ae STORESCP match.dcm",
        ],
    )
    @partial(source_options, is_required=False)
    @click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
    @option("--study", metavar="UID", help="Instead of FILE, a study that the running service has, or can ask for.")
    @option("--to", metavar="AET", help="Objects that we send there: --dimse C_STORE_RQ --role SCP --receiving-ae AET.")
    @option("--dimse", type=click.Choice([dimse.value for dimse in Dimse]), help="The message.")
    @option("--role", type=click.Choice([role.value for role in TransferRole]), help="Of the other system.")
    @option("--sop-class", metavar="UID", help="Default: that of FILE; of a query, by its level.")
    @option("--sending-ae", metavar="AET", help="Ours where the role is SCP.")
    @option("--sending-host", metavar="HOST", help="Default: as the directory says.")
    @option("--receiving-ae", metavar="AET", help="Ours where the role is SCU.")
    @option("--receiving-host", metavar="HOST", help="Default: as the directory says.")
    @option(
        "--leading",
        default="ask",
        show_default=True,
        metavar="ask|none|FILE",
        help="Ask the leading archive; only name the archive to ask; or take the answer from a DICOM file.",
    )
    @service_options
    @click.option("--json", "as_json", is_flag=True, help="One JSON object.")
    def explain_command(
        site: Site | None,
        file: Path | None,
        study: str | None,
        service: RunningService,
        leading: str,
        as_json: bool,
        **said: str | None,
    ) -> None:
        """Print which rules match FILE, why others do not, and the result. Nothing is stored or delivered.

        FILE is a DICOM object, or the keys of a query. With --study it is a study of the running service: the first
        of its instances, or in front of a PACS what the PACS says of the study by C-FIND.
        """
        parameters = {name.replace("_", "-"): value for name, value in said.items() if value is not None}
        try:
            wanted = parse_message(parameters)
            if file is not None and study is None and site is not None:
                explanation = explain_file(site, file, wanted, leading)
                as_text = json.dumps(to_json(explanation), indent=2, ensure_ascii=False) if as_json else None
                told, has_failed = as_text or to_text(explanation), explanation.has_failed
            elif (
                study is not None
                and file is None
                and leading in ("ask", "none")
                and (service.is_named or not is_source_typed())
            ):
                parameters["leading"] = leading
                told, has_failed = _explain_stored(study, service, parameters, as_json=as_json)
            else:
                raise WrongQuestion("give FILE and a SOURCE, or --study without FILE, SOURCE and --leading FILE")
        except WrongQuestion as err:
            raise click.UsageError(str(err)) from err
        click.echo(told)
        sys.exit(PROBLEMS if has_failed else 0)


def _explain_stored(
    study: str, service: RunningService, parameters: Mapping[str, str], *, as_json: bool
) -> tuple[str, bool]:
    path = f"/dcm4py-leading/explain/{urllib.parse.quote(study, safe='')}?{urllib.parse.urlencode(parameters)}"
    body, headers = service.exchange("GET", path, accept="application/json" if as_json else "text/plain")
    if as_json:
        body = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    return body, headers.get(FAILED_HEADER.lower()) == "true"
