"""Supervisor: binds the listeners, keeps the workers running with one configuration, and answers for all of them.

The supervisor reads the configuration for all workers; either all of them take a new one, or none. It serves HTTP; a
worker that does not answer in time is left out, and logged.
"""

from __future__ import annotations

import itertools
import logging
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import reduce
from typing import Any

from dcm4py_leading import log
from dcm4py_leading.calls.call import A, Call, Q
from dcm4py_leading.calls.stream import H, Stream, StreamCall, read_stream
from dcm4py_leading.calls.table import Calls
from dcm4py_leading.composition.announce import announce
from dcm4py_leading.composition.check import Checked
from dcm4py_leading.composition.data import use_data_directory
from dcm4py_leading.composition.site import Site
from dcm4py_leading.config.following.watch import Pace
from dcm4py_leading.config.sources.recording import Recording
from dcm4py_leading.configuration import Configuration
from dcm4py_leading.dicom.scp.listener import Address, bind_all, close_all
from dcm4py_leading.drifting.drifts import Drifts
from dcm4py_leading.errors import ConfigError, ConfigUnavailable, StatusError
from dcm4py_leading.leading.lookup import CachedAnswer
from dcm4py_leading.leading.outcome import LookupCounts
from dcm4py_leading.listening import DRAIN_SECONDS, Listening
from dcm4py_leading.model.values import UID
from dcm4py_leading.service.jobs.jobs import Jobs
from dcm4py_leading.service.monitor.associations import OpenAssociation
from dcm4py_leading.service.monitor.listening import ListeningPort, listeners_of
from dcm4py_leading.service.monitor.measured import Measured
from dcm4py_leading.web.own.running import PendingReload, RunningConfiguration, WorkerState
from dcm4py_leading.workers.control import Json, Kind, RequestRefused, WorkerSilent
from dcm4py_leading.workers.handover_folder import HandoverFolder
from dcm4py_leading.workers.monitor_json import association_from_json
from dcm4py_leading.workers.process import SharedSlots, WorkerProcess
from dcm4py_leading.workers.slots import Slots
from dcm4py_leading.workers.wire_json import error_from_json, measured_from_json, studies_from_json

LOG = logging.getLogger(__name__)

_BEGIN_SECONDS, _PREPARE_SECONDS, _ANSWER_SECONDS = 60.0, 60.0, 3.0
_STOP_SECONDS = 10.0
"""Time that a worker gets besides the time to drain."""


