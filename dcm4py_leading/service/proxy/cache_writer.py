"""Caching of studies that pass through from another archive (``--set proxy-keep``), while they are delivered.

A separate thread writes. The delivery waits for the disk only while several objects are queued, and for a limited time.
Any failure logs a WARNING, and the study is not cached.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextvars import copy_context

from dcm4py_leading.archive.proxy_cache.cached_study import CachedObject, StudyState, StudyWriter
from dcm4py_leading.archive.proxy_cache.proxy_cache import ProxyCache
from dcm4py_leading.errors import StorageUnavailable
from dcm4py_leading.log import ref
from dcm4py_leading.service.proxy.forwarded_retrieve import ArrivedObject, ForwardedRetrieve, UnsentObject

LOG = logging.getLogger(__name__)

_MAX_WAITING = 4
"""Objects that are not written yet, for each retrieve."""
_PATIENCE = 5.0
"""Seconds that a delivery waits for the disk before the study is not kept."""

StateOfStudy = Callable[[], StudyState | None]
"""Asks the archive what it has of the study; None if that cannot be told."""


class CachingStream:
    """Stream of all objects of one study, which is cached if read to the end; see `upstream.ObjectStream`."""

    def __init__(
        self, cache: ProxyCache, study_instance_uid: str, forward: ForwardedRetrieve, state: StateOfStudy
    ) -> None:
        self.studies = forward.studies
        self._forward = forward
        self._keeping = CacheWriter(cache, study_instance_uid, forward.scp, state)

    def __iter__(self) -> Iterator[ArrivedObject | UnsentObject]:
        for one in self._forward:
            if isinstance(one, ArrivedObject):
                self._keeping.take(one)
            yield one
        if self._forward.has_all:
            self._keeping.complete()

    @property
    def has_ended(self) -> bool:
        """True if no more will come (see `ObjectStream`)."""
        return self._forward.has_ended

    def remaining(self, ended: int) -> int:
        """Number of objects still to be sent (see `sub_operations.Stream`)."""
        return self._forward.remaining(ended)

    def left(self, ended: int) -> int:
        """Number of objects that are left (see `sub_operations.Stream`)."""
        return self._forward.left(ended)

    @property
    def is_ready(self) -> bool:
        """True if the next object can be had without waiting (see `sub_operations.Stream`)."""
        return self._forward.is_ready

    def watch(self, is_over: Callable[[], bool]) -> None:
        """Watch the client by this function (see `sub_operations.Stream`)."""
        self._forward.watch(is_over)

    def close(self) -> None:
        """End the stream and the caching (see `sub_operations.Stream`)."""
        self._forward.close()
        self._keeping.close()


class CacheWriter:
    """Writer of one study to the cache. The delivering thread adds objects; another thread writes them."""

    def __init__(
        self,
        cache: ProxyCache,
        study_instance_uid: str,
        scp: str,
        state: StateOfStudy = lambda: None,
        *,
        patience: float = _PATIENCE,
    ) -> None:
        """``state`` is queried after the last object. ``patience`` is the maximum wait of `take` in seconds."""
        self._state = state
        self._cache = cache
        self._study_instance_uid = study_instance_uid
        self._scp = scp
        self._patience = patience
        self._changed = threading.Condition()
        self._waiting: deque[ArrivedObject] = deque()
        self._is_begun = False
        self._is_complete = False
        """All objects have been put in."""
        self._is_given_up = False

    def take(self, arrived: ArrivedObject) -> None:
        """Add an object of the study."""
        with self._changed:
            if self._is_given_up:
                return
            if not self._is_begun:
                self._is_begun = True
                context = copy_context()  # log lines of the thread name the association
                threading.Thread(
                    target=context.run, args=(self._write_all,), name="keeping a study", daemon=True
                ).start()
            has_room = self._changed.wait_for(
                lambda: len(self._waiting) < _MAX_WAITING or self._is_given_up, self._patience
            )
            if not has_room:
                self._give_up("the disk is too slow")
            elif not self._is_given_up:
                self._waiting.append(arrived)
                self._changed.notify_all()

    def complete(self) -> None:
        """Mark the study as complete."""
        with self._changed:
            self._is_complete = True
            self._changed.notify_all()

    def close(self) -> None:
        """Stop writing; an incomplete study is not cached."""
        with self._changed:
            if not self._is_complete:
                self._is_given_up = True
                self._waiting.clear()
                self._changed.notify_all()

    def _give_up(self, reason: object) -> None:
        LOG.warning("study %s of %s is not kept: %s", ref(self._study_instance_uid), self._scp, reason)
        with self._changed:
            self._is_given_up = True
            self._waiting.clear()
            self._changed.notify_all()

    # -- the thread that writes ---------------------------------------------------------------------------------

    def _write_all(self) -> None:
        try:
            writer = self._cache.begin(self._scp, self._study_instance_uid)
            if writer is None:  # another retrieve is caching it
                self.close()
                return
            try:
                self._write(writer)
            finally:
                writer.close()
        except StorageUnavailable as err:
            self._give_up(err)
        except BaseException as err:
            self._give_up(f"internal error ({type(err).__name__})")
            raise

    def _write(self, writer: StudyWriter) -> None:
        while (arrived := self._next()) is not None:
            series_instance_uid = self._series_of(arrived)
            one = CachedObject(
                series_instance_uid=series_instance_uid,
                sop_instance_uid=arrived.sop_instance_uid,
                sop_class_uid=arrived.sop_class_uid,
                transfer_syntax_uid=arrived.transfer_syntax_uid,
                length=len(arrived.octets),
            )
            writer.append(one, arrived.octets)
        if self._is_given_up or not writer.objects:
            return
        state = self._state()
        if state is not None and state.instances != len(writer.objects):
            self._give_up(f"{state.instances} instances are there, {len(writer.objects)} came")
            return
        writer.complete(None if state is None else state.digest)
        study = ref(self._study_instance_uid)
        LOG.info("study %s of %s is kept: %d objects, %d bytes", study, self._scp, len(writer.objects), writer.size)

    def _next(self) -> ArrivedObject | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_complete or self._is_given_up)
            if self._is_given_up or not self._waiting:
                return None
            arrived = self._waiting.popleft()
            self._changed.notify_all()
            return arrived

    def _series_of(self, arrived: ArrivedObject) -> str:
        """Series Instance UID. Raises StorageUnavailable if the object cannot be cached unchanged."""
        if not arrived.is_in_order or not arrived.series_instance_uid:
            raise StorageUnavailable("an object has no series, or its elements are not in order")
        if arrived.study_instance_uid != self._study_instance_uid:
            raise StorageUnavailable("an object of another study came")
        return arrived.series_instance_uid
