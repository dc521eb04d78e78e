"""Several archives as one source of objects that are not stored here; implements `upstream.Upstream`.

The archives are queried in order for the wanted objects; each sends what it has, and the next one is queried for the
rest. An archive that gives no answer, or sends nothing, is skipped. It may have had objects; so unless other archives
have all that was named, its failure is reported.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from dcm4py_leading.archive.index.querying.query import RetrieveKeys
from dcm4py_leading.errors import ArchiveUnavailable
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import Level
from dcm4py_leading.service.proxy.forwarded_retrieve import ArrivedObject, UnsentObject
from dcm4py_leading.service.proxy.upstream import ObjectStream, Upstream

LOG = logging.getLogger(__name__)


class SeveralUpstreams:
    """Several other archives, for the clients of one AE of ours."""

    def __init__(self, upstreams: Sequence[Upstream]) -> None:
        """``upstreams`` in the order in which they are queried."""
        self._upstreams = upstreams

    def fetch(self, local_ae: ApplicationEntity, keys: RetrieveKeys) -> ObjectStream | None:
        """Fetch from one archive after the other (see `Upstream`). Raises ArchiveUnavailable if the first one fails."""
        arriving = _SequentialStream(self._upstreams, local_ae, keys)
        return arriving if arriving.begin() else None

    def held(self, local_ae: ApplicationEntity, keys: RetrieveKeys) -> Sequence[str]:
        """UIDs that any of the archives has (see `Upstream`)."""
        answers = [upstream.held(local_ae, keys) for upstream in self._upstreams]
        return list(dict.fromkeys(uid for held in answers for uid in held))

    def count(self, local_ae: ApplicationEntity, keys: RetrieveKeys) -> int | None:
        """Number of objects in the first archive that has any (see `Upstream`)."""
        return next((count for upstream in self._upstreams if (count := upstream.count(local_ae, keys))), None)

    def instances_of(self, local_ae: ApplicationEntity, keys: RetrieveKeys) -> int | None:
        """Number of instances (see `Upstream`): dcmFallbackCMoveSCPLeadingCFindSCP is one for all of them."""
        return self._upstreams[0].instances_of(local_ae, keys)


class _SequentialStream:
    """Objects that one archive sends after the other (see `upstream.ObjectStream`)."""

    def __init__(self, upstreams: Sequence[Upstream], local_ae: ApplicationEntity, keys: RetrieveKeys) -> None:
        self._local_ae = local_ae
        self._keys = keys
        self._waiting: list[tuple[Upstream, Sequence[str] | None]] = [(upstream, None) for upstream in upstreams]
        """Those whose turn has not come, with what they have where that is known already."""
        self._failure: ArchiveUnavailable | None = None
        """Why the first one was passed over that was."""
        self._is_patient_in_doubt = False
        self._parts: tuple[ObjectStream, ...] = ()
        self._of_part: Sequence[str] = ()
        self._failed: list[tuple[Sequence[str], Sequence[UnsentObject]]] = []
        """Requests that came to nothing, and the objects that were named."""
        self._missing: Sequence[UnsentObject] = ()
        self._is_over: Callable[[], bool] = lambda: False
        self._is_closed = False
        self._wanted = list(_named(keys))
        """UIDs of what no archive was asked to send so far."""
        if keys.level is Level.PATIENT:
            self._look_for_studies()
        self.studies = frozenset(self._wanted if keys.level is Level.PATIENT else keys.study_instance_uids)

    def begin(self) -> bool:
        """Start with the first archive; False if none has any object. Raises ArchiveUnavailable."""
        if self._next_part():
            return True
        if self._failure is not None and self._is_in_doubt:
            raise self._failure
        return False

    def _look_for_studies(self) -> None:
        """Query all archives for the studies of a patient, which a retrieve at PATIENT level does not name."""
        found: dict[str, None] = {}
        waiting: list[tuple[Upstream, Sequence[str] | None]] = []
        for upstream, _ in self._waiting:
            try:
                held = upstream.held(self._local_ae, self._keys)
            except ArchiveUnavailable as err:
                self._is_patient_in_doubt = True
                self._pass_over(err)
                continue
            waiting.append((upstream, held))
            found.update(dict.fromkeys(held))
        self._waiting, self._wanted = waiting, list(found)

    def _next_part(self) -> bool:
        """Continue with the next archive that has any of the remaining objects; False if none has."""
        while self._wanted and self._waiting:
            upstream, known = self._waiting.pop(0)
            try:
                there = upstream.held(self._local_ae, _only(self._keys, self._wanted)) if known is None else known
                held = frozenset(there)
                uids = [uid for uid in self._wanted if uid in held]
                part = upstream.fetch(self._local_ae, _only(self._keys, uids)) if uids else None
            except ArchiveUnavailable as err:
                self._pass_over(err)
                continue
            if part is not None:
                part.watch(self._is_over)
                self._of_part, self._parts = uids, (*self._parts, part)
                self._wanted = [uid for uid in self._wanted if uid not in held]
                return True
        return False

    def _pass_over(self, err: ArchiveUnavailable) -> None:
        LOG.warning("passed over: %s", err)
        self._failure = self._failure or err

    @property
    def _is_in_doubt(self) -> bool:
        """True if a skipped archive may have objects that no other archive has."""
        return self._failure is not None and (bool(self._wanted) or self._is_patient_in_doubt)

    def __iter__(self) -> Iterator[ArrivedObject | UnsentObject]:
        """Objects and failures as they come (see `ObjectStream`)."""
        has_come = False
        is_going_on = bool(self._parts)
        while is_going_on:
            part, failed, has_sent = self._parts[-1], list[UnsentObject](), False
            try:
                for one in part:
                    if isinstance(one, UnsentObject) and not has_sent:
                        failed.append(one)
                        continue
                    has_come = has_sent = True
                    yield one
            except ArchiveUnavailable as err:
                self._put_back(err, ())
            if self._is_closed or self._is_over():
                return
            if failed:
                self._put_back(ArchiveUnavailable(failed[0].reason), failed)
            part.close()  # close its association before the next one sends
            is_going_on = self._next_part()
        self._missing = [*self._named_by_none(), *self._unknown(has_come)]
        yield from self._missing

    def _put_back(self, err: ArchiveUnavailable, failed: Sequence[UnsentObject]) -> None:
        """Put the objects of a failed part back, as another archive may have them. ``failed`` are the named objects."""
        self._pass_over(err)
        self._parts = self._parts[:-1]
        self._wanted = [*self._of_part, *self._wanted]
        if failed:
            self._failed.append((self._of_part, failed))

    def _named_by_none(self) -> Iterator[UnsentObject]:
        """Failed objects that no other archive has."""
        for uids, failed in self._failed:
            if set(uids) <= set(self._wanted):
                self._wanted = [uid for uid in self._wanted if uid not in uids]
                yield from failed

    def _unknown(self, has_come: bool) -> Iterator[UnsentObject]:
        """Objects that a skipped archive may have. Raises ArchiveUnavailable if no other object came."""
        if self._failure is None or not self._is_in_doubt:
            return
        if not has_come and not self._failed:
            raise self._failure
        for uid in self._wanted if self._keys.level is Level.IMAGE else [""]:
            yield UnsentObject(uid, str(self._failure))

    def remaining(self, ended: int) -> int:
        """Number of objects to be sent (see `sub_operations.Stream`): of each that is wanted still, one at least."""
        to_come = len(self._wanted) if self._waiting else len(self._missing)
        return max(sum(part.remaining(0) for part in self._parts) + to_come - ended, 0)

    def left(self, ended: int) -> int:
        """Number of objects left (see `sub_operations.Stream`): queries archives that were not asked yet."""
        left = sum(part.left(0) for part in self._parts) + len(self._missing) - ended
        for upstream, known in self._waiting:
            if not self._wanted:
                break
            try:
                held = set(upstream.held(self._local_ae, _only(self._keys, self._wanted)) if known is None else known)
            except ArchiveUnavailable as err:
                self._pass_over(err)
                continue
            uids = [uid for uid in self._wanted if uid in held]
            if uids:
                left += upstream.count(self._local_ae, _only(self._keys, uids)) or len(uids)
                self._wanted = [uid for uid in self._wanted if uid not in held]
        return max(left, 0)

    @property
    def is_ready(self) -> bool:
        """True if the next object can be had without waiting (see `sub_operations.Stream`)."""
        if not self._parts:
            return True
        part = self._parts[-1]
        return part.is_ready and not (part.has_ended and self._may_go_on)

    @property
    def has_ended(self) -> bool:
        """True if no more will come (see `ObjectStream`)."""
        return not self._may_go_on and all(part.has_ended for part in self._parts)

    @property
    def _may_go_on(self) -> bool:
        return bool(self._wanted and self._waiting)

    def watch(self, is_over: Callable[[], bool]) -> None:
        """Watch the client by this function (see `sub_operations.Stream`)."""
        self._is_over = is_over
        for part in self._parts:
            part.watch(is_over)

    def close(self) -> None:
        """End the stream (see `sub_operations.Stream`)."""
        self._is_closed = True
        for part in self._parts:
            part.close()


def _named(keys: RetrieveKeys) -> Sequence[str]:
    """The UIDs of the level of a retrieve."""
    match keys.level:
        case Level.PATIENT:
            return ()
        case Level.STUDY:
            return keys.study_instance_uids
        case Level.SERIES:
            return keys.series_instance_uids
        case Level.IMAGE:
            return keys.sop_instance_uids


def _only(keys: RetrieveKeys, uids: Sequence[str]) -> RetrieveKeys:
    """The same of these entities only; of a patient, of these studies."""
    match keys.level:
        case Level.PATIENT | Level.STUDY:
            return RetrieveKeys(level=Level.STUDY, study_instance_uids=tuple(uids))
        case Level.SERIES:
            return replace(keys, series_instance_uids=tuple(uids))
        case Level.IMAGE:
            return replace(keys, sop_instance_uids=tuple(uids))
