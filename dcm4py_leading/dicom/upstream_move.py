"""Another archive, asked by C-MOVE to send to an AE of ours; implements `service.upstream.Upstream`.

dcm4chee lets the archive send straight to the client where dcmFallbackCMoveSCPDestination is absent, and then nothing
is coerced. Here it sends to the AE that was asked.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from datetime import timedelta

from pydicom import Dataset

from dcm4py_leading.archive.normal import values_text
from dcm4py_leading.archive.query import RetrieveKeys
from dcm4py_leading.coercion.unreadable import UNREADABLE
from dcm4py_leading.dicom import command as dimse
from dcm4py_leading.dicom import status
from dcm4py_leading.dicom.association import AssociationFailed, Context, Message, seconds
from dcm4py_leading.dicom.identifier import decode
from dcm4py_leading.dicom.message import cancel_request, move_request
from dcm4py_leading.dicom.requestor import RequestedAssociation
from dcm4py_leading.dicom.scu import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, Resolve
from dcm4py_leading.dicom.upstream_find import upstream_ae
from dcm4py_leading.errors import ArchiveUnavailable
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import AETitle, Level
from dcm4py_leading.service.encode import encoded
from dcm4py_leading.service.forwards import Forward, Forwards
from dcm4py_leading.service.upstream import retrieve_identifier

LOG = logging.getLogger(__name__)

PATIENT_ROOT_MOVE, STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.1.2", "1.2.840.10008.5.1.4.1.2.2.2"
_FAILED_SOP_INSTANCE_UID_LIST = 0x00080058
_LOOK = 0.5
"""Seconds between looks whether the retrieve was given up."""
_GOODBYE = 5.0
"""Seconds that the archive gets to answer a C-CANCEL."""
_NO_PATIENCE = timedelta(seconds=60)


class UpstreamMove:
    """One other archive, for the clients of one AE of ours."""

    def __init__(self, scp: AETitle, ae: ApplicationEntity, resolve: Resolve, forwards: Forwards) -> None:
        self._scp = scp
        self._resolve = resolve
        self._forwards = forwards
        self._destination = ae.settings.fallback_cmove_scp_destination or ae.ae_title
        self._calling = ae.settings.fallback_cmove_scp_calling_aet

    def fetch(self, local_ae: ApplicationEntity, keys: RetrieveKeys) -> Forward:
        """See `Upstream`. Raises ArchiveUnavailable."""
        remote = upstream_ae(self._scp, self._resolve)
        sop_class_uid = PATIENT_ROOT_MOVE if keys.level is Level.PATIENT else STUDY_ROOT_MOVE
        message_id = self._forwards.next_message_id()
        calling = self._calling or local_ae.calling_ae_title_for(remote.ae_title)
        try:
            proposal = (sop_class_uid, (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN))
            assoc = RequestedAssociation(local_ae, remote, [proposal], calling=calling)
        except AssociationFailed as err:
            raise ArchiveUnavailable(str(err)) from err
        if not assoc.contexts:
            assoc.release()
            raise ArchiveUnavailable(f"{self._scp} accepts no C-MOVE in this information model")
        patience = assoc.connection.retrieve_timeout or assoc.connection.response_timeout or _NO_PATIENCE
        forward = Forward(
            scp=self._scp,
            originator=calling,
            message_id=message_id,
            studies=frozenset(keys.study_instance_uids),
            patience=seconds(patience),
            asked=keys,
        )
        self._forwards.add(forward)
        move = _Move(assoc, assoc.contexts[0], forward, self._forwards)
        try:
            move.begin(sop_class_uid, self._destination, retrieve_identifier(keys))
        except AssociationFailed as err:
            self._forwards.remove(forward)
            assoc.abort()
            raise ArchiveUnavailable(str(err)) from err
        threading.Thread(target=move.follow, name=f"C-MOVE responses of {self._scp}", daemon=True).start()
        return forward


class _Move:
    """One C-MOVE, from the request to its final response."""

    def __init__(self, assoc: RequestedAssociation, context: Context, forward: Forward, forwards: Forwards) -> None:
        self._assoc = assoc
        self._context = context
        self._forward = forward
        self._forwards = forwards

    def begin(self, sop_class_uid: str, destination: AETitle, identifier: Dataset) -> None:
        """Send the request. Raises AssociationFailed."""
        keys = encoded(identifier, self._context.transfer_syntax)
        self._assoc.send(self._context, move_request(sop_class_uid, self._forward.message_id, destination), keys)

    def follow(self) -> None:
        """Receive the responses until the last one, or until nobody waits for it."""
        try:
            self._receive_all()
            self._assoc.release()
        except AssociationFailed as err:
            self._forward.end(failure=ArchiveUnavailable(str(err)))
            self._assoc.abort()
        except Exception as err:
            self._forward.end(failure=ArchiveUnavailable(f"internal error ({type(err).__name__})"))
            self._assoc.abort()
            raise
        finally:
            self._forwards.remove(self._forward)

    def _receive_all(self) -> None:
        gives_up_at: float | None = None
        while True:
            if self._forward.is_closed and gives_up_at is None:
                gives_up_at = time.monotonic() + _GOODBYE
                self._assoc.send(self._context, cancel_request(self._forward.message_id))
            if gives_up_at is not None and time.monotonic() > gives_up_at:
                raise AssociationFailed(f"{self._forward.scp} does not heed a C-CANCEL")
            received = self._assoc.poll(_LOOK)
            if received is None:
                continue
            response, data = received
            if response.number(dimse.MESSAGE_ID_BEING_RESPONDED_TO) != self._forward.message_id:
                raise AssociationFailed(f"{self._forward.scp}: a message came that is no response to our C-MOVE")
            code = response.number(dimse.STATUS)
            if code != status.PENDING:
                self._end(code, response, data)
                return
            counts = _counts(response)
            self._forward.tell(sum(counts.values()))

    def _end(self, code: int | None, response: Message, data: bytes | None) -> None:
        """The final response: what has failed there does not come."""
        is_done = code is not None and (code in (status.SUCCESS, status.CANCEL) or 0xB000 <= code <= 0xBFFF)
        failure = None
        if not is_done:
            comment = response.text(dimse.ERROR_COMMENT)
            text = "no status" if code is None else f"0x{code:04X}"
            failure = ArchiveUnavailable(
                f"{self._forward.scp}: C-MOVE ended with status {text}{f': {comment}' if comment else ''}",
                status=code or None,
            )
        self._forward.end(failed=self._failed_uids(data), failure=failure, total=sum(_counts(response).values()))

    def _failed_uids(self, data: bytes | None) -> list[str]:
        if data is None:
            return []
        try:
            return values_text(decode(data, self._context.transfer_syntax), _FAILED_SOP_INSTANCE_UID_LIST)
        except UNREADABLE:
            return []


def _counts(response: Message) -> Mapping[int, int]:
    return {
        element: response.number(element) or 0
        for element in (dimse.REMAINING, dimse.COMPLETED, dimse.FAILED, dimse.WARNING)
    }
