"""Worker process of a supervisor: started again when it ends."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dcm4py_leading.workers.control import Channel, ControlClient, Json, Kind, RequestRefused, WorkerSilent
from dcm4py_leading.workers.inherited_resources import SIGNALS, InheritedResources
from dcm4py_leading.workers.shared_counts import NOT_LISTENING
from dcm4py_leading.workers.slots import Slots

LOG = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_END_SECONDS = 5.0
"""From the end of the control channel to that of the process."""
_SEND_SECONDS, _FIRST_SEND_SECONDS = 5.0, 60.0
"""Time for which a worker may not read what it is sent; at first it has to start, on a machine that may be busy."""
_MAX_MISSES = 3
_LONG_ENOUGH = 60.0
"""Seconds after which a worker counts as one that ran: the next start waits the first pause again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedSlots:
    """Counters that all workers share."""

    associations: Slots
    """Number of open associations."""
    connections: Slots
    """Number of connections that are served, or `NOT_LISTENING`."""
    serial_numbers: Slots
    """Number of associations that each slot has had, in whichever process."""
    forwards: Slots
    """Number of retrieves for which objects of another archive may come."""
    passing: Path
    """Where they listen for each other."""


class WorkerProcess:
    """One slot for a worker: a worker that ends is followed by a new one.

    Starts a new program, not a fork, as the supervisor has threads. It gets the supervisor's command line, and makes
    the same site from it.
    """

    def __init__(
        self,
        shared: SharedSlots,
        slot: int,
        command_line: Sequence[str],
        begin: Callable[[WorkerProcess], None],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """``begin`` gives a started worker its configuration and sets `is_serving`; an error of it ends the worker."""
        self._shared = shared
        self._slot = slot
        self._command = (sys.executable, "-m", "dcm4py_leading", *command_line)
        self._begin = begin
        self._now = now
        self.started_at = now()
        """When the process was started that runs now, or ran last."""
        self._stopping = threading.Event()
        self._keeper: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._asker: ControlClient | None = None
        self._stopped: Callable[[float], Json] | None = None
        self._misses = 0
        """Number of questions in a row that had no answer."""
        self.is_serving = False
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """Process ID of the current process."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the process; it does not serve yet."""
        self._shared.connections.set(self._slot, NOT_LISTENING)
        self._spawn()

    def begin(self) -> None:
        """Let the worker serve, and restart it from then on. Raises the errors of ``begin``."""
        self._let_begin()
        self._keeper = threading.Thread(target=self._keep, name=f"keeper of worker {self._slot}", daemon=True)
        self._keeper.start()

    def ask(self, kind: Kind, body: Json = None, descriptors: Sequence[int] = ()) -> Callable[[float], Json]:
        """Send a request; the returned function waits for the answer. It raises WorkerSilent, RequestRefused."""
        asker = self._asker
        if asker is None:
            raise WorkerSilent("the worker has ended")
        future = asker.ask(kind, body, descriptors)

        def answer(seconds: float) -> Json:
            try:
                answered = future.result(seconds)
            except TimeoutError as err:
                asker.forget(future)
                self._misses += 1
                if self._misses == _MAX_MISSES:
                    LOG.error("worker %d has not answered %d times: it is replaced", self._slot, _MAX_MISSES)
                    self.kill()
                raise WorkerSilent(f"worker {self._slot} does not answer {kind.value}") from err
            self._misses = 0
            return answered

        return answer

    def kill(self) -> None:
        """Kill the process; unless stopping, a new one is started."""
        if self._process is not None:
            self._process.kill()

    def stop(self, drain_seconds: float) -> None:
        """Stop restarting, and let the process drain."""
        self._stopping.set()
        with contextlib.suppress(WorkerSilent):
            self._stopped = self.ask(Kind.STOP, drain_seconds)

    def join(self, seconds: float) -> None:
        """Wait for the end after `stop`, and kill the process if it takes longer."""
        try:
            if self._stopped is not None:
                self._stopped(seconds)
        except (WorkerSilent, RequestRefused) as err:
            LOG.warning("worker %d is ended: %s", self._slot, err)
            self.kill()
        if self._asker is not None:
            self._asker.close()
        if self._keeper is not None:
            self._keeper.join(_END_SECONDS)
            self.kill()
            self._keeper.join()
        elif self._process is not None:
            self.kill()
            self._reap()

    def _spawn(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            shared = self._shared
            handed = InheritedResources(
                control=theirs.fileno(),
                associations=shared.associations.descriptor,
                connections=shared.connections.descriptor,
                serial_numbers=shared.serial_numbers.descriptor,
                forwards=shared.forwards.descriptor,
                slot=self._slot,
                passing=shared.passing,
            )
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # of this thread; the new process inherits it
            try:
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.DEVNULL,
                    env={**os.environ, **handed.environment},
                    pass_fds=handed.descriptors,
                )
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        self.started_at = self._now()
        self._misses = 0
        self._asker = ControlClient(Channel(ours, send_seconds=_FIRST_SEND_SECONDS))

    def _reap(self) -> int:
        assert self._process is not None and self._asker is not None
        status = self._process.wait()
        self.is_serving = False
        self._asker.close()
        self._shared.associations.set(self._slot, 0)
        self._shared.connections.set(self._slot, NOT_LISTENING)
        self._shared.forwards.set(self._slot, 0)
        return status

    def _let_begin(self) -> None:
        self._begin(self)
        if self._asker is not None:
            self._asker.limit_sending(_SEND_SECONDS)

    def _keep(self) -> None:
        pause, started = _FIRST_PAUSE, time.monotonic()
        while True:
            status = self._reap()
            if self._stopping.is_set():
                return
            if time.monotonic() - started > _LONG_ENOUGH:
                pause = _FIRST_PAUSE
            LOG.error("worker %d ended: %s; the next starts in %.1f s", self._slot, _how(status), pause)
            if self._stopping.wait(pause):
                return
            pause, started = min(2 * pause, _LONGEST_PAUSE), time.monotonic()
            self.restarts += 1
            try:
                self._spawn()
                self._let_begin()
            except Exception as err:  # noqa: BLE001 - after any error it is tried again
                LOG.error("worker %d cannot begin: %s", self._slot, err)
                self.kill()
            if self._stopping.is_set():
                self.kill()  # it was not there to be asked


def _how(status: int) -> str:
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
