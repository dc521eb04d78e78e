"""``/dcm4py-leading/jobs``: long work in the background: progress, and cancel."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dcm4py_leading.log import word
from dcm4py_leading.service.jobs.job import Job, State
from dcm4py_leading.service.jobs.jobs import Jobs
from dcm4py_leading.web.gate.command_log import log_command
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.http.answers import error
from dcm4py_leading.web.rest.openapi.schemas import OBJECT
from dcm4py_leading.web.rest.operations import TEXT, JsonSchema, Operation, Parameter

PATH = "/dcm4py-leading/jobs"
_TAG = "jobs"
_COUNT: JsonSchema = {"type": "integer", "minimum": 0}
_TIME: JsonSchema = {"type": ["string", "null"], "format": "date-time"}
JOB: JsonSchema = {
    "type": "object",
    "properties": {
        "id": TEXT,
        "kind": TEXT,
        "subject": {"type": "object", "additionalProperties": TEXT},
        "author": TEXT,
        "startedAt": _TIME,
        "endedAt": _TIME,
        "state": {"enum": [state.value for state in State]},
        "done": _COUNT,
        "of": {"type": ["integer", "null"]},
        "failed": _COUNT,
        "problems": {"type": "array", "items": TEXT},
        "result": {"type": "object"},
    },
}
"""Schema of a job."""


class JobService(Protocol):
    """The service as the routes use its jobs."""

    @property
    def jobs(self) -> Jobs:
        """Jobs of the service."""
        ...


def job_operations(service: JobService) -> list[Operation]:
    """The operations."""

    def list_jobs(request: Request) -> Response:
        return JSONResponse([job_json(job) for job in service.jobs.all(request.query_params.get("kind"))])

    def get_job(request: Request) -> Response:
        job = service.jobs.get(request.path_params["job"])
        return _unknown(request) if job is None else JSONResponse(job_json(job))

    def cancel_job(request: Request) -> Response:
        job = service.jobs.get(request.path_params["job"])
        if job is None:
            return _unknown(request)
        if service.jobs.cancel(job.job_id):
            log_command(request, f"job {job.kind} {job.job_id} is cancelled")
        return Response(status_code=HTTPStatus.NO_CONTENT)

    return [
        Operation(
            method="GET",
            path=PATH,
            name="listJobs",
            summary="The jobs that run, and the last ones that have ended, the latest first.",
            role=Role.VIEWER,
            handler=list_jobs,
            parameters=(Parameter(name="kind", meaning="jobs of that kind alone"),),
            answers={200: {"type": "array", "items": JOB}},
            tag=_TAG,
        ),
        Operation(
            method="GET",
            path=f"{PATH}/{{job}}",
            name="getJob",
            summary="A job and its progress.",
            role=Role.VIEWER,
            handler=get_job,
            answers={200: JOB, 404: OBJECT},
            tag=_TAG,
        ),
        Operation(
            method="DELETE",
            path=f"{PATH}/{{job}}",
            name="cancelJob",
            summary="Let a job end soon; what it has done stays.",
            role=Role.ADMINISTRATOR,
            handler=cancel_job,
            answers={204: None, 404: OBJECT},
            tag=_TAG,
        ),
    ]


def job_json(job: Job) -> dict[str, Any]:
    """A job as it is told to programs."""
    return {
        "id": job.job_id,
        "kind": job.kind,
        "subject": dict(job.subject),
        "author": job.author,
        "startedAt": job.started_at.isoformat(timespec="milliseconds"),
        "endedAt": None if job.ended_at is None else job.ended_at.isoformat(timespec="milliseconds"),
        "state": job.state.value,
        "done": job.progress.done,
        "of": job.progress.of,
        "failed": job.progress.failed,
        "problems": list(job.problems),
        "result": dict(job.result),
    }


def accepted(job: Job) -> JSONResponse:
    """Answer to the client that started a job."""
    return JSONResponse(job_json(job), status_code=HTTPStatus.ACCEPTED, headers={"Location": f"{PATH}/{job.job_id}"})


def _unknown(request: Request) -> Response:
    return error(HTTPStatus.NOT_FOUND, f"there is no job {word(request.path_params['job'])}, or it was long ago")
