"""One process at work: index, storages, runtime and listeners; and the change to another configuration."""

from __future__ import annotations

import logging
import secrets
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from dcm4py_leading import log
from dcm4py_leading.archive.data_directory import open_index
from dcm4py_leading.archive.storage.storage import Storage
from dcm4py_leading.calls.call import A, Call, Here, Json, Q
from dcm4py_leading.calls.stream import Error, H, Stream, StreamCall, stream_here, write_stream
from dcm4py_leading.calls.table import CALLS, STREAM_CALLS
from dcm4py_leading.composition.build import build_runtime
from dcm4py_leading.composition.check import Checked
from dcm4py_leading.composition.data import open_proxy_cache, open_storages
from dcm4py_leading.composition.site import Site
from dcm4py_leading.config.snapshot import Snapshot
from dcm4py_leading.config.sources.recording import Recording
from dcm4py_leading.dicom.scp.listener import Listeners, Rebinding, bind_listener
from dcm4py_leading.dicom.scp.other_processes import OtherProcesses
from dcm4py_leading.leading.last_known import FILE_NAME, LastKnown
from dcm4py_leading.leading.lookup import CachedAnswer
from dcm4py_leading.model.device import Connection, Device
from dcm4py_leading.model.values import UID
from dcm4py_leading.service.counts import ServiceCounts
from dcm4py_leading.service.deleting.delete import finish_deletions
from dcm4py_leading.service.monitor.associations import OpenAssociation
from dcm4py_leading.service.monitor.listening import ListeningPort, listeners_of
from dcm4py_leading.service.monitor.measured import Measured
from dcm4py_leading.service.proxy.forwarded_retrieves import ForwardedRetrieves
from dcm4py_leading.service.proxy.spool import Spool
from dcm4py_leading.service.runtime import Runtime, RuntimeHolder
from dcm4py_leading.service.sending.running_exports import RunningExports

LOG = logging.getLogger(__name__)


