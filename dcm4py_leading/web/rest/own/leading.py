"""``/dcm4py-leading/leading``: leading archives, their last hours, and the answers kept on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dcm4py_leading.errors import StatusError
from dcm4py_leading.leading.last_known_list import KnownStudies
from dcm4py_leading.leading.outcome import LookupOutcome
from dcm4py_leading.model.bounds import LISTED_ANSWERS
from dcm4py_leading.model.values import AETitle
from dcm4py_leading.service.leading.history import STEPS
from dcm4py_leading.service.leading.interval import Interval, Requests, Traffic
from dcm4py_leading.service.leading.overview import QueriedArchive, QueryingAE
from dcm4py_leading.service.leading.view import LeadingView
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.http.answers import error
from dcm4py_leading.web.http.rooms import Handler
from dcm4py_leading.web.rest.openapi.schemas import OBJECT
from dcm4py_leading.web.rest.operations import Operation, Parameter

PATH = "/dcm4py-leading/leading"
HISTORY = f"{PATH}/history"

_HOURS = Parameter(name="hours", meaning="how far back; 24 if absent", schema={"enum": [str(hours) for hours in STEPS]})


class LeadingService(Protocol):
    """The service as pages and routes may ask it about leading archives. Called from a worker thread."""

    @property
    def leading(self) -> LeadingView:
        """The archives that are asked."""
        ...


def leading_operations(service: LeadingService) -> list[Operation]:
    """The operations. Of answers they show UIDs and ages, never contents."""

    def archives(_: Request) -> Response:
        found = service.leading.overview()
        return JSONResponse(
            {
                "leadingArchives": [archive_json(archive) for archive in found.leading],
                "archives": [archive_json(archive) for archive in found.behind],
            }
        )

    def history(request: Request) -> Response:
        hours = hours_of(request.query_params.get("hours", str(max(STEPS))))
        if hours is None:
            return error(HTTPStatus.BAD_REQUEST, f"hours: expected one of {', '.join(map(str, STEPS))}")
        return JSONResponse(history_json(hours, service.leading.history.over(hours)))

    def last_known(request: Request) -> Response:
        start = request.query_params.get("offset", "0")
        if not (start.isascii() and start.isdigit() and len(start) < 10):
            return error(HTTPStatus.BAD_REQUEST, "offset: expected a number")
        uid = request.query_params.get("uid", "")
        try:
            known = service.leading.last_known(uid, start=int(start), limit=LISTED_ANSWERS)
        except StatusError as err:
            return error(HTTPStatus.SERVICE_UNAVAILABLE, str(err))
        return JSONResponse(known_json(known))

    def operation(path: str, name: str, summary: str, handler: Handler, *parameters: Parameter) -> Operation:
        return Operation(
            method="GET",
            path=path,
            name=name,
            summary=summary,
            role=Role.VIEWER,
            or_role=Role.SERVICE,
            handler=handler,
            parameters=parameters,
            answers={200: OBJECT, 400: OBJECT},
            tag="leading archives",
        )

    return [
        operation(
            PATH, "getLeading", "The archives that are asked: by whom, by which rules, and how they answer.", archives
        ),
        operation(HISTORY, "getLeadingHistory", "How leading archives answered over the last hours.", history, _HOURS),
        operation(
            f"{PATH}/last-known",
            "getLeadingLastKnown",
            "The studies of which the last known answer is kept, the oldest first.",
            last_known,
            Parameter(name="uid", meaning="a part of the Study Instance UID"),
            Parameter(name="offset", meaning="how many to leave out", schema={"type": "integer", "minimum": 0}),
        ),
    ]


def hours_of(text: str) -> int | None:
    """Hours of history to return; None for a number without steps."""
    return next((hours for hours in STEPS if text == str(hours)), None)


def archive_json(archive: QueriedArchive) -> dict[str, object]:
    """An archive, with the AEs that ask it."""
    return {
        "aeTitle": archive.ae_title,
        "state": archive.standing.value,
        "isOneByOne": archive.is_one_by_one,
        "queriesUnderWay": archive.under_way,
        "waitingStudies": archive.waiting,
        "askedBy": [_asker_json(asker) for asker in archive.askers],
    }


def _asker_json(asker: QueryingAE) -> dict[str, object]:
    return {
        "aeTitle": asker.ae_title,
        "state": asker.standing.value,
        "breaker": None if asker.breaker is None else asker.breaker.value,
        "rules": [{"cn": rule.cn, "dn": rule.dn} for rule in asker.rules],
        **asker.contact.to_json(),
    }


def history_json(hours: int, intervals: Sequence[Interval]) -> dict[str, object]:
    """Columns by time; null where nothing is known, or nothing was asked. Of ``seconds`` something is known."""
    titles = sorted({title for interval in intervals for title in interval.archives})
    behind = sorted({title for interval in intervals for title in interval.behind})
    return {
        "hours": hours,
        "stepSeconds": int(STEPS[hours].total_seconds()),
        "endsAt": [round(interval.ends_at.timestamp()) for interval in intervals],
        "seconds": [round(interval.seconds, 3) for interval in intervals],
        "leadingArchives": [{"aeTitle": title, **_columns(intervals, partial(_traffic, title))} for title in titles],
        "archives": [{"aeTitle": title, **_columns(intervals, partial(_requests, title))} for title in behind],
    }


def _columns(intervals: Sequence[Interval], row_of: Callable[[Interval], Mapping[str, object]]) -> Mapping[str, object]:
    rows = [row if one.is_known else dict.fromkeys(row) for one, row in ((one, row_of(one)) for one in intervals)]
    return {key: [row[key] for row in rows] for key in rows[0]}


def _requests(title: str, interval: Interval) -> Mapping[str, object]:
    requests = interval.behind.get(title, Requests())
    return {"answered": requests.answered, "failed": requests.failed}


def _traffic(title: AETitle, interval: Interval) -> Mapping[str, object]:
    traffic = interval.archives.get(title, Traffic())
    return {
        "queries": traffic.latency.count,
        "averageSeconds": traffic.latency.average,
        "p50Seconds": traffic.latency.quantile(0.5),
        "p95Seconds": traffic.latency.quantile(0.95),
        "hitRate": traffic.hit_rate,
        "queriesUnderWay": interval.under_way(title),
        "waitingStudies": traffic.waiting,
        "breaker": None if traffic.breaker is None else traffic.breaker.value,
        **{outcome.value: traffic.outcomes.get(outcome, 0) for outcome in LookupOutcome},
    }


def known_json(known: KnownStudies) -> dict[str, object]:
    """A page of the last known answers, with the number and the ages of all."""
    return {
        "count": known.count,
        "oldestSeconds": None if known.oldest is None else round(known.oldest.total_seconds(), 3),
        "newestSeconds": None if known.newest is None else round(known.newest.total_seconds(), 3),
        "studies": [
            {
                "leadingAETitle": study.leading_cfind_scp,
                "studyInstanceUID": study.study_instance_uid,
                "ageSeconds": round(study.age.total_seconds(), 3),
            }
            for study in known.page
        ],
    }
