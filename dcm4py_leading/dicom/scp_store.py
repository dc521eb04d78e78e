"""Storage as SCP (PS3.4 B)."""

from __future__ import annotations

from dcm4py_leading.dicom import status
from dcm4py_leading.dicom.acceptor import AcceptedAssociation, Outcome
from dcm4py_leading.dicom.message import Request
from dcm4py_leading.log import ref
from dcm4py_leading.service.store import ReceivedObject, store


def store_object(assoc: AcceptedAssociation, request: Request) -> Outcome:
    """C-STORE: success is answered when the object is safely on disk and in the index."""
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
