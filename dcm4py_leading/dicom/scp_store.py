"""Storage as SCP (PS3.4 B)."""

from __future__ import annotations

import logging

from dcm4py_leading.coercion.scan import Unscannable, encoding_of, scan
from dcm4py_leading.dicom import status
from dcm4py_leading.dicom.acceptor import AcceptedAssociation, Outcome
from dcm4py_leading.dicom.message import Request
from dcm4py_leading.errors import RequestError
from dcm4py_leading.log import ref
from dcm4py_leading.service.forwards import Arrived
from dcm4py_leading.service.store import ReceivedObject, store

LOG = logging.getLogger(__name__)


def store_object(assoc: AcceptedAssociation, request: Request) -> Outcome:
    """C-STORE: success is answered when the object is safely on disk and in the index."""
    if assoc.runtime.forwards.are_known:
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
    """Give an object to the retrieve that waits for it; None where none does. Raises RequestError."""
    forwards = assoc.runtime.forwards
    scp_of = assoc.runtime.device.archive.cstore_scu_of_cmove_scp
    calling = assoc.calling_ae_title
    if forwards.have_ended(*request.move_originator):
        raise _unwanted(calling, "the retrieve that it names has ended")
    forward, is_claimed = forwards.named(*request.move_originator), False
    if forward is None:
        if not forwards.waits_for(calling, scp_of):
            return None
        if forwards.names_another(*request.move_originator):
            LOG.info("object from %s names a retrieve of %s, not ours: stored", calling, request.move_originator[0])
            return None
    data = b"".join(bytes(part) for part in request.data)
    study = _study_of(data, request.transfer_syntax)
    if forward is None:
        guess = forwards.guessed(calling, study, request.sop_instance_uid, scp_of)
        if isinstance(guess, str):
            raise _unwanted(calling, guess)
        forward, is_claimed = guess
    elif study and forward.studies and study not in forward.studies:
        raise _unwanted(calling, "the retrieve that it names is of another study")
    arrived = Arrived(
        sop_class_uid=request.sop_class_uid,
        sop_instance_uid=request.sop_instance_uid,
        transfer_syntax_uid=request.transfer_syntax,
        data=data,
    )
    if not forward.offer(arrived, is_claimed=is_claimed):
        raise _unwanted(calling, "the retrieve that it belongs to has ended")
    assoc.respond(request, status.SUCCESS)
    return status.SUCCESS, {"forwarded": forward.scp}


def _unwanted(calling: str, why: str) -> RequestError:
    LOG.warning("object from %s refused: %s", calling, why)
    return RequestError(f"nobody waits for this object: {why}", status=status.UNABLE_TO_PROCESS)


def _study_of(data: bytes, transfer_syntax_uid: str) -> str:
    encoding = encoding_of(transfer_syntax_uid)
    try:
        spans = scan(data, encoding, stop_before=_STUDY_INSTANCE_UID + 1)[0] if encoding is not None else {}
    except Unscannable:
        return ""
    span = spans.get(_STUDY_INSTANCE_UID)
    return "" if span is None else data[span[1] : span[2]].decode("ascii", "replace").rstrip("\0 ")


_STUDY_INSTANCE_UID = 0x0020000D
