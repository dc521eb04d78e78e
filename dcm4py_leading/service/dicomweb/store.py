"""STOW-RS (PS3.18 10.5): objects of a request, each of which becomes what a C-STORE would have made of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial

from pydicom.uid import UID

from dcm4py_leading.errors import (
    ConfigUnavailable,
    DependencyError,
    InvalidObject,
    ObjectMismatch,
    RequestBrokenOff,
    RequestError,
    StatusError,
    StorageUnavailable,
)
from dcm4py_leading.log import ref, word
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import AETitle, TransferRole
from dcm4py_leading.service.dicomweb.bulk_data import ToldObjects
from dcm4py_leading.service.dicomweb.multipart import MalformedBody, Part, TooMuch, read_parts
from dcm4py_leading.service.dicomweb.sent_object import DICOM, SentObject, sent_object
from dcm4py_leading.service.dicomweb.stored import StoredInstance, StoreOutcome, WantedStore
from dcm4py_leading.service.dicomweb.web_request import Ended, asked_ae
from dcm4py_leading.service.proxy.object_check import checked_object
from dcm4py_leading.service.proxy.store_archive import StoreArchive
from dcm4py_leading.service.proxy.store_forward import archive_behind, forward_object
from dcm4py_leading.service.runtime import Runtime
from dcm4py_leading.service.store import ReceivedObject, store

LOG = logging.getLogger(__name__)

SERVICE = "STOW-RS"
_SUCCESS, _COERCED, _PROCESSING_FAILURE = 0x0000, 0xB000, 0x0110
_SOP_CLASS_NOT_SUPPORTED, _TRANSFER_SYNTAX_NOT_SUPPORTED = 0x0122, 0xC122
"""PS3.18 table I.2-2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """An object of a request, before it is looked at."""

    number: int
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    sent: Callable[[], SentObject]
    """Raises InvalidObject."""


def store_objects(runtime: Runtime, wanted: WantedStore, body: Iterator[bytes]) -> StoreOutcome:
    """Store what a body holds, one object after the other; when this returns, what is told as stored is durable.

    Raises UnknownAE; RequestBrokenOff: the objects before are stored, and of the one that arrived nothing is left;
    StorageUnavailable where there is no room for bulk data, before anything is stored.
    """
    ae = asked_ae(runtime, wanted.request)
    instances: list[StoredInstance] = []
    fault: Exception | None = None
    try:
        with closing(_Keeper(runtime, ae, wanted)) as keeper:
            for source in _sources(runtime, wanted, body):
                instances.append(keeper.keep(source))
    except (MalformedBody, TooMuch, RequestBrokenOff, StorageUnavailable) as err:
        LOG.warning("%s from %s: after %d objects: %s", SERVICE, word(wanted.request.client), len(instances), err)
        if isinstance(err, StatusError):
            raise
        fault = err
    return StoreOutcome(
        instances=tuple(instances),
        fault="" if fault is None else str(fault),
        is_too_much=isinstance(fault, TooMuch),
    )


def _sources(runtime: Runtime, wanted: WantedStore, body: Iterator[bytes]) -> Iterator[_Source]:
    """The objects of a body, each to be read before the next one."""
    if wanted.media_type == DICOM:
        for part in _parts(wanted, body):
            yield _Source(number=part.number, sent=partial(sent_object, part))
        return
    with closing(ToldObjects(runtime.forwards.spool.file())) as told:
        for part in _parts(wanted, body):
            told.add(part)
        for number, obj in enumerate(told.objects(), 1):
            uids = obj.sop_class_uid, obj.sop_instance_uid
            yield _Source(number=number, sop_class_uid=uids[0], sop_instance_uid=uids[1], sent=obj.sent)


def _parts(wanted: WantedStore, body: Iterator[bytes]) -> Iterator[Part]:
    if wanted.boundary:
        return read_parts(body, wanted.boundary)
    return iter([Part(number=1, headers={"content-type": wanted.media_type}, data=body)])


