"""``studies delete``: let the running service delete a study."""

from __future__ import annotations

import urllib.parse

import click

from dcm4py_leading.cli.service_client import RunningService, service_options

_SECONDS = 600.0
"""A study may have many thousand files."""


def add_delete_command(studies: click.Group) -> None:
    """Register the command."""

    @studies.command(
        short_help="Delete a study, with its files.",
        examples=[
            "dcm4py-leading studies delete 1.2.840.113619.2.55.3 --ae DCM4CHEE",
            "dcm4py-leading studies delete 1.2.840.113619.2.55.3 --ae DCM4CHEE --yes --http-user anna",
        ],
    )
    @click.argument("study")
    @click.option("--ae", required=True, metavar="AET", help="Of ours, whose dcmAllowDeleteStudyPermanently is ALWAYS.")
    @click.option("--yes", is_flag=True, help="Do not ask whether it is meant.")
    @service_options
    def delete(study: str, ae: str, yes: bool, service: RunningService) -> None:
        """Let the running service delete STUDY, a Study Instance UID, for good: index, files, remembered answers."""
        if not yes:
            click.confirm(f"Delete study {study} with all its files, for good?", abort=True, err=True)
        path = "/".join(urllib.parse.quote(part, safe="") for part in (ae, "rs", "studies", study))
        service.exchange("DELETE", f"/dcm4chee-arc/aets/{path}", seconds=_SECONDS)
        click.echo(f"deleted study {study}", err=True)
