"""Port to archives for retrieves, and its implementations: the embedded archive, the archives behind it, and both.

Callers do not know which kind of archive it is.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Protocol

from dcm4py_leading.archive.index.attributes import decode
from dcm4py_leading.archive.index.index import Index, IndexedInstance
from dcm4py_leading.archive.index.querying.query import RetrieveKeys
from dcm4py_leading.archive.storage.storage import Storage, storage_of
from dcm4py_leading.coercion.select import Selection
from dcm4py_leading.dataset.normal import first_text
from dcm4py_leading.errors import ArchiveUnavailable, CoercionFailed
from dcm4py_leading.service.coerce import Coercer
from dcm4py_leading.service.proxy.forwarded_object import forwarded
from dcm4py_leading.service.proxy.upstream import Upstream
from dcm4py_leading.service.retrieve.encode import StoreContext, proposed_transfer_syntaxes
from dcm4py_leading.service.retrieve.external_retrieve import ExternalRetrieve, missing_instances
from dcm4py_leading.service.retrieve.leading_first import LeadingFirstRetrieve
from dcm4py_leading.service.retrieve.retrieve_coercion import RetrieveCoercion
from dcm4py_leading.service.retrieve.selections import Selections
from dcm4py_leading.service.retrieve.stored_instance import StoredInstance, UndecidedInstance
from dcm4py_leading.service.retrieve.sub_operations import RetrievedObject, Stream

LOG = logging.getLogger(__name__)

_STUDY_DATE = 0x00080020


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveRetrieve:
    """Request to an archive: keys, and how the objects are coerced."""

    keys: RetrieveKeys
    common: RetrieveCoercion
    leading_first: LeadingFirstRetrieve
    """Stage that decides what belongs to the patient who is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieval:
    """Result of a retrieve; the objects are prepared one by one when they are sent."""

    expected: int
    """0 where the objects come from elsewhere."""
    contexts: tuple[StoreContext, ...]
    """Those that are known to be needed."""
    objects: Iterator[RetrievedObject]
    coercer: Coercer
    stream: Stream | None = None
    """Where the objects come from, if that is elsewhere."""
    study_instance_uids: tuple[str, ...] = ()
    """Those of the instances that are here."""


class RetrieveArchive(Protocol):
    """An archive from which objects can be retrieved."""

    def retrieve(self, wanted: ArchiveRetrieve) -> Retrieval | None:
        """Find the objects; None if there are none. Raises IndexUnavailable, ArchiveUnavailable."""
        ...


class EmbeddedRetrieveArchive:
    """The archive of this service."""

    def __init__(self, index: Index, storages: Mapping[str, Storage], externals: Mapping[str, Upstream]) -> None:
        """``storages`` by dcmStorageID, and ``externals``, the other archives with the objects of a storage."""
        self._index = index
        self._storages = storages
        self._externals = externals

    def instances(self, wanted: ArchiveRetrieve) -> Sequence[IndexedInstance]:
        """Instances that are stored here. Raises IndexUnavailable."""
        return wanted.leading_first.instances(self._index.instances(wanted.keys), self._index.instances)

    def retrieve(self, wanted: ArchiveRetrieve) -> Retrieval | None:
        """Retrieval from the index and its storages (see `RetrieveArchive`)."""
        return self.of(self.instances(wanted), wanted.common)

    def of(self, instances: Sequence[IndexedInstance], common: RetrieveCoercion) -> Retrieval | None:
        """Retrieval of these instances; missing files are fetched from another archive, if configured."""
        if not instances:
            return None
        coercer, selections = common.coercer, Selections(common.coercer)
        missing = missing_instances(self._storages, instances) if self._externals else []
        locations = {instance.location for instance in missing}
        here = [instance for instance in instances if instance.location not in locations] if missing else instances
        stored = _asked(
            [self._going_out(common, instance, selections.of_instance(instance)) for instance in here], coercer
        )
        contexts = _store_contexts(instances)
        studies = tuple(dict.fromkeys(instance.study_instance_uid for instance in instances))
        if not missing:
            return Retrieval(
                expected=len(here), contexts=contexts, objects=stored, coercer=coercer, study_instance_uids=studies
            )
        back = ExternalRetrieve(self._externals, common.local_ae, missing, len(here))
        known = {str(instance.sop_instance_uid): instance for instance in missing}
        objects = chain(stored, forwarded(common.for_copies(), back, known))
        return Retrieval(
            expected=0,
            contexts=contexts,
            objects=objects,
            coercer=coercer,
            stream=back,
            study_instance_uids=studies,
        )

    def _going_out(
        self, common: RetrieveCoercion, instance: IndexedInstance, selected: Selection | CoercionFailed
    ) -> StoredInstance | UndecidedInstance:
        if isinstance(selected, CoercionFailed):
            return UndecidedInstance(instance, selected)
        return StoredInstance(common, instance, selected, self._storage)

    def _storage(self, storage_id: str) -> Storage:
        return storage_of(self._storages, storage_id)