class _Keeper:
    """Keeps the objects of one request, here or at the archive behind the AE."""

    def __init__(self, runtime: Runtime, ae: ApplicationEntity, wanted: WantedStore) -> None:
        self._runtime = runtime
        self._ae = ae
        self._wanted = wanted
        self._sending = wanted.request.client_peer
        self._receiving = wanted.request.own_peer(ae)
        self._behind = archive_behind(ae)
        self._onward: StoreArchive | None = None

    def close(self) -> None:
        if self._onward is not None:
            self._onward.close()

    def keep(self, source: _Source) -> StoredInstance:
        """Outcome of an object. Raises what reading it raises."""
        ended = Ended(SERVICE, self._runtime, self._wanted.request, self._ae)
        kept = StoredInstance(sop_class_uid=source.sop_class_uid, sop_instance_uid=source.sop_instance_uid)
        try:
            sent = source.sent()
            kept = StoredInstance(sop_class_uid=sent.sop_class_uid, sop_instance_uid=sent.sop_instance_uid)
            _require_accepted(self._ae, sent)
            kept, details = self._stored(sent) if self._behind is None else self._passed_on(sent, self._behind)
            ended.tell(kept.status, details)
        except RequestBrokenOff as err:
            ended.tell(err.status, {**_study(err), "ended": "the client is gone"})
            raise
        except (MalformedBody, TooMuch):
            ended.tell(InvalidObject.status, {"ended": "the body cannot be read"})
            raise
        except (StatusError, ConfigUnavailable) as err:
            level = logging.ERROR if isinstance(err, DependencyError | ConfigUnavailable) else logging.WARNING
            LOG.log(level, "%s from %s, object %d: %s", SERVICE, word(self._wanted.request.client), source.number, err)
            code = err.status if isinstance(err, StatusError) else _PROCESSING_FAILURE
            ended.tell(code, _study(err) if isinstance(err, StatusError) else {})
            kept = replace(kept, status=code)
        return kept

    def _stored(self, sent: SentObject) -> tuple[StoredInstance, dict[str, object]]:
        stored = store(
            self._runtime,
            self._ae,
            ReceivedObject(
                sop_class_uid=sent.sop_class_uid,
                sop_instance_uid=sent.sop_instance_uid,
                transfer_syntax_uid=sent.transfer_syntax_uid,
                sending=self._sending,
                receiving=self._receiving,
                data=sent.data,
                study_instance_uid=self._wanted.study_instance_uid,
            ),
        )
        kept = StoredInstance(
            sop_class_uid=stored.sop_class_uid,
            sop_instance_uid=stored.sop_instance_uid,
            study_instance_uid=stored.study_instance_uid,
            series_instance_uid=stored.series_instance_uid,
            status=_COERCED if stored.is_coerced else _SUCCESS,
            is_stored=True,
        )
        return kept, {"study": ref(stored.study_instance_uid), "stored": stored.what}

    def _passed_on(self, sent: SentObject, behind: AETitle) -> tuple[StoredInstance, dict[str, object]]:
        whole = self._runtime.forwards.spool.collect(sent.data)
        arrived = checked_object(
            sent.sop_class_uid, sent.sop_instance_uid, sent.transfer_syntax_uid, whole, is_asked_for=False
        )
        study = arrived.study_instance_uid
        if self._wanted.study_instance_uid not in (None, study):
            mismatch = ObjectMismatch("the data set's StudyInstanceUID is not that of the URL")
            mismatch.study_instance_uid = study
            raise mismatch
        if self._onward is None:
            self._onward = self._runtime.open_store_archive(self._ae, behind, [])
        try:
            with self._runtime.contacts.asking(self._ae.ae_title, behind, "C-STORE"):
                answer, coercer = forward_object(
                    self._runtime,
                    self._ae,
                    arrived,
                    sending=self._sending,
                    receiving=self._receiving,
                    behind=self._runtime.peer_of(behind),
                    to=self._onward,
                )
        except StatusError as err:
            err.study_instance_uid = study
            raise
        kept = StoredInstance(
            sop_class_uid=sent.sop_class_uid,
            sop_instance_uid=sent.sop_instance_uid,
            study_instance_uid=study,
            series_instance_uid=arrived.series_instance_uid,
            status=answer.status,
            is_stored=_has_stored(answer.status),
        )
        details = {
            "study": ref(study),
            "passed_on": behind,
            "transcoded": int(answer.is_transcoded),
            "leading": coercer,
        }
        return kept, details


def _require_accepted(ae: ApplicationEntity, sent: SentObject) -> None:
    """Refuse what an association would have refused. Raises RequestError."""
    syntaxes = {
        str(syntax)
        for capability in ae.transfer_capabilities
        if capability.transfer_role is TransferRole.SCP and capability.sop_class == sent.sop_class_uid
        for syntax in capability.transfer_syntaxes
    }
    uid = UID(sent.sop_class_uid)
    if not syntaxes or (not uid.is_private and "Storage" not in uid.name):
        reason = f"AE {ae.ae_title} takes no objects of SOP class {word(sent.sop_class_uid)}"
        raise RequestError(reason, status=_SOP_CLASS_NOT_SUPPORTED)
    if sent.transfer_syntax_uid not in syntaxes:
        reason = f"AE {ae.ae_title} takes no such objects in transfer syntax {word(sent.transfer_syntax_uid)}"
        raise RequestError(reason, status=_TRANSFER_SYNTAX_NOT_SUPPORTED)


def _has_stored(status: int) -> bool:
    """True for success and warnings (PS3.7 C.1, C.4)."""
    return status in (_SUCCESS, 0x0001, 0x0107, 0x0116) or 0xB000 <= status <= 0xBFFF


def _study(err: StatusError) -> dict[str, object]:
    return {"study": ref(err.study_instance_uid)} if err.study_instance_uid else {}
