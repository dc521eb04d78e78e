"""Retrieve of stored instances whose files are missing, from another archive with the objects of the storage
(dcmExternalRetrieveAET)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from dcm4py_leading.archive.index.index import IndexedInstance
from dcm4py_leading.archive.index.querying.query import RetrieveKeys
from dcm4py_leading.archive.storage.storage import Storage
from dcm4py_leading.errors import ArchiveUnavailable, StorageUnavailable
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import Level
from dcm4py_leading.service.proxy.forwarded_retrieve import ArrivedObject, UnsentObject
from dcm4py_leading.service.proxy.upstream import ObjectStream, Upstream

LOG = logging.getLogger(__name__)
K = TypeVar("K")

MAX_AT_ONCE = 500
"""Objects that one request names: a UID has up to 64 characters, and a value of Explicit VR 64 KiB (PS3.5 7.1.2)."""


def missing_instances(storages: Mapping[str, Storage], instances: Sequence[IndexedInstance]) -> list[IndexedInstance]:
    """Instances whose files are missing, and whose storage has another archive."""
    return [instance for instance in instances if _is_gone(storages, instance)]


def _is_gone(storages: Mapping[str, Storage], instance: IndexedInstance) -> bool:
    location = instance.location
    storage = storages.get(location.storage_id)
    if storage is None or not storage.descriptor.external_retrieve_aets:
        return False
    try:
        return not storage.has(location)
    except StorageUnavailable:
        return False  # reading it will report the error


class ExternalRetrieve:
    """Stream of the objects whose files are missing, while other objects of the retrieve are sent from here.

    Requests the objects of one series after the other by SOP Instance UID, so only missing objects come, and each
    failed object is known. See `upstream.ObjectStream`.
    """

    def __init__(
        self,
        externals: Mapping[str, Upstream],
        local_ae: ApplicationEntity,
        instances: Sequence[IndexedInstance],
        others: int,
    ) -> None:
        """``externals`` are the archives by dcmStorageID, ``others`` is the number of instances sent from here."""
        self._local_ae = local_ae
        self._requests = [
            (externals[storage_id], list(_requests(of_storage)))
            for storage_id, of_storage in _grouped(instances, lambda one: one.location.storage_id).items()
        ]
        self._count = len(instances) + others
        self._part: ObjectStream | None = None
        self._is_over: Callable[[], bool] = lambda: False
        self._is_closed = self._has_ended = False
        self.studies = frozenset(str(instance.study_instance_uid) for instance in instances)

    def __iter__(self) -> Iterator[ArrivedObject | UnsentObject]:
        """Objects and failures as they come (see `ObjectStream`); never raises, as other objects are sent from here."""
        for upstream, requests in self._requests:
            unavailable: str | None = None
            for keys in requests:
                part: ObjectStream | None = None
                if unavailable is None:
                    try:
                        part = upstream.fetch(self._local_ae, keys)
                    except ArchiveUnavailable as err:
                        LOG.warning(
                            "objects whose files are gone cannot be fetched from dcmExternalRetrieveAET: %s", err
                        )
                        unavailable = str(err)
                yield from self._of(part, keys, unavailable or "the archive that had it too does not have it")
                if self._is_closed or self._is_over():
                    return
        self._has_ended = True

    def _of(self, part: ObjectStream | None, keys: RetrieveKeys, reason: str) -> Iterator[ArrivedObject | UnsentObject]:
        """Objects of one request; ``reason`` is for objects that do not come and have no other reason."""
        wanted = dict.fromkeys(keys.sop_instance_uids)
        if part is not None:
            self._part = part
            part.watch(self._is_over)
            try:
                for one in part:
                    if isinstance(one, UnsentObject):
                        reason = one.reason
                    elif one.sop_instance_uid in wanted:
                        del wanted[one.sop_instance_uid]
                        yield one
            except ArchiveUnavailable as err:
                reason = str(err)
            finally:
                part.close()
        if not (self._is_closed or self._is_over()):
            yield from (UnsentObject(uid, reason) for uid in wanted)

    def remaining(self, ended: int) -> int:
        """Number of objects still to be sent (see `sub_operations.Stream`)."""
        return max(self._count - ended, 0)

    def left(self, ended: int) -> int:
        """Number of objects that are left (see `sub_operations.Stream`)."""
        return self.remaining(ended)

    @property
    def is_ready(self) -> bool:
        """True if the next object can be had without waiting (see `sub_operations.Stream`)."""
        return self._part is None or self._part.is_ready

    @property
    def has_ended(self) -> bool:
        """True if no more will come (see `ObjectStream`)."""
        return self._has_ended

    def watch(self, is_over: Callable[[], bool]) -> None:
        """Watch the client by this function (see `sub_operations.Stream`)."""
        self._is_over = is_over

    def close(self) -> None:
        """End the stream (see `sub_operations.Stream`)."""
        self._is_closed = True
        if self._part is not None:
            self._part.close()


def _requests(instances: Sequence[IndexedInstance]) -> Iterator[RetrieveKeys]:
    by_series = _grouped(instances, lambda one: (one.study_instance_uid, one.series_instance_uid))
    for (study, series), of_series in by_series.items():
        uids = [str(instance.sop_instance_uid) for instance in of_series]
        for at in range(0, len(uids), MAX_AT_ONCE):
            yield RetrieveKeys(
                level=Level.IMAGE,
                study_instance_uids=(study,),
                series_instance_uids=(series,),
                sop_instance_uids=tuple(uids[at : at + MAX_AT_ONCE]),
            )


def _grouped(
    instances: Sequence[IndexedInstance], key: Callable[[IndexedInstance], K]
) -> dict[K, list[IndexedInstance]]:
    groups: dict[K, list[IndexedInstance]] = {}
    for instance in instances:
        groups.setdefault(key(instance), []).append(instance)
    return groups
