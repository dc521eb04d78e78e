"""One C-FIND on an association of ours: the request, its pending responses, its end (PS3.7 9.1.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pydicom import Dataset
from pynetdicom.dimse_primitives import C_FIND
from pynetdicom.dsutils import decode, encode

from dcm4py_leading.dicom import status
from dcm4py_leading.dicom.message import find_request
from dcm4py_leading.dicom.requestor import AssociationFailed, RequestedAssociation


class FindRefused(AssociationFailed):
    """The C-FIND ended with a status other than 0x0000; the association itself can be used further."""


def find_responses(
    assoc: RequestedAssociation, sop_class_uid: str, identifier: Dataset, remaining: Callable[[], float | None]
) -> Iterator[Dataset]:
    """The pending responses of one C-FIND, the only presentation context of whose association is for it.

    ``remaining`` says how many seconds each response may take. Raises AssociationFailed, FindRefused.
    """
    contexts = assoc.accepted_contexts
    if not contexts:
        raise AssociationFailed("the C-FIND was not accepted")
    context = contexts[0]
    syntax = context.transfer_syntax[0]
    encoded = encode(identifier, syntax.is_implicit_VR, syntax.is_little_endian)
    if encoded is None:
        raise AssociationFailed("the query identifier cannot be encoded")
    message_id = assoc.next_message_id()
    assoc.send(find_request(sop_class_uid, encoded, message_id), context.context_id or 0)
    while True:
        response = assoc.receive(remaining())
        if not isinstance(response, C_FIND) or response.MessageIDBeingRespondedTo != message_id:
            raise AssociationFailed("a message came that is no response to our C-FIND")
        code = response.Status
        if code == status.SUCCESS:
            return
        if code is None:
            raise AssociationFailed("a C-FIND response came without a status")
        if code not in (status.PENDING, status.PENDING_WITH_UNSUPPORTED_KEYS):
            raise FindRefused(f"C-FIND ended with status 0x{code:04X}")
        if response.Identifier is None:
            raise AssociationFailed("a pending C-FIND response came without an identifier")
        yield decode(response.Identifier, syntax.is_implicit_VR, syntax.is_little_endian)