class UpstreamArchive:
    """The archives behind this one (dcmFallbackCMoveSCP), whose objects are forwarded."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    def retrieve(self, wanted: ArchiveRetrieve) -> Retrieval | None:
        """Retrieval from the other archive (see `RetrieveArchive`)."""
        return self.rest(wanted, ())

    def rest(self, wanted: ArchiveRetrieve, here: Sequence[IndexedInstance]) -> Retrieval | None:
        """Retrieval from the other archive; None if the instances ``here`` are complete. Raises ArchiveUnavailable."""
        common = wanted.common
        keys = wanted.leading_first.upstream_keys(partial(self._upstream.held, common.local_ae))
        if keys is None or self._are_all(here, wanted, keys):
            return None
        arriving = self._upstream.fetch(common.local_ae, keys)
        if arriving is None:
            return None
        objects = forwarded(common, arriving)
        return Retrieval(expected=0, contexts=(), objects=objects, coercer=common.coercer, stream=arriving)

    def _are_all(self, here: Sequence[IndexedInstance], wanted: ArchiveRetrieve, keys: RetrieveKeys) -> bool:
        """True if the instances here are complete. False if there are none, if dcmFallbackCMoveSCPLeadingCFindSCP knows
        more instances, and for studies before dcmFallbackCMoveSCPStudyOlderThan."""
        if not here:
            return False
        older_than = wanted.common.local_ae.settings.fallback_cmove_scp_study_older_than
        if older_than is not None:
            samples = {instance.study_instance_uid: instance for instance in here}
            if any((date := _study_date(sample)) and date < older_than for sample in samples.values()):
                return False
        expected = self._upstream.instances_of(wanted.common.local_ae, keys)
        return expected is None or expected <= len(here)


class SpanningRetrieveArchive:
    """The embedded archive if it has all objects, else the other archive.

    If the other archive fails, the local objects are still sent.
    """

    def __init__(self, own: EmbeddedRetrieveArchive, other: UpstreamArchive, storages: Collection[str]) -> None:
        """``storages`` are those of this device, by dcmStorageID."""
        self._own = own
        self._storages = storages
        self._other = other

    def retrieve(self, wanted: ArchiveRetrieve) -> Retrieval | None:
        """Retrieval from both archives (see `RetrieveArchive`)."""
        indexed = self._own.instances(wanted)
        # Objects in a storage that this device lacks do not count as local: the other archive may have them.
        here = [instance for instance in indexed if instance.location.storage_id in self._storages]
        retrieval: Retrieval | None = None
        try:
            retrieval = self._other.rest(wanted, here)
        except ArchiveUnavailable as err:
            if not here:
                raise
            LOG.warning("only the objects of this archive are sent, the study may have more: %s", err)
        return retrieval or self._own.of(indexed, wanted.common)


def archive_of(own: EmbeddedRetrieveArchive, upstream: Upstream | None, storages: Collection[str]) -> RetrieveArchive:
    """The archive that an AE presents to its clients: ``own``, with the archives ``upstream`` of it, if any."""
    return own if upstream is None else SpanningRetrieveArchive(own, UpstreamArchive(upstream), storages)


def _study_date(instance: IndexedInstance) -> str | None:
    return first_text(decode(instance.encoded_attributes[1]), _STUDY_DATE)


def _store_contexts(instances: Sequence[IndexedInstance]) -> tuple[StoreContext, ...]:
    stored = {(instance.sop_class_uid, instance.transfer_syntax_uid) for instance in instances}
    wanted = {
        StoreContext(sop_class_uid, syntaxes)
        for sop_class_uid, transfer_syntax_uid in stored
        for syntaxes in proposed_transfer_syntaxes(transfer_syntax_uid)
    }
    return tuple(sorted(wanted, key=lambda context: (context.sop_class_uid, context.transfer_syntax_uids)))


def _asked(objects: Sequence[StoredInstance | UndecidedInstance], coercer: Coercer) -> Iterator[RetrievedObject]:
    """The objects, after asking the leading archives about all studies, before the first C-STORE."""
    wanted = {
        (id(obj.selection), obj.instance.study_instance_uid): obj.selection
        for obj in objects
        if isinstance(obj, StoredInstance)
    }
    coercer.prefetch([(selection, uid) for (_, uid), selection in wanted.items()])
    yield from objects
