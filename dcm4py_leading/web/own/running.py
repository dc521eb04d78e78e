"""``/dcm4py-leading/...``: the running configuration, what a reload would change, listeners and workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dcm4py_leading.config.following.difference import Difference
from dcm4py_leading.config.report.problem_json import problem_json
from dcm4py_leading.errors import Problem
from dcm4py_leading.service.monitor.listening import ListeningPort
from dcm4py_leading.web.gate.access import needs
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.http.rooms import Handler, Room


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedReload:
    """The last attempt at another configuration, if it failed."""

    at: datetime
    error: str

    def to_json(self) -> dict[str, object]:
        """As JSON values."""
        return {"at": self.at.isoformat(), "error": self.error}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningConfiguration:
    """The configuration in force."""

    device_name: str
    fingerprint: str
    loaded_at: datetime
    source: str
    """The directory or the LDIF files, for people."""
    is_last_good: bool
    """True if it is the copy that was kept on disk, because the directory was down at start."""
    is_followed: bool
    """True if changes in the directory are put in force unasked (``--watch``)."""
    is_listening: bool
    """False from ``ctrl/stop`` to ``ctrl/start``."""
    directory_failure: str | None
    """Why the directory gave no answer when it was last asked."""
    last_failed_reload: FailedReload | None
    """None when the last attempt was good."""
    problems: tuple[Problem, ...]
    """Problems of the configuration in force; warnings only."""
    degraded: tuple[str, ...]
    """Conditions that are not as they should be, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingReload:
    """Effect that a reload would have now. Changes nothing."""

    can_be_reloaded: bool
    """False if a reload would be refused, and the configuration in force would stay."""
    fingerprint: str | None = None
    """Of what would be in force; None where it would be refused."""
    differences: tuple[Difference, ...] = ()
    """From the configuration in force to what the directory says."""
    problems: tuple[Problem, ...] = ()
    """Problems of what the directory says: errors refuse it, warnings do not."""
    failure: str | None = None
    """Why the directory cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerState:
    """One process that takes associations."""

    pid: int | None
    """None between one that has ended and the next."""
    is_serving: bool
    associations: int
    """Those that peers have opened."""
    started_at: datetime
    restarts: int = 0
    """Number of times that another one had to be started in its place."""


class Running(Protocol):
    """The service as pages and routes may ask it. Called from a worker thread."""

    def running(self) -> RunningConfiguration:
        """The configuration in force."""
        ...

    def pending(self) -> PendingReload:
        """Effect that a reload would have; reads the directory."""
        ...

    def listeners(self) -> Sequence[ListeningPort]:
        """Where associations are accepted, or should be."""
        ...

    def workers(self) -> Sequence[WorkerState]:
        """The processes; without ``--workers`` this one alone."""
        ...


def running_routes(service: Running, *, looking: Room, reading: Room) -> list[Route]:
    """The routes. Those that read the directory have a room of their own."""

    def running(_: Request) -> Response:
        return JSONResponse(_running_json(service.running()))

    def pending(_: Request) -> Response:
        return JSONResponse(_pending_json(service.pending()))

    def listeners(_: Request) -> Response:
        return JSONResponse([_listener_json(listener) for listener in service.listeners()])

    def workers(_: Request) -> Response:
        return JSONResponse([_worker_json(worker) for worker in service.workers()])

    def route(path: str, handler: Handler, room: Room) -> Route:
        endpoint = needs(Role.VIEWER, room.serves(handler), or_role=Role.SERVICE)
        return Route(f"/dcm4py-leading/{path}", endpoint, methods=["GET"])

    return [
        route("configuration", running, looking),
        route("configuration/pending", pending, reading),
        route("listeners", listeners, looking),
        route("workers", workers, looking),
    ]


def _running_json(running: RunningConfiguration) -> dict[str, object]:
    failed = running.last_failed_reload
    return {
        "dicomDeviceName": running.device_name,
        "fingerprint": running.fingerprint,
        "loadedAt": running.loaded_at.isoformat(),
        "source": running.source,
        "isLastGood": running.is_last_good,
        "isFollowed": running.is_followed,
        "isListening": running.is_listening,
        "directoryFailure": running.directory_failure,
        "lastFailedReload": None if failed is None else failed.to_json(),
        "problems": [problem_json(problem) for problem in running.problems],
        "degraded": running.degraded,
    }


def _pending_json(pending: PendingReload) -> dict[str, object]:
    return {
        "canBeReloaded": pending.can_be_reloaded,
        "fingerprint": pending.fingerprint,
        "failure": pending.failure,
        "differences": [difference_json(difference) for difference in pending.differences],
        "problems": [problem_json(problem) for problem in pending.problems],
    }


def difference_json(difference: Difference) -> dict[str, str | None]:
    """A difference as JSON; ``text`` is the whole of it for people."""
    return {
        "kind": difference.kind.value,
        "objectClass": difference.object_class,
        "name": difference.name,
        "place": difference.place,
        "attribute": difference.attribute,
        "detail": difference.detail,
        "text": str(difference),
    }


def _listener_json(listener: ListeningPort) -> dict[str, object]:
    return {
        "connection": listener.name,
        "host": listener.host,
        "port": listener.port,
        "aeTitles": listener.ae_titles,
        "isBound": listener.is_bound,
        "whyNot": listener.why_not,
    }


def _worker_json(worker: WorkerState) -> dict[str, object]:
    return {
        "pid": worker.pid,
        "isServing": worker.is_serving,
        "associations": worker.associations,
        "startedAt": worker.started_at.isoformat(),
        "restarts": worker.restarts,
    }
