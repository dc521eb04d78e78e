"""``/dcm4py-leading/drift``: comparisons with a leading archive: start, state, CSV file, cancel."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from http import HTTPStatus
from typing import Any, Protocol, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from dcm4py_leading.errors import ConfigUnavailable, DriftRefused
from dcm4py_leading.log import word
from dcm4py_leading.service.drift.order import ELSEWHERE_RATE, RATE
from dcm4py_leading.service.drift.shown import DriftChoice, DriftRequest, LatestComparison, StaleStudy
from dcm4py_leading.service.jobs.job import Job
from dcm4py_leading.service.jobs.jobs import TooManyJobs
from dcm4py_leading.web.gate.command_log import log_command
from dcm4py_leading.web.gate.identity import Identity, Role
from dcm4py_leading.web.http.answers import error
from dcm4py_leading.web.rest.openapi.schemas import OBJECT
from dcm4py_leading.web.rest.operations import BOOLEAN, TEXT, JsonSchema, Operation, Parameter, flag
from dcm4py_leading.web.rest.own.jobs import JOB, accepted, job_json

T = TypeVar("T")
D = TypeVar("D")

PATH = "/dcm4py-leading/drift"
LEAST_RATE, MAX_RATE = 0.001, 1000.0
_TAG = "drift"
_RATE: JsonSchema = {"type": "number", "minimum": LEAST_RATE, "maximum": MAX_RATE}
_LATEST: JsonSchema = {
    "type": "object",
    "properties": {
        "ae": TEXT,
        "isComplete": BOOLEAN,
        "canGoOn": BOOLEAN,
        "begunAt": {"type": ["string", "null"]},
        "savedAt": {"type": ["string", "null"]},
        "subject": OBJECT,
        "studies": {"type": "integer"},
        "summary": OBJECT,
        "job": {"anyOf": [JOB, {"type": "null"}]},
    },
}


class Drifts(Protocol):
    """The comparisons of the service. Called from a worker thread."""

    def choices(self) -> Sequence[DriftChoice]:
        """The AEs that can be compared."""
        ...

    def all(self) -> Sequence[LatestComparison]:
        """The latest comparison of each AE that has one."""
        ...

    def latest(self, ae_title: str) -> LatestComparison | None:
        """The latest comparison of an AE."""
        ...

    def start(self, order: DriftRequest, author: str) -> Job:
        """Begin a comparison. Raises DriftRefused, TooManyJobs, ConfigUnavailable, OSError."""
        ...

    def go_on(self, ae_title: str, author: str) -> Job:
        """Go on with the latest one of an AE. Raises as `start`."""
        ...

    def cancel(self, ae_title: str) -> bool:
        """Cancel the comparison of an AE. True if it was running."""
        ...

    def csv(self, ae_title: str) -> Iterator[bytes] | None:
        """The CSV file of the latest comparison of an AE. Raises OSError."""
        ...

    def stale(self, ae_title: str, attribute: str) -> Sequence[StaleStudy]:
        """The first studies in which an attribute is stale. Raises OSError."""
        ...


class DriftService(Protocol):
    """The service as the routes and pages use its comparisons."""

    @property
    def drifts(self) -> Drifts:
        """Comparisons of the service."""
        ...


def order_of(ae_title: str, said: Mapping[str, str]) -> DriftRequest:
    """The comparison that parameters, or form fields, ask for; empty ones count as absent. Raises ValueError.

    The message is for people.
    """
    return DriftRequest(
        ae_title=ae_title,
        leading=said.get("leading") or None,
        since=_read("since", said, date.fromisoformat, "a date, such as 2025-01-31", None),
        rate=_read("rate", said, _rate, f"a number from {LEAST_RATE:g} to {MAX_RATE:g}", RATE),
        elsewhere_rate=_read(
            "archiveRate", said, _rate, f"a number from {LEAST_RATE:g} to {MAX_RATE:g}", ELSEWHERE_RATE
        ),
        has_values=said.get("values", "false") in ("", "true"),
    )


def drift_operations(service: DriftService) -> list[Operation]:
    """The operations."""

    def list_all(_: Request) -> Response:
        return JSONResponse([latest_json(latest) for latest in service.drifts.all()])

    def get(request: Request) -> Response:
        latest = service.drifts.latest(request.path_params["aet"])
        return _unknown(request) if latest is None else JSONResponse(latest_json(latest))

    def start(request: Request) -> Response:
        ae_title, author = request.path_params["aet"], _author(request)
        try:
            if flag(request, "goOn", default=False):
                job = service.drifts.go_on(ae_title, author)
            else:
                flag(request, "values", default=False)
                job = service.drifts.start(order_of(ae_title, request.query_params), author)
        except ValueError as err:
            return error(HTTPStatus.BAD_REQUEST, str(err))
        except DriftRefused as err:
            return error(HTTPStatus.CONFLICT, str(err))
        except (TooManyJobs, ConfigUnavailable) as err:
            return error(HTTPStatus.SERVICE_UNAVAILABLE, str(err))
        except OSError as err:
            return error(HTTPStatus.SERVICE_UNAVAILABLE, f"nothing can be kept: {err.strerror}")
        log_command(request, f"drift: {word(ae_title)} is compared with its leading archive")
        return accepted(job)

    def cancel(request: Request) -> Response:
        if not service.drifts.cancel(request.path_params["aet"]):
            return error(HTTPStatus.NOT_FOUND, f"no comparison of {word(request.path_params['aet'])} is running")
        log_command(request, f"drift: the comparison of {word(request.path_params['aet'])} is cancelled")
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def fetch(request: Request) -> Response:
        found = csv_response(request, service)
        return _unknown(request) if found is None else found

    return [
        Operation(
            method="GET",
            path=PATH,
            name="listDrifts",
            summary="The latest comparison of each AE with its leading archive.",
            role=Role.VIEWER,
            handler=list_all,
            answers={200: {"type": "array", "items": _LATEST}},
            tag=_TAG,
        ),
        Operation(
            method="GET",
            path=f"{PATH}/{{aet}}",
            name="getDrift",
            summary="The latest comparison of an AE: how far it is, and its counts.",
            role=Role.VIEWER,
            handler=get,
            answers={200: _LATEST, 404: OBJECT},
            tag=_TAG,
        ),
        Operation(
            method="POST",
            path=f"{PATH}/{{aet}}",
            name="startDrift",
            summary="Begins a job that compares the studies of an AE with its leading archive. It changes nothing.",
            role=Role.ADMINISTRATOR,
            handler=start,
            parameters=(
                Parameter(name="leading", meaning="AE title of the leading archive, if the rules name several or none"),
                Parameter(name="since", meaning="earliest Study Date", schema={"type": "string", "format": "date"}),
                Parameter(name="rate", meaning="C-FINDs a second to the leading archive, at most", schema=_RATE),
                Parameter(name="archiveRate", meaning="the same to each archive behind the AE", schema=_RATE),
                Parameter(name="values", meaning="with both values in the CSV file: patient data", schema=BOOLEAN),
                Parameter(name="goOn", meaning="go on with the latest one, as it was begun", schema=BOOLEAN),
            ),
            answers={202: JOB, 400: OBJECT, 409: OBJECT},
            tag=_TAG,
        ),
        Operation(
            method="DELETE",
            path=f"{PATH}/{{aet}}",
            name="cancelDrift",
            summary="Let the comparison of an AE end soon; it can go on later.",
            role=Role.ADMINISTRATOR,
            handler=cancel,
            answers={204: None, 404: OBJECT},
            tag=_TAG,
        ),
        Operation(
            method="GET",
            path=f"{PATH}/{{aet}}/csv",
            name="getDriftCsv",
            summary="The latest comparison as CSV (RFC 4180): a row for each study.",
            role=Role.ADMINISTRATOR,
            handler=fetch,
            answers={200: None, 404: OBJECT},
            tag=_TAG,
        ),
    ]


def csv_response(request: Request, service: DriftService) -> Response | None:
    """The CSV file of the AE in the path; None where there is none."""
    ae_title: str = request.path_params["aet"]
    try:
        found = service.drifts.csv(ae_title)
    except OSError as err:
        return error(HTTPStatus.SERVICE_UNAVAILABLE, f"the CSV file cannot be read: {err.strerror}")
    if found is None:
        return None
    log_command(request, f"drift: the CSV file of {word(ae_title)} is fetched")
    return StreamingResponse(
        found, media_type="text/csv", headers={"Content-Disposition": 'attachment; filename="drift.csv"'}
    )


def latest_json(latest: LatestComparison) -> dict[str, Any]:
    """A comparison as it is told to programs."""
    kept = latest.kept
    return {
        "ae": latest.ae_title,
        "isComplete": kept is not None and kept.is_complete,
        "canGoOn": latest.can_go_on,
        "begunAt": None if kept is None else kept.begun_at,
        "savedAt": None if kept is None else kept.saved_at,
        "subject": {} if kept is None else {name: kept.subject[name] for name in kept.subject if name != "csv"},
        "studies": latest.summary.studies,
        "summary": latest.summary.to_json(),
        "job": None if latest.job is None else job_json(latest.job),
    }


def _author(request: Request) -> str:
    identity: Identity = request.state.identity
    return identity.name


def _read(name: str, said: Mapping[str, str], read: Callable[[str], T], expected: str, default: D) -> T | D:
    text = said.get(name, "").strip()
    if not text:
        return default
    try:
        return read(text)
    except ValueError as err:
        raise ValueError(f"{name}: expected {expected}") from err


def _rate(text: str) -> float:
    rate = float(text)
    if not LEAST_RATE <= rate <= MAX_RATE:
        raise ValueError(text)
    return rate


def _unknown(request: Request) -> Response:
    return error(HTTPStatus.NOT_FOUND, f"there is no comparison of {word(request.path_params['aet'])}")
