"""Failures of requests about the configuration, as a status and JSON."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dcm4py_leading.config.secret_values import masked
from dcm4py_leading.errors import (
    ConfigInvalid,
    ConfigUnavailable,
    Dcm4pyError,
    DocumentInvalid,
    ReadOnlyDirectory,
    WriteConflict,
    WriteDenied,
    WriteError,
    WriteRefused,
)
from dcm4py_leading.secret_text import is_secret
from dcm4py_leading.web.http.answers import error
from dcm4py_leading.web.http.rooms import Handler


class Refusal(Dcm4pyError):
    """A request that is refused with a status of its own."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Conflict:
    """Values that were expected of an attribute, and those that are there."""

    dn: str
    attribute: str | None
    """None for the entry as a whole."""
    expected: tuple[str, ...] = ()
    found: tuple[str, ...] = ()


class PreconditionFailed(Dcm4pyError):
    """If-Match names another state than the present one."""

    def __init__(self, conflicts: Iterable[Conflict] = ()) -> None:
        self.conflicts = tuple(conflicts)
        super().__init__("it was changed since it was read: read it again")


def answering(handler: Handler) -> Handler:
    """The handler, whose errors become answers."""

    @functools.wraps(handler)
    def answer(request: Request) -> Response:
        try:
            return handler(request)
        except Dcm4pyError as err:
            return _answer(err)

    return answer


def _answer(err: Dcm4pyError) -> Response:
    match err:
        case Refusal():
            return error(err.status, str(err))
        case DocumentInvalid():
            faults = [{"path": fault.path, "reason": fault.reason} for fault in err.faults]
            return JSONResponse({"errorMessage": str(err), "problems": faults}, status_code=400)
        case PreconditionFailed():
            return _conflict(str(err), err.conflicts)
        case WriteConflict():
            return _conflict(str(err), [Conflict(err.dn, err.attribute, err.expected, err.found)])
        case WriteRefused():
            return error(400, str(err), err.problems)
        case WriteDenied() | ReadOnlyDirectory():
            return error(403, str(err))
        case ConfigUnavailable():
            return error(503, str(err), headers={"Retry-After": "5"})
        case ConfigInvalid():
            return error(409, str(err), err.problems)
        case WriteError():
            return error(409, str(err))
    raise err


def _conflict(message: str, conflicts: Iterable[Conflict]) -> Response:
    return JSONResponse(
        {"errorMessage": message, "conflicts": [_conflict_json(conflict) for conflict in conflicts]}, status_code=412
    )


def _conflict_json(conflict: Conflict) -> Mapping[str, object]:
    return {
        "dn": conflict.dn,
        "attribute": conflict.attribute,
        "expected": _shown(conflict.attribute, conflict.expected),
        "found": _shown(conflict.attribute, conflict.found),
    }


def _shown(attribute: str | None, values: tuple[str, ...]) -> list[str]:
    """Values without secrets. The class of the entry is not known here, so a condition of a rule may be masked too."""
    if attribute is None or is_secret(attribute):
        return []
    return [masked(attribute, value, ()) for value in values]
