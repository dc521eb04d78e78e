"""Composition root: from a configuration source to listeners at work, and the reload. Knows everybody."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from dcm4py_leading import log
from dcm4py_leading.archive.file_storage import FileStorage, check_descriptor
from dcm4py_leading.archive.index import Index
from dcm4py_leading.archive.storage import Storage
from dcm4py_leading.coercion.rules import compile_rules, rules_for, warnings
from dcm4py_leading.config.check import unserved_capabilities
from dcm4py_leading.config.entry import ConfigSource
from dcm4py_leading.config.remote import RemoteAEResolver
from dcm4py_leading.config.snapshot import Snapshot, load_snapshot
from dcm4py_leading.dicom.listener import Listeners
from dcm4py_leading.dicom.negotiation import is_served
from dcm4py_leading.dicom.scu import FindSCU
from dcm4py_leading.errors import ConfigError, ConfigInvalid, Problem, StorageUnavailable
from dcm4py_leading.leading.lookup import LeadingLookup
from dcm4py_leading.model.archive import StorageDescriptor
from dcm4py_leading.model.device import Connection, Device
from dcm4py_leading.service.runtime import Runtime, RuntimeHolder

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where the configuration is and how it is read; what the command line says."""

    source: ConfigSource
    device_name: str
    properties: Mapping[str, str]
    data_dir: Path


def check(site: Site) -> Snapshot:
    """Read and check everything that can be checked without changing anything.

    Raises ConfigUnavailable, or ConfigInvalid with every problem of the tree, its rules and its storages.
    """
    return load_snapshot(
        site.source,
        site.device_name,
        properties=site.properties,
        data_dir=site.data_dir,
        checks=(_rule_problems, _storage_problems),
    )


def _rule_problems(device: Device) -> Iterable[Problem]:
    """What is wrong in rules, and what this version does not execute of them; a rule of the device is told once."""
    rules = (*device.archive.coercion_rules, *(r for ae in device.application_entities for r in ae.coercion_rules))
    try:
        return warnings(compile_rules(rules))
    except ConfigInvalid as err:
        return err.problems


def _storage_problems(device: Device) -> Iterable[Problem]:
    for descriptor in _file_storages(device):
        try:
            check_descriptor(descriptor)
        except ConfigInvalid as err:
            yield from err.problems


def listening_connections(device: Device) -> tuple[Connection, ...]:
    """The connections that are to be listened on: served, and referenced by an AE that accepts associations."""
    wanted = {
        connection.listen_address: connection
        for ae in device.application_entities
        if ae.installed and ae.association_acceptor
        for connection in ae.connections
        if connection.is_served
    }
    return tuple(wanted.values())


def build_runtime(snapshot: Snapshot, source: ConfigSource, index: Index, storages: Mapping[str, Storage]) -> Runtime:
    """Compose the runtime of a configuration. Its caches are empty: what it knows, it learns itself."""
    device = snapshot.device
    resolver = RemoteAEResolver(source, stale_after=device.archive.ae_cache_stale_timeout, clock=time.monotonic)
    return Runtime(
        snapshot=snapshot,
        rules={ae.ae_title: rules_for(device, ae) for ae in device.application_entities},
        index=index,
        storages=storages,
        leading=LeadingLookup(device, FindSCU(resolver.resolve), clock=time.monotonic),
        resolve=resolver.resolve,
    )


def open_storages(device: Device, running: Mapping[str, Storage]) -> dict[str, Storage]:
    """The storages of ``device``; one that runs already with the same description is taken over.

    Raises ConfigInvalid when one cannot be opened.
    """
    storages: dict[str, Storage] = {}
    for descriptor in _file_storages(device):
        storage = running.get(descriptor.storage_id)
        if storage is None or storage.descriptor != descriptor:
            try:
                storage = FileStorage(descriptor)
            except StorageUnavailable as err:
                problem = Problem(dn=descriptor.dn, attribute="dcmURI", value=descriptor.uri, reason=str(err))
                raise ConfigInvalid([problem]) from err
        storages[descriptor.storage_id] = storage
    return storages


def _file_storages(device: Device) -> list[StorageDescriptor]:
    """The storages that can be served; `config.check` has told about others."""
    return [s for s in device.archive.storages.values() if urlsplit(s.uri).scheme.lower() == "file"]


class Service:
    """The running service. `reload` may be called from any thread."""

    def __init__(self, site: Site, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Load the configuration, open index and storages, bind and serve every listener.

        Raises ConfigError, IndexUnavailable, StorageUnavailable, OSError.
        """
        self._site = site
        self._now = now
        self._reloading = threading.Lock()
        self._last_failure: dict[str, object] | None = None
        snapshot = check(site)
        log.use_reference_key(site.data_dir)
        self._index = Index.open(f"sqlite:///{site.data_dir / 'index.sqlite'}")
        try:
            storages = open_storages(snapshot.device, {})
            self._holder = RuntimeHolder(build_runtime(snapshot, site.source, self._index, storages))
            self._listeners = Listeners(self._holder)
            self._listeners.bind(listening_connections(snapshot.device)).commit()
        except BaseException:
            self._index.close()
            raise
        _tell(snapshot, "configuration in force", site)

    def reload(self) -> None:
        """Read, check and swap. Raises ConfigError, and then everything is as it was; see `web.app.Control`."""
        with self._reloading:
            try:
                self._reload()
            except ConfigError as err:
                self._last_failure = {"at": self._now().isoformat(), "error": str(err)}
                LOG.error("reload failed, the configuration of %s stays: %s", self._loaded_at(), err)
                raise

    def _reload(self) -> None:
        snapshot = check(self._site)
        device = snapshot.device
        storages = open_storages(device, self._holder.current.storages)
        runtime = build_runtime(snapshot, self._site.source, self._index, storages)
        rebinding = self._listeners.bind(listening_connections(device))
        self._holder.swap(runtime)
        rebinding.commit()
        self._last_failure = None
        _tell(snapshot, "configuration reloaded", self._site)

    def _loaded_at(self) -> str:
        return self._holder.current.snapshot.loaded_at.isoformat()

    def is_ready(self) -> bool:
        """True from construction on: it ends with every listener bound."""
        return True

    def state(self) -> Mapping[str, object]:
        """See `web.app.Control`."""
        snapshot = self._holder.current.snapshot
        return {
            "device": snapshot.device.device_name,
            "configuration": {"fingerprint": snapshot.fingerprint, "loadedAt": self._loaded_at()},
            "lastFailedReload": self._last_failure,
            "associations": self._listeners.open_associations(),
        }

    def stop(self, drain_seconds: float) -> None:
        """Stop listening, let associations end, close the index."""
        self._listeners.stop(drain_seconds)
        self._index.close()


def _tell(snapshot: Snapshot, what: str, site: Site) -> None:
    for problem in snapshot.problems:
        LOG.warning("%s", problem)
    for line in unserved_lines(snapshot.device):
        LOG.info("%s", line)
    LOG.info(
        "%s: device %s of %s, fingerprint %s",
        what,
        snapshot.device.device_name,
        site.source.describe(),
        snapshot.fingerprint,
    )


def unserved_lines(device: Device) -> Iterable[str]:
    """For each AE one line that names the transfer capabilities that are not served."""
    for ae in device.application_entities:
        names = unserved_capabilities(ae, is_served)
        if names:
            yield f"AE {ae.ae_title}: transfer capabilities not served: {', '.join(names)}"
