"""From a configuration source to what a process serves with: read, checked, composed. Knows everybody."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from dcm4py_leading import progress
from dcm4py_leading.archive.data_directory import DataDirectory
from dcm4py_leading.archive.index.index import Index
from dcm4py_leading.archive.proxy_cache.proxy_cache import ProxyCache, throw_away
from dcm4py_leading.archive.storage.file_storage import FileStorage
from dcm4py_leading.archive.storage.settings import check_descriptor
from dcm4py_leading.archive.storage.storage import Storage
from dcm4py_leading.coercion.rules import CompiledRule, rules_for, warnings
from dcm4py_leading.coercion.schemes import Environment
from dcm4py_leading.config.check import unserved_capabilities
from dcm4py_leading.config.entry import ConfigSource
from dcm4py_leading.config.following.fallback_source import DirectoryState, SurvivingSource
from dcm4py_leading.config.following.heartbeat import Heartbeat
from dcm4py_leading.config.following.last_good import FOLDER, LastGood
from dcm4py_leading.config.ldap.hints import LdapHints
from dcm4py_leading.config.ldap.source import LdapSource
from dcm4py_leading.config.named_titles import archives_asked
from dcm4py_leading.config.placeholders import Expand, data_dir_properties, expander
from dcm4py_leading.config.recorded import Recorder, Recording
from dcm4py_leading.config.referenced_devices import describe_references
from dcm4py_leading.config.remote import RemoteAEResolver
from dcm4py_leading.config.report.inventory import Status, some
from dcm4py_leading.config.snapshot import Snapshot, load_snapshot
from dcm4py_leading.dicom.negotiation import is_asked, is_served
from dcm4py_leading.dicom.scu.leading import FindSCU
from dcm4py_leading.dicom.scu.leading_keys import KeysSCU
from dcm4py_leading.dicom.scu.worklist import WorklistSCU
from dcm4py_leading.dicom.upstream.other_archives import (
    archive_of,
    behind,
    count_of,
    externals_of,
    store_archive_opener,
    upstream_of,
)
from dcm4py_leading.errors import ConfigInvalid, IndexUnavailable, Problem, StorageUnavailable
from dcm4py_leading.leading.contacts import Contacts, Line, Part
from dcm4py_leading.leading.keys_query import GuardedKeysQuery
from dcm4py_leading.leading.last_known import LastKnown
from dcm4py_leading.leading.lookup import LeadingLookup
from dcm4py_leading.leading.return_keys import return_keys
from dcm4py_leading.leading.settings import LeadingSettings
from dcm4py_leading.model.archive import StorageDescriptor
from dcm4py_leading.model.device import Connection, Device, TransferCapability
from dcm4py_leading.model.options import Options
from dcm4py_leading.model.values import AETitle
from dcm4py_leading.service.coerce import Coercions
from dcm4py_leading.service.counts import ServiceCounts
from dcm4py_leading.service.deleting.delete import delete_files
from dcm4py_leading.service.deleting.remembered import Remembered
from dcm4py_leading.service.find.scu_rules import OwnFindRules
from dcm4py_leading.service.leading.rules import asking_rules
from dcm4py_leading.service.proxy.forwarded_retrieves import Forwards
from dcm4py_leading.service.query_archive import Embedded
from dcm4py_leading.service.runtime import Runtime

LOG = logging.getLogger(__name__)

_KEPT = "kept"


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
    may_be_new: bool = False
    """Begin with an empty index, even where a storage has files."""
    is_ldif_writable: bool = False
    """LDIF files may be changed, not only read."""

    @property
    def expand(self) -> Expand:
        """Fills in placeholders."""
        return expander({**data_dir_properties(self.data_dir), **self.properties}, os.environ)

    @property
    def directory_state(self) -> DirectoryState | None:
        """State of the directory; None of one that cannot be down, or that nobody survives."""
        return self.source.state if isinstance(self.source, SurvivingSource) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A configuration that can be put in force."""

    snapshot: Snapshot
    rules: Mapping[AETitle, tuple[CompiledRule, ...]]
    """The compiled rules of each AE, in the order in which they are looked at."""
    read: Recording
    """Recording of what was read for it."""


