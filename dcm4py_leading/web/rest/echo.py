"""``POST /dcm4chee-arc/aets/{aet}/dimse/{remote}``: C-ECHO to a peer."""

from __future__ import annotations

from http import HTTPStatus
from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dcm4py_leading.errors import ConfigUnavailable, StatusError
from dcm4py_leading.service.monitor.echo import EchoOutcome, EchoResult, UnknownAE
from dcm4py_leading.web.gate.identity import Identity, Role
from dcm4py_leading.web.http.answers import error
from dcm4py_leading.web.rest.openapi.schemas import OBJECT
from dcm4py_leading.web.rest.operations import TEXT, JsonSchema, Operation, Parameter

_LAST_PORT = 65535


class EchoService(Protocol):
    """The service, as pages and routes use it for C-ECHO. Called from a worker thread."""

    def echo(self, ae_title: str, remote_ae_title: str, *, address: tuple[str, int] | None = None) -> EchoOutcome:
        """One C-ECHO of an AE of ours to an AE of the directory, or to whoever is at ``address``.

        Raises UnknownAE, ConfigUnavailable, StatusError when no process answers.
        """
        ...


class _WrongQuery(ValueError):
    """An invalid query parameter."""


_NUMBER: JsonSchema = {"type": "string", "pattern": "^[0-9]+$"}
_PORT: JsonSchema = {"type": "integer", "minimum": 1, "maximum": _LAST_PORT}


def echo_operation(service: EchoService) -> Operation:
    """The operation. Only administrators may give ``host`` and ``port``, which could be used to scan ports."""

    def echo(request: Request) -> Response:
        identity: Identity = request.state.identity
        try:
            address = _address(request.query_params.get("host"), request.query_params.get("port"))
            if address is not None and not identity.may(Role.ADMINISTRATOR):
                return error(HTTPStatus.FORBIDDEN, "host and port are for administrators only")
            outcome = service.echo(request.path_params["aet"], request.path_params["remote"], address=address)
        except _WrongQuery as err:
            return error(HTTPStatus.BAD_REQUEST, str(err))
        except UnknownAE as err:
            return error(HTTPStatus.NOT_FOUND, str(err))
        except (ConfigUnavailable, StatusError) as err:
            return error(HTTPStatus.SERVICE_UNAVAILABLE, str(err))
        return JSONResponse(_json(outcome))

    return Operation(
        method="POST",
        path="/dcm4chee-arc/aets/{aet}/dimse/{remote}",
        name="echo",
        summary="A C-ECHO of an AE of ours; the result tells how far it came, times are milliseconds.",
        role=Role.VIEWER,
        handler=echo,
        parameters=(
            Parameter(name="host", meaning="where to call, for administrators; with port"),
            Parameter(name="port", meaning="where to call, for administrators; with host", schema=_PORT),
        ),
        answers={
            200: {
                "type": "object",
                "properties": {
                    "result": {"enum": [str(int(result)) for result in EchoResult]},
                    "errorMessage": TEXT,
                    "connectionTime": _NUMBER,
                    "echoTime": _NUMBER,
                    "releaseTime": _NUMBER,
                },
                "required": ["result", "connectionTime", "echoTime", "releaseTime"],
            },
            400: OBJECT,
            404: OBJECT,
        },
        tag="dimse",
    )


def _address(host: str | None, port: str | None) -> tuple[str, int] | None:
    """Where to call; None for where the directory says. Raises _WrongQuery."""
    if host is None and port is None:
        return None
    if not host or port is None:
        raise _WrongQuery("host and port go together")
    number = int(port) if port.isascii() and port.isdecimal() and len(port) <= len(str(_LAST_PORT)) else 0
    if not 0 < number <= _LAST_PORT:
        raise _WrongQuery(f"port: expected a number from 1 to {_LAST_PORT}")
    return host, number


def _json(outcome: EchoOutcome) -> dict[str, str]:
    """As dcm4chee answers, where every value is a string."""
    return {
        "result": str(int(outcome.result)),
        **({} if outcome.error is None else {"errorMessage": outcome.error}),
        "connectionTime": str(outcome.connection_ms),
        "echoTime": str(outcome.echo_ms),
        "releaseTime": str(outcome.release_ms),
    }
