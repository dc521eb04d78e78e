"""C-STORE to a destination (PS3.4 B): the objects of a retrieve, or of an export."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from pydicom.uid import UID as PydicomUID

from dcm4py_leading.dicom.scu.requestor import RequestedAssociation
from dcm4py_leading.dicom.scu.storage_association import StorageAssociation
from dcm4py_leading.dicom.upper.association import AssociationFailed, MoveOriginator
from dcm4py_leading.dicom.upper.link import LinkTimeout
from dcm4py_leading.errors import (
    DestinationUnavailable,
    SubOperationFailed,
)
from dcm4py_leading.log import foreign, word
from dcm4py_leading.model.bounds import DESTINATION_TIMEOUTS
from dcm4py_leading.model.device import ApplicationEntity, RemoteAE
from dcm4py_leading.service.retrieve.encode import PreparedObject, StoreContext

LOG = logging.getLogger(__name__)


class StoreSCU:
    """C-STORE sub-operations of one C-MOVE; implements `sub_operations.Destination`.

    Opens its association when the first object is to be sent. An association that is lost costs the object in
    flight; the next object gets a new one, and when that cannot be opened the destination is given up.
    """

    def __init__(
        self,
        local_ae: ApplicationEntity,
        remote: RemoteAE,
        contexts: Sequence[StoreContext],
        originator: MoveOriginator | None = None,
    ) -> None:
        """``originator`` is the C-MOVE, where it is one that wants it."""
        self._association = StorageAssociation(local_ae, remote, contexts)
        self._name = word(remote.ae_title)
        self._originator = originator
        self._under_way: int | None = None
        """Message ID of the C-STORE whose response is due."""
        self._settled: int | SubOperationFailed | None = None
        """That response, where it had to be taken early: the next object needs another association."""
        self._timeouts = 0
        """C-STOREs in a row to which no response came in time."""

    def accepted_transfer_syntaxes(self, sop_class_uid: str, transfer_syntax_uid: str) -> tuple[str, ...]:
        """Transfer syntaxes that the destination accepts for an object (see `sub_operations.Destination`)."""
        current = self._association.current
        if current is not None and self._under_way is not None:
            if self._association.has_proposed(sop_class_uid, transfer_syntax_uid):
                # The response that is due will tell whether the peer is still there.
                return self._accepted(current, sop_class_uid)
            try:
                self._settled = self._response(self._under_way)
            except SubOperationFailed as err:
                self._settled = err
        return self._accepted(self._opened_for(sop_class_uid, transfer_syntax_uid), sop_class_uid)

    def _accepted(self, assoc: RequestedAssociation, sop_class_uid: str) -> tuple[str, ...]:
        if assoc.refuses(sop_class_uid):
            raise SubOperationFailed(f"{self._name} does not take SOP class {foreign(PydicomUID(sop_class_uid).name)}")
        return assoc.transfer_syntaxes(sop_class_uid)

    def begin_store(self, obj: PreparedObject, message_id: int) -> None:
        """Send the C-STORE request of an object (see `sub_operations.Destination`)."""
        assoc = self._association.current or self._opened_for(obj.sop_class_uid, obj.transfer_syntax_uid)
        try:
            assoc.begin_store(obj, message_id, self._originator)
        except AssociationFailed as err:
            if isinstance(err.__cause__, LinkTimeout):
                self._timeouts += 1
            self._association.drop()
            raise SubOperationFailed(f"the destination {err}") from err
        self._under_way = message_id

    def end_store(self, message_id: int) -> int | None:
        """Status of the response (see `sub_operations.Destination`). Without a response the association is dropped."""
        if self._under_way is not None:
            return self._response(message_id)
        settled, self._settled = self._settled, None
        if isinstance(settled, SubOperationFailed):
            raise settled
        return settled

    def _response(self, message_id: int) -> int | None:
        self._under_way = None
        current = self._association.current
        if current is None:
            return None
        code = current.end_store(message_id)
        if code is not None:
            self._timeouts = 0
        else:
            self._timeouts += current.is_open  # else it has ended the association, which takes no time
            lost_by = current.lost_by
            LOG.warning("%s, C-STORE: %s: association dropped", self._name, lost_by or "no response in time")
            self._association.drop()
            if lost_by:
                raise SubOperationFailed(f"{self._name}: {lost_by}")
        return code

    def _opened_for(self, sop_class_uid: str, transfer_syntax_uid: str) -> RequestedAssociation:
        if self._timeouts >= DESTINATION_TIMEOUTS:
            raise DestinationUnavailable(
                f"move destination {self._name}: no response in time to {self._timeouts} objects in a row"
            )
        try:
            return self._association.opened_for(sop_class_uid, transfer_syntax_uid)
        except AssociationFailed as err:
            raise DestinationUnavailable(f"move destination {err}") from err

    def close(self) -> None:
        """Release the association, if there is one."""
        self._association.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()
