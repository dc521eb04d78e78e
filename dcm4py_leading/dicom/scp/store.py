"""Storage as SCP (PS3.4 B)."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator

from dcm4py_leading.dataset.scan import Buffer
from dcm4py_leading.dicom import status
from dcm4py_leading.dicom.message import Request
from dcm4py_leading.dicom.negotiation import is_storage
from dcm4py_leading.dicom.scp.acceptor import AcceptedAssociation, Outcome
from dcm4py_leading.dicom.scp.under_way import Deferred
from dcm4py_leading.errors import RequestError, StatusError, StorageUnavailable
from dcm4py_leading.log import ref, word
from dcm4py_leading.model.device import ApplicationEntity, Device
from dcm4py_leading.model.values import AETitle
from dcm4py_leading.service.proxy.forwarded_retrieve import ArrivedObject
from dcm4py_leading.service.proxy.object_check import checked_object
from dcm4py_leading.service.proxy.store_archive import StoreArchive
from dcm4py_leading.service.proxy.store_forward import archive_behind, begin_forward, excluded_senders
from dcm4py_leading.service.retrieve.encode import StoreContext, proposed_transfer_syntaxes
from dcm4py_leading.service.store import ReceivedObject, store

LOG = logging.getLogger(__name__)

_SIGN = 1.0
"""Seconds."""


def store_object(assoc: AcceptedAssociation, request: Request) -> Outcome | Deferred:
    """Serve a C-STORE: give the object to a waiting retrieve, else to the archive behind the AE, else store it.

    Answers success when the retrieve or the archive has the object, or when it is durably on disk and in the index.
    """
    came_from = _archive_of(assoc)
    arrived = None
    if _may_be_awaited(assoc, request, came_from):
        arrived = _awaited(assoc, request, came_from)
        if _is_taken(assoc, request, came_from, arrived):
            assoc.respond(request, status.SUCCESS)
            return status.SUCCESS, {"forwarded": came_from}
    if came_from in excluded_senders(assoc.local_ae):
        _require_storage(assoc, came_from)
    elif (behind := archive_behind(assoc.local_ae)) is not None:
        return _passed_on(assoc, request, behind, arrived or _arrived(assoc, request, is_asked_for=False))
    return _stored(assoc, request, request.data if arrived is None else [arrived.octets])


def _stored(assoc: AcceptedAssociation, request: Request, data: Iterable[Buffer]) -> Outcome:
    received = ReceivedObject(
        sop_class_uid=request.sop_class_uid,
        sop_instance_uid=request.sop_instance_uid,
        transfer_syntax_uid=request.transfer_syntax,
        sending=assoc.remote_peer,
        receiving=assoc.local_peer,
        data=data,
    )
    outcome = store(assoc.runtime, assoc.local_ae, received)
    assoc.respond(request, status.SUCCESS)
    return status.SUCCESS, {"study": ref(outcome.study_instance_uid), "stored": outcome.what}


def _passed_on(
    assoc: AcceptedAssociation, request: Request, behind: AETitle, arrived: ArrivedObject
) -> Outcome | Deferred:
    """Send the object on. If the peer may have several requests outstanding, its next one is taken meanwhile."""
    study = arrived.study_instance_uid
    onward = assoc.companion(_onward)
    try:
        begun = begin_forward(
            assoc.runtime,
            assoc.local_ae,
            arrived,
            sending=assoc.remote_peer,
            receiving=assoc.local_peer,
            behind=assoc.runtime.peer_of(behind),
            to=onward,
        )
    except StatusError as err:
        err.study_instance_uid = study
        raise

    def end() -> Outcome:
        try:
            with assoc.runtime.contacts.asking(assoc.local_ae.ae_title, behind, "C-STORE"):
                answer = begun.end(assoc.runtime)
        except StatusError as err:
            err.study_instance_uid = study
            raise
        assoc.respond(request, answer.status, error_comment=answer.error_comment)
        return answer.status, {
            "study": ref(study),
            "passed_on": behind,
            "transcoded": int(answer.is_transcoded),
            "leading": begun.coercer,
        }

    if assoc.requests_at_once == 1:
        return end()
    return Deferred(
        end=end,
        has_ended=lambda: onward.has_ended(begun.number),
        wait=onward.wait,
        octets=len(arrived.octets),
    )


def _onward(assoc: AcceptedAssociation) -> StoreArchive:
    """The archive behind the AE, for all objects of the association."""
    behind = archive_behind(assoc.local_ae)
    assert behind is not None  # there is always an archive: else objects are not passed on
    return assoc.runtime.open_store_archive(assoc.local_ae, behind, _contexts(assoc))


def _contexts(assoc: AcceptedAssociation) -> list[StoreContext]:
    """Presentation contexts that the objects of this association may need on the association to the archive."""
    return [
        StoreContext(context.abstract_syntax, syntaxes)
        for context in assoc.contexts
        if context.as_scp and is_storage(context.abstract_syntax)
        for syntaxes in proposed_transfer_syntaxes(context.transfer_syntax)
    ]


def _archive_of(assoc: AcceptedAssociation) -> AETitle:
    """AE title of the archive that is the peer, also if it stores under another AE title (dcmCStoreSCUOfCMoveSCP)."""
    calling = AETitle(assoc.calling_ae_title)
    return assoc.runtime.device.archive.cstore_scu_of_cmove_scp.get(calling, calling)


def _may_be_awaited(assoc: AcceptedAssociation, request: Request, scp: AETitle) -> bool:
    """True if the object may be one that a retrieve of ours asked this archive for."""
    originator, _ = request.move_originator
    if not originator and not assoc.runtime.forwards.are_expected:
        return False
    device = assoc.runtime.device
    callers = {title for ae in device.application_entities for title in _calling_titles(device, ae, scp)}
    return bool(callers) and (not originator or originator in callers)


def _is_taken(assoc: AcceptedAssociation, request: Request, scp: AETitle, arrived: ArrivedObject) -> bool:
    """Give an object to the retrieve that waits for it; False if no retrieve asked for it.

    Refuses an object of a retrieve that has ended, and one that could belong to several retrieves: the archive still
    has the object, and counts it as failed. Raises RequestError.
    """
    originator, message_id = request.move_originator
    taken = assoc.runtime.forwards.take(originator, message_id, scp, arrived)
    if taken is True:
        return True
    if taken is None and not originator:
        return False
    reason = taken or "the retrieve that it belongs to is over, or wants no more"
    LOG.warning("object from %s, study %s, is not forwarded: %s", word(scp), ref(arrived.study_instance_uid), reason)
    raise RequestError(f"not forwarded: {reason}", status=status.UNABLE_TO_PROCESS)


def _require_storage(assoc: AcceptedAssociation, came_from: AETitle) -> None:
    """Refuse an object that came from the archive behind the AE if it cannot be stored here. Raises RequestError."""
    try:
        assoc.runtime.storage_for(assoc.local_ae)
    except StorageUnavailable as err:
        reason = f"nobody asked {came_from} for it, and here is no storage"
        raise RequestError(reason, status=status.UNABLE_TO_PROCESS) from err


def _calling_titles(device: Device, ae: ApplicationEntity, scp: AETitle) -> Iterator[str]:
    """Calling AE titles with which the AE retrieves from that archive; none if it does not."""
    if scp in ae.settings.fallback_cmove_scps:
        yield ae.settings.fallback_cmove_scp_calling_aet or ae.calling_ae_title_for(scp)
    if any(scp in storage.external_retrieve_aets for storage in device.archive.storages.values()):
        yield ae.calling_ae_title_for(scp)


def _awaited(assoc: AcceptedAssociation, request: Request, scp: AETitle) -> ArrivedObject:
    """Like `_arrived`; a failure is counted by the retrieve that waits for the object."""
    try:
        return _arrived(assoc, request, is_asked_for=True, data=_followed(assoc, request, scp))
    except RequestError as err:
        originator, message_id = request.move_originator
        reason = f"{scp} sent what cannot be taken: {err}"
        assoc.runtime.forwards.refuse(originator, message_id, scp, request.sop_instance_uid, reason)
        LOG.warning("object %s from %s is refused: %s", ref(request.sop_instance_uid), word(scp), err)
        raise


def _followed(assoc: AcceptedAssociation, request: Request, scp: AETitle) -> Iterator[Buffer]:
    """Pieces of the object as they come; the retrieve that waits learns of each, so a slow object is no timeout."""
    originator, message_id = request.move_originator
    next_sign = time.monotonic() + _SIGN
    for part in request.data:
        yield part
        if (now := time.monotonic()) > next_sign:
            assoc.runtime.forwards.restart_timeout(originator, message_id, scp)
            next_sign = now + _SIGN


def _arrived(
    assoc: AcceptedAssociation, request: Request, *, is_asked_for: bool, data: Iterable[Buffer] | None = None
) -> ArrivedObject:
    """Receive the whole object. Raises StorageUnavailable, InvalidObject, ObjectMismatch."""
    whole = assoc.runtime.forwards.spool.collect(request.data if data is None else data)
    return checked_object(
        request.sop_class_uid, request.sop_instance_uid, request.transfer_syntax, whole, is_asked_for=is_asked_for
    )
