"""Cache in front of another archive (``--set proxy-keep``); implements `upstream.Upstream`.

Cached objects are unchanged, as the archive sent them; the current rules are applied each time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Protocol

from dcm4py_leading.archive.index.querying.query import RetrieveKeys
from dcm4py_leading.archive.proxy_cache.cached_study import CachedStudy, StudyState
from dcm4py_leading.archive.proxy_cache.proxy_cache import ProxyCache
from dcm4py_leading.dataset.identity import identity_of_object
from dcm4py_leading.dataset.object_bytes import ObjectBytes
from dcm4py_leading.errors import ArchiveUnavailable, InvalidObject, ObjectMismatch, StorageUnavailable
from dcm4py_leading.log import ref
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import AETitle, Level
from dcm4py_leading.service.proxy.cache_writer import CachingStream
from dcm4py_leading.service.proxy.forwarded_retrieve import ArrivedObject, ForwardedRetrieve, UnsentObject
from dcm4py_leading.service.proxy.upstream import ObjectStream
from dcm4py_leading.service.retrieve.file_bytes import Buffers, SharedFileBytes

LOG = logging.getLogger(__name__)


class SingleUpstream(Protocol):
    """One other archive; implemented by ``dicom/upstream/retrieve.py``. See `upstream.Upstream`."""

    @property
    def scp(self) -> AETitle:
        """AE title of the archive."""
        ...

    def state_of(self, local_ae: ApplicationEntity, study_instance_uid: str) -> StudyState | None:
        """State of a study in the archive; None if the archive does not support the query.

        Raises ArchiveUnavailable if it gives no answer.
        """
        ...

    def fetch(self, local_ae: ApplicationEntity, keys: RetrieveKeys) -> ForwardedRetrieve: ...

    def held(self, local_ae: ApplicationEntity, keys: RetrieveKeys) -> Sequence[str]: ...

    def count(self, local_ae: ApplicationEntity, keys: RetrieveKeys) -> int | None: ...

    def instances_of(self, local_ae: ApplicationEntity, keys: RetrieveKeys) -> int | None: ...


class CachingUpstream:
    """An archive and the cache of its studies. Safe under threads."""

    def __init__(self, upstream: SingleUpstream, cache: ProxyCache) -> None:
        self._upstream = upstream
        self._cache = cache

    def fetch(self, local_ae: ApplicationEntity, keys: RetrieveKeys) -> ObjectStream:
        """Fetch objects (see `Upstream`) from the cache if it is up to date, else from the archive, and cache them.

        If the archive does not support the query, a study that was complete counts as up to date. A study whose number
        of instances or state has changed is removed from the cache.
        """
        uid = _study_of(keys)
        if uid is None:
            return self._upstream.fetch(local_ae, keys)
        kept = self._from_cache(local_ae, keys, uid)
        if kept is not None:
            return kept
        forward = self._upstream.fetch(local_ae, keys)
        if keys.level is not Level.STUDY:
            return forward
        return CachingStream(self._cache, uid, forward, partial(self._state, local_ae, uid))

    def _state(self, local_ae: ApplicationEntity, uid: str) -> StudyState | None:
        try:
            return self._upstream.state_of(local_ae, uid)
        except ArchiveUnavailable:
            return None

    def held(self, local_ae: ApplicationEntity, keys: RetrieveKeys) -> Sequence[str]:
        """UIDs that the archive has (see `Upstream`); if it cannot be queried, those of the cache."""
        try:
            return self._upstream.held(local_ae, keys)
        except ArchiveUnavailable:
            uid = _study_of(keys)
            study = None if uid is None else self._find(uid)
            if study is None or not _numbers(study, keys):
                raise
            return keys.sop_instance_uids or keys.series_instance_uids or keys.study_instance_uids

    def count(self, local_ae: ApplicationEntity, keys: RetrieveKeys) -> int | None:
        """Number of objects that the archive has (see `Upstream`)."""
        return self._upstream.count(local_ae, keys)

    def instances_of(self, local_ae: ApplicationEntity, keys: RetrieveKeys) -> int | None:
        """Number of instances in the archive (see `Upstream`)."""
        return self._upstream.instances_of(local_ae, keys)

    def _from_cache(self, local_ae: ApplicationEntity, keys: RetrieveKeys, uid: str) -> CachedStream | None:
        study = self._find(uid)
        numbers = _numbers(study, keys) if study is not None and self._is_all(study, local_ae, keys) else ()
        if study is None or not numbers:
            self._cache.miss()
            return None
        try:
            self._cache.hit(study)
        except StorageUnavailable as err:
            _tell(err)
        LOG.info("study %s of %s is sent from the cache of proxy-keep: %d objects", ref(uid), study.scp, len(numbers))
        return CachedStream(self._cache, study, numbers)

    def _find(self, uid: str) -> CachedStudy | None:
        try:
            return self._cache.find(self._upstream.scp, uid)
        except StorageUnavailable as err:
            _tell(err)
            return None

    def _is_all(self, study: CachedStudy, local_ae: ApplicationEntity, keys: RetrieveKeys) -> bool:
        """True if the cached study is up to date."""
        uid, kept = study.study_instance_uid, len(study.objects)
        try:
            state = self._upstream.state_of(local_ae, uid)
        except ArchiveUnavailable as err:
            LOG.warning("study %s is sent from the cache of proxy-keep, and may have changed since: %s", ref(uid), err)
            return True
        if state is None:
            return False
        is_other = study.digest is not None and state.digest != study.digest
        if state.instances != kept or is_other:
            what = "other attributes" if is_other else f"{state.instances} instances and not {kept}"
            LOG.info("study %s of %s leaves the cache of proxy-keep: it has %s", ref(uid), study.scp, what)
            _drop(self._cache, study)
            return False
        expected = self._upstream.instances_of(local_ae, keys)
        return expected is None or expected <= kept


class CachedStream:
    """Stream of cached objects; see `upstream.ObjectStream`."""

    has_ended = is_ready = True

    def __init__(self, cache: ProxyCache, study: CachedStudy, numbers: Sequence[int]) -> None:
        """``numbers`` are the positions of the objects in the study."""
        self.studies = frozenset({study.study_instance_uid})
        self._cache = cache
        self._study = study
        self._numbers = numbers
        self._is_broken = False
        self._buffers = Buffers()
        self._is_over: Callable[[], bool] = lambda: False

    def __iter__(self) -> Iterator[ArrivedObject | UnsentObject]:
        for number in self._numbers:
            if self._is_over():
                return
            kept = self._study.objects[number]
            try:
                data = self._opened(number)
                identity = identity_of_object(data, kept.transfer_syntax_uid)
            except (StorageUnavailable, InvalidObject, ObjectMismatch) as err:
                self._is_broken = True
                is_damaged = not isinstance(err, StorageUnavailable)
                yield UnsentObject(
                    kept.sop_instance_uid, f"a kept object is damaged: {err}" if is_damaged else str(err)
                )
                continue
            yield ArrivedObject(
                sop_class_uid=kept.sop_class_uid,
                sop_instance_uid=kept.sop_instance_uid,
                transfer_syntax_uid=kept.transfer_syntax_uid,
                data=data,
                study_instance_uid=identity.study_instance_uid,
                series_instance_uid=identity.series_instance_uid,
                patient_id=identity.patient_id,
                is_in_order=identity.is_in_order,
            )

    def _opened(self, number: int) -> ObjectBytes:
        part = self._study.part(number)
        try:
            return SharedFileBytes(part.descriptor, part.length, self._buffers, origin=part.offset)
        except StorageUnavailable as err:
            raise StorageUnavailable("a kept object cannot be read") from err

    def remaining(self, ended: int) -> int:
        """Number of objects still to be sent (see `sub_operations.Stream`)."""
        return max(len(self._numbers) - ended, 0)

    def left(self, ended: int) -> int:
        """Number of objects that are left (see `sub_operations.Stream`)."""
        return self.remaining(ended)

    def watch(self, is_over: Callable[[], bool]) -> None:
        """Watch the client by this function (see `sub_operations.Stream`)."""
        self._is_over = is_over

    def close(self) -> None:
        """End the stream (see `sub_operations.Stream`)."""
        if self._is_broken:
            _drop(self._cache, self._study)
        self._study.close()


def _study_of(keys: RetrieveKeys) -> str | None:
    """The only study of a retrieve; None if there are several, or it is not known."""
    if keys.level is Level.PATIENT or len(keys.study_instance_uids) != 1:
        return None
    return keys.study_instance_uids[0]


def _numbers(study: CachedStudy, keys: RetrieveKeys) -> Sequence[int]:
    """Positions of the wanted objects in the study; none if a UID is missing."""
    series, instances = set(keys.series_instance_uids), set(keys.sop_instance_uids)
    numbers = [
        number
        for number, one in enumerate(study.objects)
        if (not series or one.series_instance_uid in series) and (not instances or one.sop_instance_uid in instances)
    ]
    chosen = [study.objects[number] for number in numbers]
    if series - {one.series_instance_uid for one in chosen} or instances - {one.sop_instance_uid for one in chosen}:
        return ()
    return numbers


def _drop(cache: ProxyCache, study: CachedStudy) -> None:
    try:
        cache.drop(study)
    except StorageUnavailable as err:
        _tell(err)


def _tell(err: StorageUnavailable) -> None:
    LOG.warning("the cache of proxy-keep cannot be used: %s", err)