def check(site: Site) -> Checked:
    """Read and check everything that can be checked without changing anything.

    Raises ConfigUnavailable, or ConfigInvalid with every problem of the tree, its rules and its storages.
    """
    compiled: dict[AETitle, tuple[CompiledRule, ...]] = {}
    source = Recorder(site.source)

    def rule_problems(device: Device) -> Iterable[Problem]:
        described, problems = describe_references(device, source, site.expand)
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
        source,
        site.device_name,
        properties=site.properties,
        data_dir=site.data_dir,
        checks=(rule_problems, _storage_problems),
    )
    return Checked(snapshot=snapshot, rules=compiled, read=source.recording)


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
    """Settings for asking leading archives, as ``--set`` says."""
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
    counts: ServiceCounts,
    forwards: Forwards,
    proxy_cache: ProxyCache | None = None,
) -> Runtime:
    """Compose the runtime of a configuration. Its caches are empty: what it knows, it learns itself."""
    device = checked.snapshot.device
    settings = leading_settings(site.options)
    stale_after = device.archive.ae_cache_stale_timeout
    resolver = RemoteAEResolver(site.source, stale_after, expand=site.expand, clock=time.monotonic)
    own_find = OwnFindRules(checked.rules, compat_5_35=site.options.compat_5_35)
    find_scu = FindSCU(resolver.resolve, settings=settings, coerce=own_find)
    contacts = Contacts(contacts_of(checked))
    leading = LeadingLookup(
        device, find_scu, clock=time.monotonic, settings=settings, last_known=last_known, contacts=contacts
    )
    leading_keys = GuardedKeysQuery(KeysSCU(find_scu), settings, clock=time.monotonic, contacts=contacts)
    return Runtime(
        snapshot=checked.snapshot,
        coercions=Coercions(
            rules=checked.rules,
            leading=leading,
            leading_keys=leading_keys,
            worklist=WorklistSCU(resolver.resolve, coerce=own_find),
            counts=counts,
            deadline=settings.deadline,
            compat_5_35=site.options.compat_5_35,
        ),
        index=index,
        archives={
            ae.ae_title: archive_of(ae, Embedded(index), resolver.resolve, own_find, contacts)
            for ae in device.application_entities
        },
        behind={ae.ae_title: behind(ae, resolver.resolve, own_find, contacts) for ae in device.application_entities},
        upstreams={
            ae.ae_title: upstream_of(
                ae, resolver.resolve, forwards, count_of(ae, find_scu, settings), proxy_cache, contacts
            )
            for ae in device.application_entities
            if ae.settings.fallback_cmove_scps
        },
        externals=externals_of(device, resolver.resolve, forwards, contacts),
        open_store_archive=store_archive_opener(resolver.resolve),
        forwards=forwards,
        storages=storages,
        leading=leading,
        leading_settings=settings,
        counts=counts,
        leading_keys=leading_keys,
        options=site.options,
        resolve=resolver.resolve,
        release=find_scu.close,
        contacts=contacts,
        looked_up=resolver.looked_up,
        forget_aes=resolver.forget,
        forget_study=Remembered(leading, last_known, proxy_cache).forget,
    )


def contacts_of(checked: Checked) -> Iterable[Line]:
    """Whom the AEs of a device ask: leading archives, by their rules, and the archives behind them."""
    device = checked.snapshot.device
    for rule in asking_rules(checked.rules):
        yield Line(Part.LEADING.value, rule.local_ae_title, rule.leading_ae_title)
    for ae in device.application_entities:
        behind = (*ae.settings.spanning_cfind_scps, *ae.settings.fallback_cmove_scps)
        external = (title for storage in device.archive.storages.values() for title in storage.external_retrieve_aets)
        for title in (*behind, *external):
            yield Line(Part.BEHIND.value, ae.ae_title, title)


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


