"""Worker process: carries out the requests of the supervisor on the control socket."""

from __future__ import annotations

import ctypes
import logging
import os
import secrets
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import assert_never

from dcm4py_leading.composition.check import Checked, check
from dcm4py_leading.composition.site import Site
from dcm4py_leading.config.sources.recorded import Replay
from dcm4py_leading.config.sources.recording import Recording
from dcm4py_leading.model.device import Connection
from dcm4py_leading.model.values import UID
from dcm4py_leading.process import Change, ServingProcess
from dcm4py_leading.service.proxy.forwarded_retrieves import ForwardedRetrieves
from dcm4py_leading.service.proxy.spool import Spool
from dcm4py_leading.workers.control import Channel, Json, Kind, Taken, answer_requests
from dcm4py_leading.workers.inherited_resources import SIGNALS, InheritedResources
from dcm4py_leading.workers.monitor_json import association_to_json
from dcm4py_leading.workers.object_handover import ObjectHandover
from dcm4py_leading.workers.shared_counts import SharedCounts
from dcm4py_leading.workers.slots import Slots
from dcm4py_leading.workers.wire_json import error_to_json, measured_to_json, studies_to_json

LOG = logging.getLogger(__name__)

Address = tuple[str, int]
_PR_SET_PDEATHSIG = 1


def run_worker(site: Site, handed: InheritedResources) -> None:
    """Serve until the supervisor sends a stop, or has gone.

    Ignores signals, which a terminal or a service manager sends to every process; the supervisor handles them.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # held back from the start of the process on
    _end_with_the_supervisor()
    worker = _Worker(site, handed)
    answer_requests(Channel(socket.socket(fileno=handed.control)), worker.answer, error_to_json)
    worker.stop(0)
    os._exit(0)  # also with running threads, which would never end


def _end_with_the_supervisor() -> None:
    """Let the system end this process with its parent, as a stopped process does not see the end of a socket.

    On systems other than Linux, only the end of the control channel ends it.
    """
    try:
        prctl = ctypes.CDLL(None, use_errno=True).prctl
    except (OSError, AttributeError):  # not Linux
        return
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class _Worker:
    def __init__(self, site: Site, handed: InheritedResources) -> None:
        self._site = site
        self._counts = SharedCounts(
            handed.slot,
            associations=Slots(handed.associations),
            connections=Slots(handed.connections),
            serial_numbers=Slots(handed.serial_numbers),
        )
        self._passing = ObjectHandover(handed.passing, handed.slot, Slots(handed.forwards))
        self._forwards = ForwardedRetrieves(
            slot=handed.slot, elsewhere=self._passing, start=secrets.randbelow(1000), spool=Spool(site.data_dir)
        )
        self._process: ServingProcess | None = None
        self._change: Change | None = None
        self._sockets: dict[Address, socket.socket] = {}
        """Handed over and not bound yet."""
        self._changing = threading.Lock()

    def answer(self, kind: Kind, body: Json, descriptors: tuple[int, ...]) -> Json:
        """Carry out a request; for the errors see `error_to_json`."""
        match kind:
            case Kind.PREPARE:
                return self._prepare(body, descriptors)
            case Kind.COMMIT | Kind.CANCEL:
                return self._end_change(is_committed=kind is Kind.COMMIT)
            case Kind.MEASURE:
                return measured_to_json(self._running.measure())
            case Kind.CACHED:
                return studies_to_json(self._running.cached_studies())
            case Kind.DROP:
                return self._running.drop_answers(None if body is None else UID(body))
            case Kind.CALL:
                return self._running.answer(body["name"], body["question"])
            case Kind.STREAM:
                return self._stream(body, *descriptors)
            case Kind.LOOKED_UP:
                return self._running.looked_up().to_json()
            case Kind.FORGET:
                return self._running.forget_aes(body)
            case Kind.ASSOCIATIONS:
                return [association_to_json(association) for association in self._running.associations()]
            case Kind.ABORT:
                return self._running.abort_association(body)
            case Kind.PAUSE:
                return self._pause(body)
            case Kind.RESUME:
                return self._resume(body, descriptors)
            case Kind.STOP:
                return self.stop(body)
            case _:
                assert_never(kind)

    @property
    def _running(self) -> ServingProcess:
        if self._process is None:
            raise RuntimeError("asked before the first configuration")
        return self._process

    def _prepare(self, body: Json, descriptors: tuple[int, ...]) -> None:
        with self._changing, self._handed_over(body, descriptors):
            checked = self._check(Recording.from_json(body["entries"]))
            if self._process is None:
                self._passing.serve(self._forwards)
                self._process = ServingProcess(
                    self._site,
                    checked,
                    forwards=self._forwards,
                    bind=self._bind,
                    others=self._counts,
                    is_listening=body["isListening"],
                )
            else:
                self._change = self._process.prepare(checked)

    @contextmanager
    def _handed_over(self, body: Json, descriptors: tuple[int, ...]) -> Iterator[None]:
        """Inside the block, the received sockets can be bound; afterwards the unused ones are closed."""
        fresh = [socket.socket(fileno=descriptor) for descriptor in descriptors]
        self._sockets = dict(zip(((host, port) for host, port in body["addresses"]), fresh, strict=True))
        try:
            yield
        finally:
            for sock in self._sockets.values():
                sock.close()
            self._sockets = {}

    def _stream(self, body: Json, descriptor: int) -> Taken:
        sock = socket.socket(fileno=descriptor)
        return Taken(partial(self._running.answer_stream, body["name"], body["question"], sock, error_to_json))

    def _pause(self, drain_seconds: float) -> None:
        with self._changing:
            self._running.stop_listening()
        self._running.drain(drain_seconds)

    def _resume(self, body: Json, descriptors: tuple[int, ...]) -> None:
        with self._changing, self._handed_over(body, descriptors):
            self._running.start_listening()

    def _check(self, recording: Recording) -> Checked:
        return check(replace(self._site, source=Replay(recording, self._site.source.describe())))

    def _bind(self, connection: Connection) -> socket.socket:
        try:
            return self._sockets.pop(connection.listen_address)
        except KeyError:
            raise OSError("the supervisor has not handed over its socket") from None

    def _end_change(self, *, is_committed: bool) -> None:
        with self._changing:
            change, self._change = self._change, None
            if change is not None and is_committed:
                change.commit()
            elif change is not None:
                change.cancel()

    def stop(self, drain_seconds: float) -> None:
        """Let associations end; harmless if already stopped."""
        with self._changing:
            process, self._process = self._process, None
            if process is not None:
                process.stop(drain_seconds)
                self._passing.close()
