"""Deletion of a study: its rows in the index, its files, and cached data about it.

A running retrieve still sends the object that it has open; later objects are failed sub-operations. An object that is
just being stored is deleted with the study, or becomes the first one of a new study.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from dcm4py_leading.archive.index.index import Index
from dcm4py_leading.archive.storage.storage import Location, Storage
from dcm4py_leading.dataset.dicom_json.model import Json
from dcm4py_leading.errors import EditRefused, Refusal, StorageUnavailable
from dcm4py_leading.log import ref, word
from dcm4py_leading.model.archive import AllowDeleteStudy
from dcm4py_leading.service.editing.edit import holding_ae
from dcm4py_leading.service.runtime import Runtime

LOG = logging.getLogger(__name__)

_LATER = "is deleted at the next start or deletion"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """Request for a deletion: the study, and the user."""

    ae_title: str
    study_instance_uid: str
    author: str = ""

    def to_json(self) -> Json:
        """As it passes between processes; the constructor takes it."""
        return asdict(self)


def delete_study(runtime: Runtime, wanted: Deletion) -> None:
    """Delete a study. When this returns, nothing of it is left.

    Raises EditRefused or IndexUnavailable before anything is deleted; StorageUnavailable if the rest is deleted later.
    """
    ae = holding_ae(runtime, wanted.ae_title)
    if ae.settings.allow_delete_study_permanently is not AllowDeleteStudy.ALWAYS:
        raise EditRefused(
            Refusal.FORBIDDEN,
            f"dcmAllowDeleteStudyPermanently of AE {ae.ae_title}, or of the device, is not ALWAYS, so studies are not "
            "deleted unless all their objects are rejected",
        )
    uid = wanted.study_instance_uid
    deletions = runtime.index.deletions
    began = deletions.begin(uid, lambda location: _version(runtime, location))
    if began is not None:
        LOG.info(
            "study %s was deleted by %s: %d objects, %d files",
            *(ref(uid), word(wanted.author) or "-", began.objects, began.files),
        )
    elif not _is_pending(runtime.index, uid):
        raise EditRefused(Refusal.UNKNOWN, "there is no such study")
    failures = finish_deletions(runtime)
    if _is_pending(runtime.index, uid):
        why = f": {'; '.join(failures)}" if failures else ""
        raise StorageUnavailable(f"the study is no longer in the index; what is left of it {_LATER}{why}")


def finish_deletions(runtime: Runtime) -> Sequence[str]:
    """Finish deletions that were interrupted; return the obstacles, which are also logged as a WARNING.

    Several processes may do this at the same time. Raises IndexUnavailable.
    """
    deletions = runtime.index.deletions
    pending = deletions.pending()
    failures = delete_files(runtime.index, runtime.storages)
    for one in pending:
        study = ref(one.study_instance_uid)
        if not runtime.forget_study(one.study_instance_uid):
            failures.append(f"what is remembered of other archives about study {study} cannot be deleted now")
        elif not deletions.end(one):
            failures.append(f"files of study {study} are left")
    for failure in failures:
        LOG.warning("what is left of a deleted study %s: %s", _LATER, failure)
    return failures


def delete_files(index: Index, storages: Mapping[str, Storage]) -> list[str]:
    """Delete remaining files of deleted studies; return the obstacles. Raises IndexUnavailable."""
    failures = []
    for storage in storages.values() if index.deletions.pending() else ():
        try:
            index.deletions.delete_files(storage)
        except StorageUnavailable as err:
            failures.append(str(err))
    return failures


def _is_pending(index: Index, study_instance_uid: str) -> bool:
    return any(one.study_instance_uid == study_instance_uid for one in index.deletions.pending())


def _version(runtime: Runtime, location: Location) -> str | None:
    """Version of a stored object. Raises EditRefused if its file cannot be deleted."""
    storage = runtime.storages.get(location.storage_id)
    if storage is None:
        raise EditRefused(
            Refusal.CONFLICT,
            f"objects of the study are in storage {location.storage_id}, which the device does not have: without it "
            "their files cannot be deleted",
        )
    if storage.descriptor.read_only:
        raise EditRefused(
            Refusal.CONFLICT, f"objects of the study are in storage {location.storage_id}, which is read only"
        )
    return storage.version(location)