def use_data_directory(
    site: Site, checked: Checked, *, before_index: Callable[[], None] = lambda: None
) -> DataDirectory:
    """Take part in the data directory, and look at its index and the storages once: what is wrong is told here.

    ``before_index`` is called when nobody else has the directory, and before the index is made or brought up to date;
    it may raise ConfigInvalid. Raises IndexUnavailable, StorageUnavailable, ConfigInvalid, OSError.
    """
    device = checked.snapshot.device
    directory = DataDirectory(site.data_dir, f"device {device.device_name}")
    try:
        before_index()
        with closing(directory.open_index(_file_storages(device), may_be_new=site.may_be_new)) as index:
            with progress.waiting("files of deleted studies are deleted"):
                delete_files(index, open_storages(device, {}, index))  # a node tells what is left even then
            for storage_id in sorted(index.storage_ids() - device.archive.storages.keys()):
                LOG.warning(
                    "the index has objects in storage %s, which device %s does not have: they cannot be delivered",
                    *(storage_id, device.device_name),
                )
    except BaseException:  # cleans up and raises on, whatever it was
        directory.close()
        raise
    return directory


def open_proxy_cache(site: Site) -> ProxyCache | None:
    """Where studies of other archives are kept that pass through, if any are (``--set proxy-keep``).

    What cannot be opened costs a WARNING.
    """
    directory = site.data_dir / _KEPT
    try:
        if not site.options.proxy_keep:
            throw_away(directory)
            return None
        cache = ProxyCache(directory, most_bytes=site.options.proxy_keep)
    except StorageUnavailable as err:
        LOG.warning("the cache of proxy-keep cannot be opened, nothing is kept: %s", err)
        return None
    counts = cache.counts()
    most = site.options.proxy_keep
    LOG.info("cache of proxy-keep: %d studies, %d of at most %d bytes", counts.studies, counts.size, most)
    return cache


def _file_storages(device: Device) -> list[StorageDescriptor]:
    """The storages that can be served; `config.check` has told about others."""
    return [s for s in device.archive.storages.values() if urlsplit(s.uri).scheme.lower() == "file"]


def surviving(site: Site) -> Site:
    """The site with a directory that may be down: what it said last is kept in the data directory."""
    if not isinstance(site.source, LdapSource):
        return site
    urls = [str(url) for url in site.source.urls]
    last_good = LastGood(site.data_dir / FOLDER, directory=urls, device_name=site.device_name)
    return replace(site, source=SurvivingSource(site.source, last_good))


def heartbeat(site: Site, reload: Callable[[], None]) -> AbstractContextManager[object]:
    """Within it, a directory is asked now and then whether it is there, and a service that has started without it
    takes its configuration when it is back."""
    if isinstance(site.source, SurvivingSource):
        return Heartbeat(site.source, site.device_name, reload)
    return nullcontext()


def hints(site: Site) -> LdapHints | None:
    """Hints that a live directory gives besides its entries; None of LDIF files."""
    source = site.source.directory if isinstance(site.source, SurvivingSource) else site.source
    return LdapHints(source) if isinstance(source, LdapSource) else None


def keep(checked: Checked, site: Site) -> None:
    """A configuration is in force: keep it for when the directory is down."""
    if isinstance(site.source, SurvivingSource):
        site.source.put_in_force(checked.read)


def in_force(checked: Checked, what: str, site: Site) -> None:
    """A configuration has been put in force: keep it, and tell of it."""
    keep(checked, site)
    snapshot = checked.snapshot
    for problem in snapshot.problems:
        LOG.warning("%s", problem)
    for line in unserved_lines(snapshot.device):
        LOG.info("%s", line)
    idle = sum(found.status is not Status.YES for found in snapshot.present)
    if idle:
        LOG.info(
            "%d attributes or kinds of entries are not acted on, or only in part: the command check names them", idle
        )
    LOG.info(
        "%s: device %s of %s, fingerprint %s",
        what,
        snapshot.device.device_name,
        site.source.describe(),
        snapshot.fingerprint,
    )


def unserved_lines(device: Device, *, is_full: bool = False) -> Iterable[str]:
    """A line of the transfer capabilities that are not served for all AEs that have the same, see `inventory.some`."""
    asks_archives = next(archives_asked(device), None) is not None

    def is_used(capability: TransferCapability) -> bool:
        return is_served(capability) or is_asked(capability, asks_archives=asks_archives)

    titles: dict[tuple[str, ...], list[str]] = {}
    for ae in device.application_entities:
        titles.setdefault(tuple(unserved_capabilities(ae, is_used)), []).append(ae.ae_title)
    for names, having in titles.items():
        if names:
            title = f"AE{'s' * (len(having) > 1)} {some(having, is_full=is_full)}"
            yield f"{title}: transfer capabilities not served: {some(names, is_full=is_full)}"
