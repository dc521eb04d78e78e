"""Node of one process: index, storages, runtime and listeners; and the change to another configuration."""

from __future__ import annotations

import logging
import secrets
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from dcm4py_leading import log
from dcm4py_leading.archive.data_directory import open_index
from dcm4py_leading.archive.storage import Storage
from dcm4py_leading.compose import (
    Checked,
    Site,
    build_runtime,
    leading_settings,
    listening_connections,
    open_proxy_cache,
    open_storages,
)
from dcm4py_leading.config.recorded import Recording
from dcm4py_leading.config.snapshot import Snapshot
from dcm4py_leading.dicom.listener import Listeners, Rebinding, bind_listener
from dcm4py_leading.dicom.scu_echo import echo
from dcm4py_leading.dicom.scu_export import export
from dcm4py_leading.errors import ConfigInvalid
from dcm4py_leading.leading.last_known import FILE_NAME, LastKnown
from dcm4py_leading.leading.lookup import CachedStudy
from dcm4py_leading.model.device import Connection, Device, RemoteAE
from dcm4py_leading.model.values import UID, AETitle
from dcm4py_leading.service.counts import ServiceCounts
from dcm4py_leading.service.editing.edit import Edit, make_edit
from dcm4py_leading.service.explain import (
    explain_study,
    parse_wanted,
)
from dcm4py_leading.service.forwards import Forwards
from dcm4py_leading.service.monitor.associations import OpenAssociation
from dcm4py_leading.service.monitor.echo import EchoOutcome, EchoResult, UnknownAE
from dcm4py_leading.service.monitor.listening import ListeningPort, listeners_of
from dcm4py_leading.service.runtime import Runtime, RuntimeHolder
from dcm4py_leading.service.sending.export import Export, ExportOutcome
from dcm4py_leading.service.spool import Spool
from dcm4py_leading.web.own.explain import Told
from dcm4py_leading.web.own.metrics import Measured

LOG = logging.getLogger(__name__)


class Node:
    """One process at work on one configuration, which it is given. Reads no configuration itself."""

    def __init__(
        self,
        site: Site,
        checked: Checked,
        *,
        bind: Callable[[Connection], socket.socket] = bind_listener,
        others: Callable[[], int] = lambda: 0,
        report: Callable[[int], None] = lambda _: None,
        next_number: Callable[[], int] | None = None,
        forwards: Forwards | None = None,
        is_listening: bool = True,
    ) -> None:
        """Open the index, which is there, and the storages, bind and serve every listener if ``is_listening``.

        ``bind``, ``others``, ``report`` and ``next_number`` are those of `Listeners`; ``forwards`` knows those of other
        workers.

        Raises ConfigInvalid, IndexUnavailable, OSError.
        """
        self._site = site
        device = checked.snapshot.device
        log.use_reference_key(site.data_dir)
        settings = leading_settings(site.options)
        self._counts = ServiceCounts()
        self._forwards = forwards or Forwards(start=secrets.randbelow(1000), spool=Spool(site.data_dir))
        self._last_known = LastKnown(site.data_dir / FILE_NAME, max_rows=settings.last_known_max_rows, now=time.time)
        self._index = open_index(site.data_dir, may_upgrade=False)
        self._proxy_cache = open_proxy_cache(site)
        try:
            storages = open_storages(device, {}, self._index)
            runtime = self._runtime(checked, storages)
            self._holder = RuntimeHolder(runtime)
            self._listeners = Listeners(self._holder, bind=bind, others=others, report=report, next_number=next_number)
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
        return listening_connections(device) if self._is_listening else ()

    def start_listening(self) -> None:
        """Bind and serve every listener. Raises ConfigInvalid with every port that cannot be had."""
        self._listeners.bind(listening_connections(self.snapshot.device)).commit()
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
        return self._listeners.under_way.told()

    def abort_association(self, serial_number: int) -> bool:
        """True if there was such an association here; it is aborted."""
        return self._listeners.under_way.abort(serial_number)

    def listeners(self) -> Sequence[ListeningPort]:
        """Where this process accepts associations, or should."""
        return listeners_of(self.snapshot.device, self._listeners.bound)

    def echo(self, ae_title: str, remote_ae_title: str, *, address: tuple[str, int] | None = None) -> EchoOutcome:
        """Send a C-ECHO (see `web.rest.echo.Echoing`)."""
        with self._holder.lease() as runtime, self._listeners.opened.by_this_thread():
            local = runtime.device.application_entity(ae_title)
            if local is None or not local.installed:
                raise UnknownAE(f"AE {ae_title} is none of device {runtime.device.device_name}")
            try:
                remote = _remote_ae(runtime, remote_ae_title, address)
            except ConfigInvalid as err:
                return EchoOutcome(result=EchoResult.INCOMPATIBLE, error=str(err))
            return echo(local, remote)

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
            directory=self._site.directory_state,
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

    def cached_studies(self) -> Sequence[CachedStudy]:
        """Studies in the leading cache, the oldest answer first."""
        return self._holder.current.leading.entries()

    def drop_answers(self, study_instance_uid: UID | None) -> int:
        """Forget one study, or all, last known answers included; how many answers the cache held."""
        count = self._holder.current.leading.drop(study_instance_uid)
        study = "all" if study_instance_uid is None else log.ref(study_instance_uid)
        LOG.info("leading cache: dropped %d answers, study=%s", count, study)
        return count

    def explain(self, study_instance_uid: str, parameters: Mapping[str, str], *, is_asking: bool) -> Told:
        """Explain a coercion (see `web.own.explain.Explainer`)."""
        with self._holder.lease() as runtime:
            return Told.of(explain_study(runtime, study_instance_uid, parse_wanted(parameters), is_asking=is_asking))

    def edit(self, edit: Edit) -> None:
        """Edit a patient or a study (see `web.rest.archive.edit.Editing`)."""
        with self._holder.lease() as runtime:
            make_edit(runtime, edit, now=datetime.now())

    def export(self, wanted: Export) -> ExportOutcome:
        """Send stored objects (see `web.rest.archive.export.Exporting`)."""
        with self._holder.lease() as runtime, self._listeners.opened.by_this_thread():
            return export(runtime, wanted)

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


def _remote_ae(runtime: Runtime, title: str, address: tuple[str, int] | None) -> RemoteAE:
    """The AE as the directory has it, or as it is to be called. Raises UnknownAE, ConfigError."""
    try:
        ae_title = AETitle(title)
    except ValueError as err:
        raise UnknownAE(f"AE title of the peer: {err}") from err
    if address is not None:
        host, port = address
        return RemoteAE(
            dn="", ae_title=ae_title, device_name="", connections=(Connection(dn="", hostname=host, port=port),)
        )
    remote = runtime.resolve(ae_title)
    if remote is None:
        raise UnknownAE(f"AE {ae_title} is not in the directory")
    return remote


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
