"""``POST /dcm4py-leading/aets/{aet}/studies/{study}[/series/..[/instances/..]]/send/{destination}``: sends by a job."""

from __future__ import annotations

from http import HTTPStatus
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from dcm4py_leading.errors import ConfigUnavailable, EditRefused, StatusError
from dcm4py_leading.service.jobs.jobs import TooManyJobs
from dcm4py_leading.service.sending.export import Export
from dcm4py_leading.service.sending.job import Sender, start_sending
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.http.answers import error
from dcm4py_leading.web.rest.archive.edit import STATUS
from dcm4py_leading.web.rest.archive.export import wanted_of
from dcm4py_leading.web.rest.openapi.schemas import OBJECT
from dcm4py_leading.web.rest.operations import Operation
from dcm4py_leading.web.rest.own.jobs import JOB, JobService, accepted

_STUDY = "/dcm4py-leading/aets/{aet}/studies/{study}"
_PATHS = {
    "sendStudy": _STUDY,
    "sendSeries": f"{_STUDY}/series/{{series}}",
    "sendInstance": f"{_STUDY}/series/{{series}}/instances/{{instance}}",
}


class ExportSender(Sender, JobService, Protocol):
    """The service, as routes and pages let it send. Called from a worker thread."""

    def check_export(self, wanted: Export) -> None:
        """Raise what sending would raise. Raises EditRefused, ConfigUnavailable, StatusError."""
        ...


def send_operations(service: ExportSender) -> list[Operation]:
    """The operations."""

    def send(request: Request) -> Response:
        wanted = wanted_of(request)
        try:
            service.check_export(wanted)
            job = service.jobs.get(start_sending(service.jobs, service, wanted))
        except EditRefused as err:
            return error(STATUS[err.refusal], str(err))
        except (ConfigUnavailable, StatusError, TooManyJobs) as err:
            return error(HTTPStatus.SERVICE_UNAVAILABLE, str(err))
        assert job is not None  # it is the latest one
        return accepted(job)

    return [
        Operation(
            method="POST",
            path=f"{path}/send/{{destination}}",
            name=name,
            summary="Begins a job that sends stored objects to an AE of the directory, as a C-MOVE would.",
            role=Role.ADMINISTRATOR,
            handler=send,
            answers={202: JOB, 404: OBJECT, 409: OBJECT},
            tag="jobs",
        )
        for name, path in _PATHS.items()
    ]