class ServingProcess:
    """One process at work on one configuration, which it is given. Reads no configuration itself."""

    def __init__(
        self,
        site: Site,
        checked: Checked,
        *,
        bind: Callable[[Connection], socket.socket] = bind_listener,
        others: OtherProcesses | None = None,
        forwards: ForwardedRetrieves | None = None,
        is_listening: bool = True,
    ) -> None:
        """Open the index, which is there, and the storages, bind and serve every listener if ``is_listening``.

        ``bind`` and ``others`` are those of `Listeners`; ``forwards`` knows those of other workers.

        Raises ConfigInvalid, IndexUnavailable, OSError.
        """
        self._site = site
        device = checked.snapshot.device
        log.use_reference_key(site.data_dir)
        settings = site.leading_settings
        self._counts = ServiceCounts()
        self._sendings = RunningExports()
        self._forwards = forwards or ForwardedRetrieves(start=secrets.randbelow(1000), spool=Spool(site.data_dir))
        self._last_known = LastKnown(site.data_dir / FILE_NAME, max_rows=settings.last_known_max_rows, now=time.time)
        self._index = open_index(site.data_dir, may_upgrade=False)
        self._proxy_cache = open_proxy_cache(site)
        try:
            storages = open_storages(device, {}, self._index)
            runtime = self._runtime(checked, storages)
            finish_deletions(runtime)
            self._holder = RuntimeHolder(runtime)
            self._listeners = Listeners(self._holder, bind=bind, others=others)
            self._is_listening = is_listening
            self._listeners.bind(self._wanted(device)).commit()
        except BaseException:  # cleans up and raises on, whatever it was
            self._close()
            raise

    @property
    def snapshot(self) -> Snapshot:
        """The configuration in force."""
        return self._holder.current.snapshot

    def prepare(self, checked: Checked) -> Change:
        """Get everything for ``checked`` that can fail. Raises ConfigInvalid; one change at a time."""
        device = checked.snapshot.device
        storages = open_storages(device, self._holder.current.storages, self._index)
        runtime = self._runtime(checked, storages)
        try:
            rebinding = self._listeners.bind(self._wanted(device))
        except BaseException:  # cleans up and raises on, whatever it was
            runtime.close()
            raise
        return Change(self._holder, runtime, rebinding)

    def _wanted(self, device: Device) -> Sequence[Connection]:
        return device.listening_connections if self._is_listening else ()

    def start_listening(self) -> None:
        """Bind and serve every listener. Raises ConfigInvalid with every port that cannot be had."""
        self._listeners.bind(self.snapshot.device.listening_connections).commit()
        self._is_listening = True

    def stop_listening(self) -> None:
        """Close every listener; associations go on. A change of the configuration binds none."""
        self._is_listening = False
        self._listeners.close()

    def drain(self, seconds: float) -> None:
        """Let associations end for so long, then abort them."""
        self._listeners.pause(seconds)

    def associations(self) -> list[OpenAssociation]:
        """The associations of this process, those that it has opened included, the oldest first."""
        return self._listeners.associations.snapshots()

    def abort_association(self, serial_number: int) -> bool:
        """True if there was such an association here; it is aborted."""
        return self._listeners.associations.abort(serial_number)

    def listeners(self) -> Sequence[ListeningPort]:
        """Where this process accepts associations, or should."""
        return listeners_of(self.snapshot.device, self._listeners.bound)

    def _runtime(self, checked: Checked, storages: Mapping[str, Storage]) -> Runtime:
        return build_runtime(
            checked,
            self._site,
            self._index,
            storages,
            self._last_known,
            self._counts,
            self._forwards,
            self._proxy_cache,
        )

    def measure(self) -> Measured:
        """Measurements of this process; of failed reloads it knows nothing."""
        runtime = self._holder.current
        return Measured(
            lookups=runtime.leading.counts,
            key_lookups=runtime.leading_keys.outcomes(),
            coercions=self._counts.read(),
            requests=self._counts.requests(),
            objects=self._counts.objects(),
            contacts=runtime.contacts.read(),
            transcoded_objects=self._counts.transcoded,
            open_associations=self._listeners.open_associations(),
            fingerprint=runtime.snapshot.fingerprint,
            loaded_at=runtime.snapshot.loaded_at,
            is_last_reload_good=True,
            directory=self._site.source.state,
            kept=None if self._proxy_cache is None else self._proxy_cache.counts(),
        )

    def looked_up(self) -> Recording:
        """Recording of what the directory said of the remote AEs that were looked up."""
        return self._holder.current.looked_up()

    def forget_aes(self, ae_titles: Iterable[str]) -> None:
        """Let these remote AEs be looked up anew."""
        self._holder.current.forget_aes(ae_titles)

    def open_associations(self) -> int:
        """Number of associations that peers have with this process."""
        return self._listeners.open_associations()

    def cached_studies(self) -> Sequence[CachedAnswer]:
        """Studies in the leading cache, the oldest answer first."""
        return self._holder.current.leading.entries()

    def drop_answers(self, study_instance_uid: UID | None) -> int:
        """Forget one study, or all, last known answers included; how many answers the cache held."""
        count = self._holder.current.leading.drop(study_instance_uid)
        study = "all" if study_instance_uid is None else log.ref(study_instance_uid)
        LOG.info("leading cache: dropped %d answers, study=%s", count, study)
        return count

    def call(self, call: Call[Q, A], question: Q) -> A:
        """The answer of this process (see `calls.call.Caller`)."""
        with self._here() as here:
            return call.do(here, question)

    def answer(self, name: str, question: Json) -> Json:
        """Answer the call of that name, which another process puts."""
        with self._here() as here:
            return CALLS[name].answered(here, question)

    def stream(self, call: StreamCall[Q, H], question: Q, body: Iterable[bytes] | None = None) -> Stream[H]:
        """The answer of this process (see `calls.dicomweb.Streaming`)."""
        return stream_here(call, question, self.answer_stream, body)

    def answer_stream(self, name: str, question: Json, sock: socket.socket, error: Error) -> None:
        """Answer the call of that name, which another process puts, over a socket."""
        with self._here() as here:
            write_stream(sock, STREAM_CALLS[name], here, question, error)

    @contextmanager
    def _here(self) -> Iterator[Here]:
        with self._holder.lease() as runtime, self._listeners.opened.awaited():
            yield Here(runtime=runtime, site=self._site, sendings=self._sendings)

    def stop(self, drain_seconds: float) -> None:
        """Stop listening, let associations end, close the index."""
        self._listeners.stop(drain_seconds)
        self._holder.current.close()
        self._close()

    def _close(self) -> None:
        self._last_known.close()
        if self._proxy_cache is not None:
            self._proxy_cache.close()
        self._index.close()


class Change:
    """Another configuration, ready to be put in force: commit or cancel, once."""

    def __init__(self, holder: RuntimeHolder, runtime: Runtime, rebinding: Rebinding) -> None:
        self._holder = holder
        self._runtime = runtime
        self._rebinding = rebinding

    def commit(self) -> None:
        """Put it in force; associations that are open keep the old one."""
        old = self._holder.swap(self._runtime)
        self._rebinding.commit()
        old.close()

    def cancel(self) -> None:
        """Let go of it; the old one stays."""
        self._rebinding.cancel()
        self._runtime.close()
