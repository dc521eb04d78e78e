"""``POST .../studies/{study}[/series/..[/instances/..]]/export/dicom:{destination}``: sends stored objects.

The answer comes when all is sent. Its status codes and members are dcm4chee's.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dcm4py_leading.errors import ConfigUnavailable, EditRefused, StatusError
from dcm4py_leading.service.sending.export import Export, ExportOutcome
from dcm4py_leading.web.gate.identity import Identity, Role
from dcm4py_leading.web.http.answers import error
from dcm4py_leading.web.rest.archive.edit import STATUS
from dcm4py_leading.web.rest.openapi.schemas import OBJECT
from dcm4py_leading.web.rest.operations import TEXT, JsonSchema, Operation

_STUDY = "/dcm4chee-arc/aets/{aet}/rs/studies/{study}"
_PATHS = {
    "exportStudy": _STUDY,
    "exportSeries": f"{_STUDY}/series/{{series}}",
    "exportInstance": f"{_STUDY}/series/{{series}}/instances/{{instance}}",
}
_COUNT: JsonSchema = {"type": "integer", "minimum": 0}
_ANSWER: JsonSchema = {
    "type": "object",
    "required": ["completed"],
    "properties": {"completed": _COUNT, "warning": _COUNT, "failed": _COUNT, "error": TEXT},
}


class ExportService(Protocol):
    """The service, as the routes use it. Called from a worker thread."""

    def export(self, wanted: Export) -> ExportOutcome:
        """Send stored objects. Raises EditRefused, ConfigUnavailable, StatusError."""
        ...


def export_operations(service: ExportService) -> list[Operation]:
    """The operations."""

    def export(request: Request) -> Response:
        try:
            outcome = service.export(wanted_of(request))
        except EditRefused as err:
            return error(STATUS[err.refusal], str(err))
        except (ConfigUnavailable, StatusError) as err:
            return error(HTTPStatus.SERVICE_UNAVAILABLE, str(err))
        if outcome == ExportOutcome():
            return error(HTTPStatus.NOT_FOUND, "there is nothing of it to be sent")
        return _answer(outcome)

    return [
        Operation(
            method="POST",
            path=f"{path}/export/dicom:{{destination}}",
            name=name,
            summary="Sends stored objects to an AE of the directory, as a C-MOVE would.",
            role=Role.ADMINISTRATOR,
            handler=export,
            answers={200: _ANSWER, 206: _ANSWER, 404: OBJECT, 409: OBJECT, 502: OBJECT},
            tag="archive",
        )
        for name, path in _PATHS.items()
    ]


def wanted_of(request: Request) -> Export:
    """Export that the parameters of the path name."""
    identity: Identity = request.state.identity
    path = request.path_params
    return Export(
        ae_title=path["aet"],
        destination=path["destination"],
        study_instance_uid=path["study"],
        series_instance_uid=path.get("series"),
        sop_instance_uids=(path["instance"],) if "instance" in path else (),
        author=identity.name,
    )


def _answer(outcome: ExportOutcome) -> Response:
    told: dict[str, object] = {"completed": outcome.completed}
    told |= {"warning": outcome.warning} if outcome.warning else {}
    told |= {"failed": outcome.failed} if outcome.failed else {}
    told |= {"error": outcome.error} if outcome.failed and outcome.error else {}
    if not outcome.failed:
        return JSONResponse(told)
    if outcome.completed or outcome.warning:
        return JSONResponse(told, HTTPStatus.PARTIAL_CONTENT)
    message = outcome.error or "no object was taken"
    return JSONResponse({"errorMessage": message, **told}, HTTPStatus.BAD_GATEWAY)
