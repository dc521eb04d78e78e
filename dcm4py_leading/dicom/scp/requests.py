"""Checks of requests: the right service for the presentation context, with all that it needs."""

from __future__ import annotations

from dcm4py_leading import log
from dcm4py_leading.dicom import status
from dcm4py_leading.dicom.message import Request
from dcm4py_leading.dicom.negotiation import served_by
from dcm4py_leading.dicom.upper.dimse_message import PresentationContext
from dcm4py_leading.errors import IdentifierMismatch, RequestError
from dcm4py_leading.model import bounds


def require_service(context: PresentationContext, request: Request, *, takes_data_sets: bool) -> None:
    """Raise RequestError if the request does not fit the service of its presentation context, or is incomplete.

    ``takes_data_sets`` is false of a peer whose maximum length leaves no room for them.
    """
    if request.sop_class_uid != request.abstract_syntax or not context.as_scp:
        raise RequestError("SOP class is not that of the presentation context", status=status.SOP_CLASS_NOT_SUPPORTED)
    served = served_by(request.abstract_syntax)
    if served != request.command:
        raise RequestError(
            f"the presentation context is for {served}, not {request.command}",
            status=status.UNRECOGNIZED_OPERATION,
        )
    if request.command == "C-ECHO":
        if request.has_data_set:
            raise RequestError("a C-ECHO has no data set", status=status.MISTYPED_ARGUMENT)
    elif request.command == "C-STORE":
        if not request.sop_instance_uid:
            raise RequestError("there is no Affected SOP Instance UID", status=status.INVALID_SOP_INSTANCE)
    elif not request.has_data_set:
        raise IdentifierMismatch("there is no identifier")
    elif not takes_data_sets:
        raise RequestError(
            f"a maximum length of less than {bounds.SENT_PDU_LEAST_BYTES} is too short for data sets",
            status=status.UNABLE_TO_PROCESS,
        )


def named(request: Request, study_instance_uid: str = "") -> dict[str, object]:
    """The object of a failed C-STORE, as the log refers to it."""
    if request.command != "C-STORE":
        return {}
    study = {"study": log.ref(study_instance_uid)} if study_instance_uid else {}
    return {**study, "instance": log.ref(request.sop_instance_uid)}
