"""C-ECHO to a peer."""

from __future__ import annotations

from dataclasses import dataclass

from dcm4py_leading.calls.call import Call, Caller, Form, Here, Json
from dcm4py_leading.dicom.scu.echo import echo
from dcm4py_leading.errors import ConfigInvalid
from dcm4py_leading.model.bounds import ECHO_SECONDS
from dcm4py_leading.model.device import Connection, RemoteAE
from dcm4py_leading.model.values import AETitle
from dcm4py_leading.service.monitor.echo import EchoOutcome, EchoResult, UnknownAE
from dcm4py_leading.service.runtime import Runtime

_GRACE_SECONDS = 20.0
"""The peer's name is looked up too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoRequest:
    """An AE of ours and its peer."""

    ae_title: str
    remote_ae_title: str
    address: tuple[str, int] | None
    """Host and port; None: those of the directory."""


def _echo(here: Here, request: EchoRequest) -> EchoOutcome:
    runtime = here.runtime
    local = runtime.device.application_entity(request.ae_title)
    if local is None or not local.installed:
        raise UnknownAE(f"AE {request.ae_title} is none of device {runtime.device.device_name}")
    try:
        remote = _remote_ae(runtime, request)
    except ConfigInvalid as err:
        return EchoOutcome(result=EchoResult.INCOMPATIBLE, error=str(err))
    return echo(local, remote)


def _remote_ae(runtime: Runtime, request: EchoRequest) -> RemoteAE:
    """The AE as in the directory, or at the given address. Raises UnknownAE, ConfigError."""
    try:
        ae_title = AETitle(request.remote_ae_title)
    except ValueError as err:
        raise UnknownAE(f"AE title of the peer: {err}") from err
    if request.address is not None:
        host, port = request.address
        return RemoteAE(
            dn="", ae_title=ae_title, device_name="", connections=(Connection(dn="", hostname=host, port=port),)
        )
    remote = runtime.resolve(ae_title)
    if remote is None:
        raise UnknownAE(f"AE {ae_title} is not in the directory")
    return remote


def _request_to_json(request: EchoRequest) -> Json:
    return {"aet": request.ae_title, "remote": request.remote_ae_title, "address": request.address}


def _request_from_json(value: Json) -> EchoRequest:
    address = value["address"]
    return EchoRequest(
        ae_title=value["aet"],
        remote_ae_title=value["remote"],
        address=None if address is None else (address[0], address[1]),
    )


def _outcome_to_json(outcome: EchoOutcome) -> Json:
    times = [outcome.connection_ms, outcome.echo_ms, outcome.release_ms]
    return {"result": int(outcome.result), "ms": times, "error": outcome.error}


def _outcome_from_json(value: Json) -> EchoOutcome:
    connection_ms, echo_ms, release_ms = value["ms"]
    return EchoOutcome(
        result=EchoResult(value["result"]),
        connection_ms=connection_ms,
        echo_ms=echo_ms,
        release_ms=release_ms,
        error=value["error"],
    )


ECHO: Call[EchoRequest, EchoOutcome] = Call(
    name="echo",
    do=_echo,
    question=Form(to_json=_request_to_json, from_json=_request_from_json),
    answer=Form(to_json=_outcome_to_json, from_json=_outcome_from_json),
    seconds=ECHO_SECONDS + _GRACE_SECONDS,
)


class Echoes(Caller):
    """C-ECHOs (see `web.rest.echo.EchoService`)."""

    def echo(self, ae_title: str, remote_ae_title: str, *, address: tuple[str, int] | None = None) -> EchoOutcome:
        """Send a C-ECHO."""
        return self.call(ECHO, EchoRequest(ae_title=ae_title, remote_ae_title=remote_ae_title, address=address))
