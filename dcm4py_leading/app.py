"""Composition root: from a configuration source to listeners at work, and the reload. Knows everybody."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from dcm4py_leading import log
from dcm4py_leading.archive.file_storage import FileStorage, check_descriptor
from dcm4py_leading.archive.index import Index
from dcm4py_leading.archive.storage import Storage
from dcm4py_leading.coercion.explain import Explanation
from dcm4py_leading.coercion.rules import CompiledRule, rules_for, warnings
from dcm4py_leading.coercion.schemes import Environment
from dcm4py_leading.config.check import unserved_capabilities
from dcm4py_leading.config.described import describe_references
from dcm4py_leading.config.entry import ConfigSource
from dcm4py_leading.config.placeholders import Expand, data_dir_properties, expander
from dcm4py_leading.config.remote import RemoteAEResolver
from dcm4py_leading.config.snapshot import Snapshot, load_snapshot
from dcm4py_leading.dicom.listener import Listeners
from dcm4py_leading.dicom.negotiation import is_served
from dcm4py_leading.dicom.scu import FindSCU
from dcm4py_leading.dicom.scu_keys import KeysSCU
from dcm4py_leading.dicom.worklist import WorklistSCU
from dcm4py_leading.errors import ConfigError, ConfigInvalid, IndexUnavailable, Problem, StorageUnavailable
from dcm4py_leading.leading.keys_query import GuardedKeysQuery
from dcm4py_leading.leading.last_known import FILE_NAME, LastKnown
from dcm4py_leading.leading.lookup import CachedStudy, LeadingLookup
from dcm4py_leading.leading.query import LeadingQuery
from dcm4py_leading.leading.return_keys import return_keys
from dcm4py_leading.leading.settings import LeadingSettings
from dcm4py_leading.model.archive import StorageDescriptor
from dcm4py_leading.model.device import Connection, Device
from dcm4py_leading.model.options import Options
from dcm4py_leading.model.values import UID, AETitle
from dcm4py_leading.service.counts import CoercionCounts
from dcm4py_leading.service.explain import (
    AnswerFromFile,
    Basis,
    Wanted,
    WrongQuestion,
    explain,
    explain_study,
    parse_wanted,
    read_file,
)
from dcm4py_leading.service.own_find import OwnFindRules
from dcm4py_leading.service.runtime import Runtime, RuntimeHolder
from dcm4py_leading.web.metrics import Measured

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where the configuration is and how it is read; what the command line says."""

    source: ConfigSource
    device_name: str
    properties: Mapping[str, str]
    data_dir: Path
    style_sheet_folders: tuple[Path, ...] = ()
    """Where style sheets of rules may be; DATA_DIR/temp, which ${jboss.server.temp.url} is, in any case."""
    options: Options = field(default_factory=Options)

    @property
    def expand(self) -> Expand:
        """Fills in placeholders."""
        return expander({**data_dir_properties(self.data_dir), **self.properties}, os.environ)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A configuration that can be put in force."""

    snapshot: Snapshot
    rules: Mapping[AETitle, tuple[CompiledRule, ...]]
    """The compiled rules of each AE, in the order in which they are looked at."""


def check(site: Site) -> Checked:
    """Read and check everything that can be checked without changing anything.

    Raises ConfigUnavailable, or ConfigInvalid with every problem of the tree, its rules and its storages.
    """
    compiled: dict[AETitle, tuple[CompiledRule, ...]] = {}

    def rule_problems(device: Device) -> Iterable[Problem]:
        described, problems = describe_references(device, site.source, site.expand)
        environment = Environment(
            expand=site.expand,
            style_sheet_folders=(*site.style_sheet_folders, site.data_dir / "temp"),
            devices=described,
            return_keys=partial(return_keys, device),
        )
        for ae in device.application_entities:
            try:
                compiled[ae.ae_title] = rules_for(device, ae, environment)
                problems += warnings(compiled[ae.ae_title])
            except ConfigInvalid as err:
                problems += err.problems
        return dict.fromkeys(problems)  # a rule of the device comes up with each AE

    snapshot = load_snapshot(
        site.source,
        site.device_name,
        properties=site.properties,
        data_dir=site.data_dir,
        checks=(rule_problems, _storage_problems),
    )
    return Checked(snapshot=snapshot, rules=compiled)


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


def leading_settings(options: Options) -> LeadingSettings:
    """How leading archives are asked, as ``--set`` says."""
    return LeadingSettings(
        page_size=options.leading_page_size,
        deadline=options.leading_deadline,
        last_known_max_age=options.last_known_max_age,
    )


def build_runtime(
    checked: Checked,
    site: Site,
    index: Index,
    storages: Mapping[str, Storage],
    last_known: LastKnown,
    counts: CoercionCounts,
) -> Runtime:
    """Compose the runtime of a configuration. Its caches are empty: what it knows, it learns itself."""
    device = checked.snapshot.device
    settings = leading_settings(site.options)
    resolver = RemoteAEResolver(site.source, stale_after=device.archive.ae_cache_stale_timeout, clock=time.monotonic)
    own_find = OwnFindRules(checked.rules, compat_5_35=site.options.compat_5_35)
    find_scu = FindSCU(resolver.resolve, settings=settings, coerce=own_find)
    return Runtime(
        snapshot=checked.snapshot,
        rules=checked.rules,
        index=index,
        storages=storages,
        leading=LeadingLookup(device, find_scu, clock=time.monotonic, settings=settings, last_known=last_known),
        leading_settings=settings,
        counts=counts,
        leading_keys=GuardedKeysQuery(KeysSCU(find_scu), settings, clock=time.monotonic),
        worklist=WorklistSCU(resolver.resolve, coerce=own_find),
        options=site.options,
        resolve=resolver.resolve,
        release=find_scu.close,
    )


def open_storages(device: Device, running: Mapping[str, Storage], index: Index) -> dict[str, Storage]:
    """The storages of ``device``; one that runs already with the same description is taken over.

    Raises ConfigInvalid when one cannot be opened.
    """
    storages: dict[str, Storage] = {}
    for descriptor in _file_storages(device):
        storage = running.get(descriptor.storage_id)
        if storage is None or storage.descriptor != descriptor:
            try:
                storage = FileStorage(descriptor, is_indexed=index.has)
            except (StorageUnavailable, IndexUnavailable) as err:
                problem = Problem(dn=descriptor.dn, attribute="dcmURI", value=descriptor.uri, reason=str(err))
                raise ConfigInvalid([problem]) from err
        storages[descriptor.storage_id] = storage
    return storages


def _file_storages(device: Device) -> list[StorageDescriptor]:
    """The storages that can be served; `config.check` has told about others."""
    return [s for s in device.archive.storages.values() if urlsplit(s.uri).scheme.lower() == "file"]


def explain_file(site: Site, file: Path, wanted: Wanted, leading: str) -> Explanation:
    """Explain what becomes of a file; ``leading`` is ``ask``, ``none``, or a file that supplies the answer.

    Raises ConfigError, WrongQuestion, SubOperationFailed.
    """
    if leading not in ("ask", "none") and not Path(leading).is_file():
        raise WrongQuestion(f"--leading: expected ask, none or a file; there is no file {leading}")
    ds = read_file(file)
    checked = check(site)
    device = checked.snapshot.device
    resolve = RemoteAEResolver(site.source, stale_after=None).resolve
    basis = Basis(device=device, rules=checked.rules, options=site.options, resolve=resolve)
    if leading == "none":
        return explain(ds, wanted, basis)
    query: LeadingQuery
    with contextlib.ExitStack() as open_until_told:
        settings = leading_settings(site.options)
        if leading == "ask":
            own_find = OwnFindRules(checked.rules, compat_5_35=site.options.compat_5_35)
            query = FindSCU(resolve, settings=settings, coerce=own_find)
            open_until_told.callback(query.close)
            basis = replace(basis, worklist=WorklistSCU(resolve, coerce=own_find))
        else:
            query = AnswerFromFile(read_file(Path(leading)))
        lookup = LeadingLookup(device, query, clock=time.monotonic, settings=settings)
        open_until_told.callback(lookup.close)
        return explain(ds, wanted, replace(basis, leading=lookup))


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
        checked = check(site)
        device = checked.snapshot.device
        log.use_reference_key(site.data_dir)
        settings = leading_settings(site.options)
        self.counts = CoercionCounts()
        self._last_known = LastKnown(site.data_dir / FILE_NAME, max_rows=settings.last_known_max_rows, now=time.time)
        self._index = Index.open(f"sqlite:///{site.data_dir / 'index.sqlite'}")
        try:
            storages = open_storages(device, {}, self._index)
            runtime = build_runtime(checked, site, self._index, storages, self._last_known, self.counts)
            self._holder = RuntimeHolder(runtime)
            self._listeners = Listeners(self._holder)
            self._listeners.bind(listening_connections(device)).commit()
        except BaseException:  # cleans up and raises on, whatever it was
            self._last_known.close()
            self._index.close()
            raise
        _tell(checked.snapshot, "configuration in force", site)

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
        checked = check(self._site)
        device = checked.snapshot.device
        storages = open_storages(device, self._holder.current.storages, self._index)
        runtime = build_runtime(checked, self._site, self._index, storages, self._last_known, self.counts)
        rebinding = self._listeners.bind(listening_connections(device))
        old = self._holder.swap(runtime)
        rebinding.commit()
        old.close()
        self._last_failure = None
        _tell(checked.snapshot, "configuration reloaded", self._site)

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

    def measure(self) -> Measured:
        """See `web.metrics.Metered`."""
        runtime = self._holder.current
        return Measured(
            lookups=runtime.leading.counts,
            key_lookups=runtime.leading_keys.outcomes(),
            coercions=self.counts.read(),
            open_associations=self._listeners.open_associations(),
            fingerprint=runtime.snapshot.fingerprint,
            loaded_at=runtime.snapshot.loaded_at,
            is_last_reload_good=self._last_failure is None,
        )

    def cached_studies(self) -> Sequence[CachedStudy]:
        """See `web.leading_cache.LeadingAnswers`."""
        return self._holder.current.leading.entries()

    def drop_answers(self, study_instance_uid: UID | None) -> int:
        """See `web.leading_cache.LeadingAnswers`."""
        count = self._holder.current.leading.drop(study_instance_uid)
        study = "all" if study_instance_uid is None else log.ref(study_instance_uid)
        LOG.info("leading cache: dropped %d answers, study=%s", count, study)
        return count

    def explain(self, study_instance_uid: str, parameters: Mapping[str, str], *, is_asking: bool) -> Explanation:
        """See `web.explain.Explainer`."""
        with self._holder.lease() as runtime:
            return explain_study(runtime, study_instance_uid, parse_wanted(parameters), is_asking=is_asking)

    def stop(self, drain_seconds: float) -> None:
        """Stop listening, let associations end, close the index."""
        self._listeners.stop(drain_seconds)
        self._holder.current.close()
        self._last_known.close()
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
