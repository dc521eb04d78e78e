"""A retrieve from what was kept of another archive, which is asked whether that is still all.

Kept objects become what they would have become had they just arrived: by the same rules, the same way.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from dcm4py_leading.archive.kept_study import KeptStudy
from dcm4py_leading.archive.proxy_cache import ProxyCache
from dcm4py_leading.archive.query import RetrieveKeys
from dcm4py_leading.errors import ArchiveUnavailable, StorageUnavailable
from dcm4py_leading.log import ref
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import AETitle, Level
from dcm4py_leading.service.deliver import RetrievedObject
from dcm4py_leading.service.encode import PreparedObject
from dcm4py_leading.service.forwarded import ForwardedObject, Selections
from dcm4py_leading.service.forwards import Arrived
from dcm4py_leading.service.stored_instance import RetrieveCoercion
from dcm4py_leading.service.upstream import Upstream

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptInstances:
    """What a retrieve gets of a kept study."""

    study: KeptStudy
    numbers: Sequence[int]
    """Which of its objects."""

    @property
    def kinds(self) -> set[tuple[str, str]]:
        """Their SOP classes, each with a transfer syntax."""
        chosen = (self.study.objects[number] for number in self.numbers)
        return {(one.sop_class_uid, one.transfer_syntax_uid) for one in chosen}

    def objects(self, common: RetrieveCoercion) -> Iterator[RetrievedObject]:
        """To be sent; the leading archives are asked about the study when the first one is prepared."""
        selections = Selections(common, [self.study.study_instance_uid])
        for number in self.numbers:
            yield KeptInstance(common, selections, self.study, number)


class KeptInstance:
    """One of them; see `deliver.RetrievedObject`."""

    def __init__(self, common: RetrieveCoercion, selections: Selections, study: KeptStudy, number: int) -> None:
        self._common = common
        self._selections = selections
        self._study = study
        self._number = number
        kept = study.objects[number]
        self.sop_class_uid = kept.sop_class_uid
        self.sop_instance_uid = kept.sop_instance_uid
        self.transfer_syntax_uid = kept.transfer_syntax_uid

    def prepare(self, accepted: Collection[str]) -> PreparedObject:
        arrived = Arrived(
            sop_class_uid=self.sop_class_uid,
            sop_instance_uid=self.sop_instance_uid,
            transfer_syntax_uid=self.transfer_syntax_uid,
            data=self._study.read(self._number),
            study_instance_uid=self._study.study_instance_uid,
        )
        return ForwardedObject(self._common, self._selections, arrived).prepare(accepted)


def kept_instances(
    cache: ProxyCache | None, upstream: Upstream, local_ae: ApplicationEntity, keys: RetrieveKeys
) -> KeptInstances | None:
    """What is kept of what a retrieve wants, if that is all of it; None: ``upstream`` has to send it.

    A study that the other archive has with another number of instances is not kept any longer. Where it cannot be
    asked, what was complete when it was kept is taken for complete.
    """
    if cache is None or keys.level is Level.PATIENT or len(keys.study_instance_uids) != 1:
        return None
    found: KeptInstances | None = None
    try:
        study = cache.find(upstream.scps, keys.study_instance_uids[0])
        if study is not None and _is_all(cache, study, upstream, local_ae, keys):
            numbers = _wanted(study, keys)
            if numbers:
                found = KeptInstances(study=study, numbers=numbers)
        if found is None:
            cache.miss()
            return None
        cache.hit(found.study)
    except StorageUnavailable as err:
        LOG.warning("what is kept cannot be used: %s", err)
        return found
    LOG.info(
        "study %s of %s is sent from what is kept: %d objects",
        ref(found.study.study_instance_uid),
        found.study.scp,
        len(found.numbers),
    )
    return found


def _is_all(
    cache: ProxyCache, study: KeptStudy, upstream: Upstream, local_ae: ApplicationEntity, keys: RetrieveKeys
) -> bool:
    """Whether the study is kept as the other archive has it. Raises StorageUnavailable."""
    uid = study.study_instance_uid
    try:
        count = upstream.count_at(AETitle(study.scp), local_ae, uid)
    except ArchiveUnavailable as err:
        LOG.warning("study %s is sent from what is kept, though it may not be all any more: %s", ref(uid), err)
        return True
    if count is None:
        return False
    if count != len(study.objects):
        LOG.info("study %s of %s has %d instances now, not %d", ref(uid), study.scp, count, len(study.objects))
        cache.drop(study)
        return False
    expected = upstream.instances_of(local_ae, keys)
    return expected is None or expected <= count


def _wanted(study: KeptStudy, keys: RetrieveKeys) -> Sequence[int]:
    """The numbers of the objects that are wanted; none where not each UID that is named is there."""
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
