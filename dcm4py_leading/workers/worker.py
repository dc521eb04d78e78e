"""One worker process: a node that does what the supervisor at the other end of the control socket says."""

from __future__ import annotations

import ctypes
import logging
import os
import secrets
import signal
import socket
import threading
from dataclasses import replace
from pathlib import Path
from typing import assert_never

from dcm4py_leading.compose import Checked, Site, check
from dcm4py_leading.config.recorded import Recording, Replay
from dcm4py_leading.model.device import Connection
from dcm4py_leading.model.values import UID
from dcm4py_leading.node import Change, Node
from dcm4py_leading.service.forwards import Forwards
from dcm4py_leading.service.spool import Spool
from dcm4py_leading.workers.control import Channel, Json, Kind, answer_requests
from dcm4py_leading.workers.forms import error_to_json, measured_to_json, studies_to_json
from dcm4py_leading.workers.passing import Passing
from dcm4py_leading.workers.slots import Slots

LOG = logging.getLogger(__name__)

Address = tuple[str, int]
_PR_SET_PDEATHSIG = 1


def run_worker(site: Site, *, control: int, slots: int, forwards: int, slot: int, passing: Path) -> None:
    """Serve until the supervisor says stop, or is gone. ``control``, ``slots`` and ``forwards`` are file descriptors.

    Signals are the supervisor's: a terminal or a service manager sends them to every process.
    """
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    _end_with_the_supervisor()
    worker = _Worker(site, Slots(slots), slot, Passing(passing, slot, Slots(forwards)))
    answer_requests(Channel(socket.socket(fileno=control)), worker.answer, error_to_json)
    worker.stop(0)
    os._exit(0)  # whatever threads are left: nobody would ever end them


def _end_with_the_supervisor() -> None:
    """Let the system end this process with its parent, where it can: one that is stopped sees no end of a socket.

    The end of the control channel is what ends it elsewhere.
    """
    try:
        prctl = ctypes.CDLL(None, use_errno=True).prctl
    except (OSError, AttributeError):  # not Linux
        return
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class _Worker:
    def __init__(self, site: Site, slots: Slots, slot: int, passing: Passing) -> None:
        self._site = site
        self._passing = passing
        self._forwards = Forwards(
            slot=slot, elsewhere=passing, start=secrets.randbelow(1000), spool=Spool(site.data_dir)
        )
        self._slots = slots
        self._slot = slot
        self._node: Node | None = None
        self._change: Change | None = None
        self._sockets: dict[Address, socket.socket] = {}
        """Handed over and not bound yet."""
        self._changing = threading.Lock()

    def answer(self, kind: Kind, body: Json, descriptors: tuple[int, ...]) -> Json:
        """Do what is asked; see `error_to_json` for what may be raised."""
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
            case Kind.EXPLAIN:
                told = self._running.explain(body["study"], body["parameters"], is_asking=body["isAsking"])
                return {"json": told.as_json, "text": told.as_text, "hasFailed": told.has_failed}
            case Kind.LOOKED_UP:
                return self._running.looked_up().to_json()
            case Kind.FORGET:
                return self._running.forget_aes(body)
            case Kind.STOP:
                return self.stop(body)
            case _:
                assert_never(kind)

    @property
    def _running(self) -> Node:
        if self._node is None:
            raise RuntimeError("asked before the first configuration")
        return self._node

    def _prepare(self, body: Json, descriptors: tuple[int, ...]) -> None:
        with self._changing:
            fresh = [socket.socket(fileno=descriptor) for descriptor in descriptors]
            self._sockets = dict(zip(((host, port) for host, port in body["addresses"]), fresh, strict=True))
            try:
                checked = self._check(Recording.from_json(body["entries"]))
                if self._node is None:
                    self._passing.serve(self._forwards)
                    self._node = Node(
                        self._site,
                        checked,
                        forwards=self._forwards,
                        bind=self._bind,
                        others=lambda: self._slots.others(self._slot),
                        report=lambda count: self._slots.set(self._slot, count),
                    )
                else:
                    self._change = self._node.prepare(checked)
            finally:
                for sock in self._sockets.values():
                    sock.close()
                self._sockets = {}

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
        """Let associations end; harmless when stopped already."""
        with self._changing:
            node, self._node = self._node, None
            if node is not None:
                node.stop(drain_seconds)
                self._passing.close()
