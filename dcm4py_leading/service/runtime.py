"""Runtime: one immutable bundle of services for each configuration, and the holder that swaps it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from dcm4py_leading.archive.index.identity import Identification
from dcm4py_leading.archive.index.index import Index
from dcm4py_leading.archive.index.indexed_attributes import AttributeExtractor
from dcm4py_leading.archive.storage.storage import Storage, storage_of
from dcm4py_leading.bounded_cache import BoundedCache
from dcm4py_leading.coercion.rules import CompiledRule
from dcm4py_leading.coercion.select import Peer
from dcm4py_leading.config.snapshot import Snapshot
from dcm4py_leading.config.sources.recording import Recording
from dcm4py_leading.errors import ConfigError, MoveDestinationUnknown, StorageUnavailable
from dcm4py_leading.leading.contacts import Contacts
from dcm4py_leading.leading.keys_query import GuardedKeysQuery
from dcm4py_leading.leading.lookup import LeadingLookup
from dcm4py_leading.leading.settings import LeadingSettings
from dcm4py_leading.log import word
from dcm4py_leading.model.bounds import METADATA_BYTES
from dcm4py_leading.model.device import ApplicationEntity, Connection, Device, RemoteAE
from dcm4py_leading.model.options import Options
from dcm4py_leading.model.values import AETitle
from dcm4py_leading.service.coerce import Coercions
from dcm4py_leading.service.counts import ServiceCounts
from dcm4py_leading.service.find.memo import AnswerMemo, CoercionMemo, answer_memo, coercion_memo
from dcm4py_leading.service.leading_first import LeadingFirstRules
from dcm4py_leading.service.proxy.forwarded_retrieves import ForwardedRetrieves
from dcm4py_leading.service.proxy.store_archive import OpenStoreArchive
from dcm4py_leading.service.query_archive import QueryArchive
from dcm4py_leading.service.retrieve.retrieve_archive import RetrieveArchive


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """The services of one configuration. An association uses one runtime from beginning to end."""

    snapshot: Snapshot
    coercions: Coercions
    """The compiled rules of each AE, and whom they ask."""
    leading_first: LeadingFirstRules
    """Rules by which a leading archive is asked before the archives are."""
    index: Index
    archives: Mapping[AETitle, QueryArchive]
    """Archives that answer the queries to each AE."""
    behind: Mapping[AETitle, Mapping[AETitle, QueryArchive]]
    """Archives that can be asked about what an AE gets from elsewhere, by the title of the other archive."""
    retrieve_archives: Mapping[AETitle, RetrieveArchive]
    """Archives that fulfil the retrieves from each AE."""
    open_store_archive: OpenStoreArchive
    """Opens the archive to which what is stored to an AE goes on."""
    forwards: ForwardedRetrieves
    storages: Mapping[str, Storage]
    leading: LeadingLookup
    leading_keys: GuardedKeysQuery
    options: Options
    leading_settings: LeadingSettings
    counts: ServiceCounts
    release: Callable[[], None]
    """Lets go of idle associations to leading archives."""
    resolve: Callable[[AETitle], RemoteAE | None]
    """Looks a remote AE up in the directory. Raises ConfigUnavailable."""

    contacts: Contacts = field(default_factory=Contacts)
    """Contacts with the archives that this configuration names."""
    looked_up: Callable[[], Recording] = Recording
    """Recording of what the directory said of the remote AEs that were looked up."""
    forget_aes: Callable[[Iterable[str]], None] = lambda _: None
    """Lets remote AEs be looked up anew, by title."""
    forget_study: Callable[[str], bool] = lambda _: True
    """Forgets what this process remembers of other archives about a study; False if that cannot be done now."""
    coerced_matches: CoercionMemo = field(default_factory=coercion_memo)
    answers: AnswerMemo = field(default_factory=answer_memo)
    """Answers that this configuration made of the matches of queries."""
    metadata: BoundedCache[str, tuple[bytes, ...]] = field(default_factory=lambda: BoundedCache(METADATA_BYTES))
    """Metadata by WADO-RS, by the validator of the answer."""

    @property
    def device(self) -> Device:
        """The configured device."""
        return self.snapshot.device

    @property
    def rules(self) -> Mapping[AETitle, tuple[CompiledRule, ...]]:
        """The compiled rules of each AE, in order of evaluation."""
        return self.coercions.rules

    @property
    def keeper(self) -> AttributeExtractor:
        """Keeper of what the index keeps of objects; knows whose they are."""
        archive = self.device.archive
        identification = Identification(
            by_id_and_name=archive.identify_patient_by_id_and_name,
            by_all_attributes=archive.identify_patient_by_all_attributes,
        )
        return self.index.keeper(archive.attribute_filters, identification)

    def close(self) -> None:
        """Release resources; remaining leases still work."""
        self.release()
        self.leading.close()

    def connection_at(self, address: tuple[str, int]) -> Connection | None:
        """The connection of this configuration that listens at an address; None if there is none."""
        for connection in self.device.connections:
            if connection.is_served and connection.listen_address == address:
                return connection
        return None

    def hides_everything(self, ae: ApplicationEntity) -> bool:
        """True if the AE's view shows only rejected instances; rejection is not supported, so there are none."""
        view = self.device.archive.query_retrieve_views.get(ae.settings.query_retrieve_view_id or "")
        return view is not None and view.hide_not_rejected_instances

    def storage(self, storage_id: str) -> Storage:
        """The storage of a dcmStorageID. Raises StorageUnavailable if the configuration does not have it."""
        return storage_of(self.storages, storage_id)

    def storage_for(self, ae: ApplicationEntity) -> Storage:
        """Storage for objects of ``ae``: its first dcmObjectStorageID, else the only one. Raises StorageUnavailable."""
        ids = ae.settings.object_storage_ids
        if not ids and len(self.storages) == 1:
            ids = tuple(self.storages)
        if not ids:
            raise StorageUnavailable(f"AE {ae.ae_title} has no dcmObjectStorageID, and the device not one dcmStorage")
        return self.storage(ids[0])

    def remote_ae(self, title: str) -> RemoteAE:
        """The move destination of that title. Raises MoveDestinationUnknown, ConfigUnavailable."""
        try:
            remote = self.resolve(AETitle(title))
        except ValueError as err:
            raise MoveDestinationUnknown(f"move destination: {err}") from err
        if remote is None:
            raise MoveDestinationUnknown(f"move destination {word(title)} is not in the directory")
        return remote

    def peer_of(self, title: str, address: str | None = None) -> Peer:
        """A peer for conditions, with its dicomHostname if it is in the directory, else its address.

        Queries the directory only if a rule has a condition on a host name.
        """
        if not any(rule.needs_hosts for rules in self.rules.values() for rule in rules):
            return Peer(host=address, ae_title=title)
        try:
            remote = self.resolve(AETitle(title))
        except (ValueError, ConfigError):
            remote = None
        host = remote.connections[0].hostname if remote is not None and remote.connections else address
        return Peer(host=host, ae_title=title)


class RuntimeHolder:
    """Mutable reference to the current runtime, for new associations."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._lock = threading.Lock()

    @property
    def current(self) -> Runtime:
        """The current runtime, for reading; requests use a `lease`."""
        with self._lock:
            return self._runtime

    @contextmanager
    def lease(self) -> Iterator[Runtime]:
        """The current runtime, which stays open until the end of the block, even after a swap."""
        yield self.current

    def swap(self, runtime: Runtime) -> Runtime:
        """Set the runtime of new leases. The old runtime, which is returned, is closed after its last lease."""
        with self._lock:
            old, self._runtime = self._runtime, runtime
        return old