class Supervisor(Calls):
    """The running service with several workers. See `web.app.Control`; `reload` may be called from any thread."""

    def __init__(
        self,
        site: Site,
        *,
        workers: int,
        command_line: Sequence[str],
        pace: Pace | None = None,
        drain_seconds: float = DRAIN_SECONDS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Load the configuration, bind every listener, start the workers and wait until all of them serve.

        Opens index and storages once, to report errors before any worker starts. ``command_line`` makes ``site`` in
        another process. With a ``pace`` the directory is watched. ``drain_seconds`` is the time for associations to end
        when an administrator stops the listening. Raises ConfigError, IndexUnavailable, OSError, WorkerSilent.
        """
        self.jobs = Jobs(now=now)
        self.drifts = Drifts(site, lambda: self._configuration.in_force, self.jobs, now=now)
        self._configuration = Configuration(
            site, self._put, now=now, looked_up=self._looked_up, forget=self._forget_aes
        )
        device = self._configuration.in_force.snapshot.device
        log.use_reference_key(site.data_dir)
        self._sockets: dict[Address, socket.socket] = {}
        try:
            self._data_directory = use_data_directory(
                site,
                self._configuration.in_force,
                before_index=lambda: self._sockets.update(bind_all(device.listening_connections, {})),
            )
        except BaseException:  # cleans up and raises on, whatever it was
            close_all(self._sockets)
            raise
        self._slots = Slots.create(workers)
        self._passing = HandoverFolder()
        self._shared = SharedSlots(
            associations=self._slots,
            connections=Slots.create(workers),
            serial_numbers=Slots.create(workers),
            forwards=Slots.create(workers),
            passing=self._passing.path,
        )
        self.leading = self._configuration.leading_view(self.measure)
        self._turns = itertools.count()
        """Long answers are made by one worker after the other."""
        self._drain_seconds = drain_seconds
        self._listening = Listening(
            self._configuration.changing, open_ports=self._open_ports, close_ports=self._close_ports, now=now
        )
        self._workers = [
            WorkerProcess(self._shared, slot, command_line, self._begin, now=now) for slot in range(workers)
        ]
        try:
            for worker in self._workers:
                worker.start()
            for worker in self._workers:
                worker.begin()
        except BaseException:  # cleans up and raises on, whatever it was
            self.stop(0)
            raise
        self._data_directory.share()
        announce(self._configuration.in_force, "configuration in force", site)
        if pace is not None:
            self._configuration.follow(pace)
        self.leading.history.start()

    def _begin(self, worker: WorkerProcess) -> None:
        with self._configuration.changing:
            answer = _prepare(worker, self._configuration.in_force, self._sockets, is_listening=self._listening.is_on)
            _wait(answer, _BEGIN_SECONDS)
            worker.is_serving = True

    def reload(self) -> None:
        """Read and check once, prepare it in every worker, then swap in all; see `web.app.Control`."""
        self._configuration.reload()

    def _put(self, new: Checked) -> None:
        """Put ``new`` in force in every worker, or in none. Raises ConfigError."""
        connections = new.snapshot.device.listening_connections if self._listening.is_on else ()
        fresh = bind_all(connections, self._sockets)
        workers = self._serving()
        try:
            self._prepare_all(workers, new, fresh)
        except BaseException:  # cleans up and raises on, whatever it was
            close_all(fresh)
            raise
        self._sockets |= fresh
        committed = {worker for worker, _ in self._each(workers, Kind.COMMIT)}
        for worker in workers:
            if worker not in committed:
                worker.kill()  # the next worker begins with the configuration in force
        wanted = {connection.listen_address for connection in connections}
        obsolete = {address: sock for address, sock in self._sockets.items() if address not in wanted}
        self._sockets = {address: sock for address, sock in self._sockets.items() if address in wanted}
        close_all(obsolete)

    def start_listening(self) -> None:
        """Accept associations again (see `web.rest.control.ListeningControl`)."""
        self._listening.start()

    def stop_listening(self) -> None:
        """Accept no more associations (see `web.rest.control.ListeningControl`)."""
        self._listening.stop()

    def _open_ports(self) -> None:
        """Bind the sockets and hand them to every worker; restart a worker that does not accept them."""
        self._sockets = bind_all(self._configuration.in_force.snapshot.device.listening_connections, {})
        workers = self._serving()
        body, descriptors = {"addresses": list(self._sockets)}, [sock.fileno() for sock in self._sockets.values()]
        for worker, answer in [(worker, _ask(worker, Kind.RESUME, body, descriptors)) for worker in workers]:
            self._must_answer(worker, answer, _PREPARE_SECONDS)

    def _close_ports(self) -> Callable[[], None]:
        """Let every worker close its listeners, and then drain."""
        answers = [(worker, _ask(worker, Kind.PAUSE, self._drain_seconds)) for worker in self._serving()]
        close_all(self._sockets)
        self._sockets = {}

        def drain() -> None:
            for worker, answer in answers:
                self._must_answer(worker, answer, self._drain_seconds + _STOP_SECONDS)

        return drain

    def _must_answer(self, worker: WorkerProcess, answer: Answer, seconds: float) -> None:
        """Wait for the answer; kill a worker that gives none, as its state is unknown."""
        try:
            answer(seconds)
        except (WorkerSilent, RequestRefused) as err:
            LOG.error("the worker with process id %s is ended, as it did not do what it was told: %s", worker.pid, err)
            worker.kill()

    def _prepare_all(
        self, workers: Sequence[WorkerProcess], new: Checked, fresh: Mapping[Address, socket.socket]
    ) -> None:
        """Prepare every worker, or none. Raises ConfigError."""
        prepared: list[WorkerProcess] = []
        failures: list[Exception] = []
        is_on = self._listening.is_on
        answers = [_prepare(worker, new, fresh, is_listening=is_on) for worker in workers]
        for worker, answer in zip(workers, answers, strict=True):
            try:
                _wait(answer, _PREPARE_SECONDS)
                prepared.append(worker)
            except ConfigError as err:
                failures.append(err)
            except (WorkerSilent, StatusError) as err:
                failures.append(ConfigUnavailable(f"not every worker can take the configuration: {err}"))
                worker.kill()  # its state is unknown
        if failures:
            self._each(prepared, Kind.CANCEL)
            raise failures[0]

    def _serving(self) -> list[WorkerProcess]:
        return [worker for worker in self._workers if worker.is_serving]

    def _each(
        self, workers: Sequence[WorkerProcess], kind: Kind, body: Json = None
    ) -> list[tuple[WorkerProcess, Json]]:
        """Send a request to all workers at the same time; return the answers that come."""
        asked = [(worker, _ask(worker, kind, body)) for worker in workers]
        answers = []
        for worker, answer in asked:
            try:
                answers.append((worker, answer(_ANSWER_SECONDS)))
            except (WorkerSilent, RequestRefused) as err:
                LOG.warning("%s: no answer from the worker with process id %s: %s", kind.value, worker.pid, err)
        return answers

    def _looked_up(self) -> Sequence[Recording]:
        return [Recording.from_json(answer) for _, answer in self._each(self._serving(), Kind.LOOKED_UP)]

    def _forget_aes(self, ae_titles: Iterable[str]) -> None:
        self._each(self._serving(), Kind.FORGET, list(ae_titles))

    def is_ready(self) -> bool:
        """True if a worker serves, and no administrator has stopped the listening."""
        return self._listening.is_on and bool(self._serving())

    def state(self) -> Mapping[str, object]:
        """State for the health of the service (see `web.app.Control`)."""
        measured = self._measured()
        return {
            **self._configuration.state(measured.lookups, measured.contacts, troubles=self._listening.troubles),
            "associations": self._slots.total(),
            "workers": [
                {
                    "pid": worker.pid,
                    "isServing": worker.is_serving,
                    "restarts": worker.restarts,
                    "associations": self._slots.of(slot),
                }
                for slot, worker in enumerate(self._workers)
            ],
        }

    def running(self) -> RunningConfiguration:
        """Configuration that is in force (see `web.own.running.Running`)."""
        return self._configuration.running(troubles=self._listening.troubles)

    def pending(self) -> PendingReload:
        """Outcome of a reload, if it were done now (see `web.own.running.Running`)."""
        return self._configuration.pending()

    def listeners(self) -> Sequence[ListeningPort]:
        """Ports that are listened on (see `web.own.running.Running`)."""
        return listeners_of(self._configuration.in_force.snapshot.device, self._sockets)

    def workers(self) -> Sequence[WorkerState]:
        """Workers and their state (see `web.own.running.Running`)."""
        return [
            WorkerState(
                pid=worker.pid,
                is_serving=worker.is_serving,
                associations=self._slots.of(slot),
                started_at=worker.started_at,
                restarts=worker.restarts,
            )
            for slot, worker in enumerate(self._workers)
        ]

    def associations(self) -> Sequence[OpenAssociation]:
        """Associations of the workers that answer."""
        answers = self._each(self._serving(), Kind.ASSOCIATIONS)
        found = [association_from_json(value) for _, answer in answers for value in answer]
        return sorted(found, key=lambda association: (association.connected_at, association.serial_number))

    def abort_association(self, serial_number: int) -> bool:
        """Abort an association (see `web.rest.associations.Associations`) in the worker that has it."""
        worker = self._workers[serial_number % len(self._workers)]
        return worker.is_serving and any(answer for _, answer in self._each([worker], Kind.ABORT, serial_number))

    def measure(self) -> Measured:
        """Sum of the workers that answer; open associations are those of all workers."""
        measured = self._measured()
        return replace(
            measured,
            is_degraded=measured.is_degraded or bool(measured.contacts.troubles),
            is_listening=self._listening.is_on,
        )

    def _measured(self) -> Measured:
        snapshot = self._configuration.in_force.snapshot
        ours = Measured(
            lookups=LookupCounts(),
            key_lookups={},
            coercions={},
            transcoded_objects=0,
            open_associations=0,
            fingerprint=snapshot.fingerprint,
            loaded_at=snapshot.loaded_at,
            is_last_reload_good=True,
            workers=0,
            worker_restarts=sum(worker.restarts for worker in self._workers),
        )
        parts = [measured_from_json(answer) for _, answer in self._each(self._serving(), Kind.MEASURE)]
        ours = self._configuration.measured(ours)
        return replace(reduce(Measured.plus, parts, ours), open_associations=self._slots.total())

    def cached_studies(self) -> Sequence[CachedAnswer]:
        """Studies in the leading caches, the oldest answer first; of a study in several, the oldest."""
        found: dict[tuple[str, str], CachedAnswer] = {}
        for _, answer in self._each(self._serving(), Kind.CACHED):
            for study in studies_from_json(answer):
                key = (study.leading_cfind_scp, study.study_instance_uid)
                if key not in found or study.age > found[key].age:
                    found[key] = study
        return sorted(found.values(), key=lambda study: study.age, reverse=True)

    def drop_answers(self, study_instance_uid: UID | None) -> int:
        """Drop answers in every worker; kill a worker that does not answer, as it might use an old answer."""
        workers = self._serving()
        answers = self._each(workers, Kind.DROP, study_instance_uid)
        for worker in set(workers) - {worker for worker, _ in answers}:
            worker.kill()
        return sum(count for _, count in answers)

    def call(self, call: Call[Q, A], question: Q) -> A:
        """The answer of the first worker that gives one (see `calls.call.Caller`)."""
        body = _body(call, question)
        for worker in self._serving():
            try:
                return call.answer.from_json(_wait(_ask(worker, Kind.CALL, body), call.seconds))
            except WorkerSilent as err:
                if not call.is_repeatable:
                    raise StatusError(f"cut off in the middle: {err}") from err
                LOG.warning("%s: %s", call.name, err)
        raise StatusError("no worker answers")

    def call_each(self, call: Call[Q, A], question: Q) -> list[A]:
        """The answers of the workers that give one (see `calls.call.Caller`)."""
        answers = self._each(self._serving(), Kind.CALL, _body(call, question))
        return [call.answer.from_json(answer) for _, answer in answers]

    def stream(self, call: StreamCall[Q, H], question: Q, body: Iterable[bytes] | None = None) -> Stream[H]:
        """The answer of the first worker that takes the question, in turn (see `calls.dicomweb.Streaming`)."""
        asked = {"name": call.name, "question": call.question.to_json(question)}
        workers = self._serving()
        first = next(self._turns) % max(1, len(workers))
        for worker in (*workers[first:], *workers[:first]):
            ours, theirs = socket.socketpair()
            try:
                with theirs:
                    _wait(_ask(worker, Kind.STREAM, asked, [theirs.fileno()]), _ANSWER_SECONDS)
            except WorkerSilent as err:
                ours.close()
                LOG.warning("%s: %s", call.name, err)
                continue
            return read_stream(ours, call, lambda error: error_from_json(RequestRefused(error)), body)
        raise StatusError("no worker answers")

    def stop(self, drain_seconds: float) -> None:
        """Let every worker drain, and end all of them."""
        self._listening.end()
        self.leading.history.stop()
        self._configuration.stop()
        drain_seconds = self.jobs.stop(drain_seconds)
        for worker in self._workers:
            worker.stop(drain_seconds)
        close_all(self._sockets)
        for worker in self._workers:
            worker.join(drain_seconds + _STOP_SECONDS)
        self._slots.close()
        self._shared.connections.close()
        self._shared.serial_numbers.close()
        self._shared.forwards.close()
        self._passing.remove()
        self._data_directory.close()


Answer = Callable[[float], Json]


def _body(call: Call[Q, Any], question: Q) -> Json:
    return {"name": call.name, "question": call.question.to_json(question)}


def _ask(worker: WorkerProcess, kind: Kind, body: Json, descriptors: Sequence[int] = ()) -> Answer:
    try:
        return worker.ask(kind, body, descriptors)
    except WorkerSilent as err:
        return _raising(err)


def _raising(err: WorkerSilent) -> Answer:
    def answer(_: float) -> Json:
        raise err

    return answer


def _prepare(
    worker: WorkerProcess, new: Checked, sockets: Mapping[Address, socket.socket], *, is_listening: bool
) -> Answer:
    body = {"entries": new.read.to_json(), "addresses": list(sockets), "isListening": is_listening}
    return _ask(worker, Kind.PREPARE, body, [sock.fileno() for sock in sockets.values()])


def _wait(answer: Answer, seconds: float) -> Json:
    """Wait for the answer; an error in the worker is raised again here."""
    try:
        return answer(seconds)
    except RequestRefused as err:
        raise error_from_json(err) from err
