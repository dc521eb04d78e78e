"""The service in one process, and explaining a file without a service."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from dcm4py_leading.calls.call import A, Call, Q
from dcm4py_leading.calls.stream import H, Stream, StreamCall
from dcm4py_leading.calls.table import Calls
from dcm4py_leading.coercion.explain import Explanation
from dcm4py_leading.composition.announce import announce
from dcm4py_leading.composition.check import check
from dcm4py_leading.composition.data import use_data_directory
from dcm4py_leading.composition.site import Site
from dcm4py_leading.config.following.watch import Pace
from dcm4py_leading.config.remote import RemoteAEResolver
from dcm4py_leading.configuration import Configuration
from dcm4py_leading.dicom.scp.listener import Address, bind_all, bind_listener, close_all
from dcm4py_leading.dicom.scu.leading import FindSCU
from dcm4py_leading.dicom.scu.worklist import WorklistSCU
from dcm4py_leading.drifting.drifts import Drifts
from dcm4py_leading.leading.lookup import CachedAnswer, LeadingLookup
from dcm4py_leading.leading.query import LeadingQuery
from dcm4py_leading.listening import DRAIN_SECONDS, Listening
from dcm4py_leading.model.values import UID
from dcm4py_leading.process import ServingProcess
from dcm4py_leading.service.explain import (
    AssumedAnswer,
    Basis,
    ExplainedMessage,
    WrongQuestion,
    explain,
    read_file,
)
from dcm4py_leading.service.find.scu_rules import ScuFindRules
from dcm4py_leading.service.jobs.jobs import Jobs
from dcm4py_leading.service.monitor.associations import OpenAssociation
from dcm4py_leading.service.monitor.listening import ListeningPort
from dcm4py_leading.service.monitor.measured import Measured
from dcm4py_leading.web.own.running import PendingReload, RunningConfiguration, WorkerState

LOG = logging.getLogger(__name__)


def explain_file(site: Site, file: Path, wanted: ExplainedMessage, leading: str) -> Explanation:
    """Explain what becomes of a file; ``leading`` is ``ask``, ``none``, or a file that supplies the answer.

    Raises ConfigError, WrongQuestion, SubOperationFailed.
    """
    if leading not in ("ask", "none") and not Path(leading).is_file():
        raise WrongQuestion(f"--leading: expected ask, none or a file; there is no file {leading}")
    ds = read_file(file)
    checked = check(site)
    device = checked.snapshot.device
    resolve = RemoteAEResolver(site.source, stale_after=None, expand=site.expand).resolve
    basis = Basis(device=device, rules=checked.rules, options=site.options, resolve=resolve)
    if leading == "none":
        return explain(ds, wanted, basis)
    query: LeadingQuery
    with contextlib.ExitStack() as open_until_told:
        settings = site.leading_settings
        if leading == "ask":
            own_find = ScuFindRules(checked.rules, compat_5_35=site.options.compat_5_35)
            query = FindSCU(resolve, settings=settings, coerce=own_find)
            open_until_told.callback(query.close)
            basis = replace(basis, worklist=WorklistSCU(resolve, coerce=own_find))
        else:
            query = AssumedAnswer(read_file(Path(leading)))
            basis = replace(basis, is_answer_assumed=True)
        lookup = LeadingLookup(device, query, clock=time.monotonic, settings=settings)
        open_until_told.callback(lookup.close)
        return explain(ds, wanted, replace(basis, leading=lookup))


class Service(Calls):
    """The running service in this process alone. `reload` may be called from any thread."""

    def __init__(
        self,
        site: Site,
        *,
        pace: Pace | None = None,
        drain_seconds: float = DRAIN_SECONDS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Load the configuration, open index and storages, bind and serve every listener.

        With a ``pace`` the directory is followed. ``drain_seconds`` is what associations get when an administrator
        stops the listening. Raises ConfigError, IndexUnavailable, StorageUnavailable, OSError.
        """
        self.configuration = Configuration(
            site,
            lambda new: self._process.prepare(new).commit(),
            now=now,
            looked_up=lambda: [self._process.looked_up()],
            forget=lambda titles: self._process.forget_aes(titles),
        )
        new = self.configuration.in_force
        sockets: dict[Address, socket.socket] = {}
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(close_all, sockets)
            connections = new.snapshot.device.listening_connections
            self._data_directory = use_data_directory(
                site, new, before_index=lambda: sockets.update(bind_all(connections, {}))
            )
            on_failure.callback(self._data_directory.close)
            self._process = ServingProcess(
                site,
                new,
                bind=lambda connection: sockets.pop(connection.listen_address, None) or bind_listener(connection),
            )
            on_failure.pop_all()
        self.jobs = Jobs(now=now)
        self.drifts = Drifts(site, lambda: self.configuration.in_force, self.jobs, now=now)
        self.leading = self.configuration.leading_view(self.measure)
        self._started_at = now()
        self._drain_seconds = drain_seconds
        self._listening = Listening(
            self.configuration.changing,
            open_ports=self._process.start_listening,
            close_ports=self._close_ports,
            now=now,
        )
        self._data_directory.share()
        announce(self.configuration.in_force, "configuration in force", site)
        if pace is not None:
            self.configuration.follow(pace)
        self.leading.history.start()

    def reload(self) -> None:
        """Read, check and swap. Raises ConfigError, and then everything is as it was; see `web.app.Control`."""
        self.configuration.reload()

    def is_ready(self) -> bool:
        """True from construction on, unless an administrator has stopped the listening."""
        return self._listening.is_on

    def start_listening(self) -> None:
        """Accept associations again (see `web.rest.control.ListeningControl`)."""
        self._listening.start()

    def stop_listening(self) -> None:
        """Accept no more associations (see `web.rest.control.ListeningControl`)."""
        self._listening.stop()

    def _close_ports(self) -> Callable[[], None]:
        self._process.stop_listening()
        return lambda: self._process.drain(self._drain_seconds)

    def state(self) -> Mapping[str, object]:
        """State for the health of the service (see `web.app.Control`)."""
        measured = self._process.measure()
        state = self.configuration.state(measured.lookups, measured.contacts, troubles=self._listening.troubles)
        return {**state, "associations": measured.open_associations}

    def running(self) -> RunningConfiguration:
        """Configuration that is in force (see `web.own.running.Running`)."""
        return self.configuration.running(troubles=self._listening.troubles)

    def pending(self) -> PendingReload:
        """Outcome of a reload, if it were done now (see `web.own.running.Running`)."""
        return self.configuration.pending()

    def listeners(self) -> Sequence[ListeningPort]:
        """Ports that are listened on (see `web.own.running.Running`)."""
        return self._process.listeners()

    def workers(self) -> Sequence[WorkerState]:
        """This process alone."""
        count = self._process.open_associations()
        return [WorkerState(pid=os.getpid(), is_serving=True, associations=count, started_at=self._started_at)]

    def associations(self) -> Sequence[OpenAssociation]:
        """Open associations (see `web.rest.associations.Associations`)."""
        return self._process.associations()

    def abort_association(self, serial_number: int) -> bool:
        """Abort an association (see `web.rest.associations.Associations`)."""
        return self._process.abort_association(serial_number)

    def measure(self) -> Measured:
        """Measurements of this process (see `web.own.metrics.MetricsSource`)."""
        measured = self.configuration.measured(self._process.measure())
        return replace(measured, is_listening=self._listening.is_on)

    def cached_studies(self) -> Sequence[CachedAnswer]:
        """Studies in the leading cache (see `web.own.leading_cache.LeadingAnswers`)."""
        return self._process.cached_studies()

    def drop_answers(self, study_instance_uid: UID | None) -> int:
        """Drop answers from the leading cache (see `web.own.leading_cache.LeadingAnswers`)."""
        return self._process.drop_answers(study_instance_uid)

    def call(self, call: Call[Q, A], question: Q) -> A:
        """The answer of this process (see `calls.call.Caller`)."""
        return self._process.call(call, question)

    def call_each(self, call: Call[Q, A], question: Q) -> list[A]:
        """The answer of this process, which is the only one."""
        return [self.call(call, question)]

    def stream(self, call: StreamCall[Q, H], question: Q, body: Iterable[bytes] | None = None) -> Stream[H]:
        """The answer of this process (see `calls.dicomweb.Streaming`)."""
        return self._process.stream(call, question, body)

    def stop(self, drain_seconds: float) -> None:
        """Stop listening, let associations end, close the index."""
        self._listening.end()
        self.leading.history.stop()
        self.configuration.stop()
        self._process.stop(self.jobs.stop(drain_seconds))
        self._data_directory.close()
