"""Storage as SCP (PS3.4 B)."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from dcm4py_leading.dicom import status
from dcm4py_leading.dicom.acceptor import AcceptedAssociation, Outcome
from dcm4py_leading.dicom.arriving import study_of
from dcm4py_leading.dicom.message import Request
from dcm4py_leading.errors import RequestError
from dcm4py_leading.log import ref
from dcm4py_leading.model.device import ApplicationEntity, Device
from dcm4py_leading.model.values import AETitle
from dcm4py_leading.service.forwards import Arrived
from dcm4py_leading.service.store import ReceivedObject, store

LOG = logging.getLogger(__name__)


def store_object(assoc: AcceptedAssociation, request: Request) -> Outcome:
    """C-STORE: success is answered when the object is safely on disk and in the index."""
    if assoc.runtime.forwards.are_running or request.move_originator[0]:
        passed = _passed_on(assoc, request)
        if passed is not None:
            return passed
    received = ReceivedObject(
        sop_class_uid=request.sop_class_uid,
        sop_instance_uid=request.sop_instance_uid,
        transfer_syntax_uid=request.transfer_syntax,
        sending=assoc.remote_peer,
        receiving=assoc.local_peer,
        data=request.data,
    )
    outcome = store(assoc.runtime, assoc.local_ae, received)
    assoc.respond(request, status.SUCCESS)
    return status.SUCCESS, {"study": ref(outcome.study_instance_uid), "stored": outcome.what}


def _passed_on(assoc: AcceptedAssociation, request: Request) -> Outcome | None:
    """Give an object to the retrieve that waits for it; None where it is to be stored."""
    device = assoc.runtime.device
    scp = device.archive.cstore_scu_of_cmove_scp.get(AETitle(assoc.calling_ae_title), assoc.calling_ae_title)
    callers = {title for ae in device.application_entities for title in _calling_titles(device, ae, AETitle(scp))}
    originator, message_id = request.move_originator
    if not callers or (originator and originator not in callers):
        return None  # it comes from elsewhere, or somebody else lets it come
    data = assoc.runtime.forwards.spool.collect(request.data)
    arrived = Arrived(
        sop_class_uid=request.sop_class_uid,
        sop_instance_uid=request.sop_instance_uid,
        transfer_syntax_uid=request.transfer_syntax,
        data=data,
        study_instance_uid=study_of(data, request.transfer_syntax),
    )
    taken = assoc.runtime.forwards.take(originator, message_id, scp, arrived)
    if taken is True:
        assoc.respond(request, status.SUCCESS)
        return status.SUCCESS, {"forwarded": scp}
    reason = taken if isinstance(taken, str) else "the retrieve that it belongs to wants no more"
    LOG.warning("object from %s, study %s, is not forwarded: %s", scp, ref(arrived.study_instance_uid), reason)
    raise RequestError(f"not forwarded: {reason}", status=status.UNABLE_TO_PROCESS)


def _calling_titles(device: Device, ae: ApplicationEntity, scp: AETitle) -> Iterator[str]:
    """As whom the AE asks that archive for what is not here, or no longer; none where it does not ask it."""
    if scp in ae.settings.fallback_cmove_scps:
        yield ae.settings.fallback_cmove_scp_calling_aet or ae.calling_ae_title_for(scp)
    if any(scp in storage.external_retrieve_aets for storage in device.archive.storages.values()):
        yield ae.calling_ae_title_for(scp)
