"""The AE of the running service that calls a peer."""

from __future__ import annotations

import json

import click

from dcm4py_leading.cli.service_client import RunningService


def our_ae(service: RunningService, ae_title: str | None) -> str:
    """The given AE title, or else the only one of the service. Raises UsageError."""
    if ae_title is not None:
        return ae_title
    titles = [str(ae["dicomAETitle"]) for ae in json.loads(service.exchange("GET", "/dcm4chee-arc/aets")[0])]
    if len(titles) != 1:
        raise click.UsageError(f"the service has {len(titles)} AEs: give one by --ae: {', '.join(titles)}")
    return titles[0]
