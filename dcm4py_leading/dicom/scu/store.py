"""C-STORE to a destination (PS3.4 B): the objects of a retrieve, or of an export."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from pydicom.uid import UID as PydicomUID

from dcm4py_leading.dicom.scu.requestor import RequestedAssociation
from dcm4py_leading.dicom.scu.storage_association import StorageAssociation
from dcm4py_leading.dicom.scu.stores_under_way import StoresUnderWay
from dcm4py_leading.dicom.upper.dimse_message import MoveOriginator
from dcm4py_leading.dicom.upper.failures import AssociationFailed
from dcm4py_leading.dicom.upper.link import LinkTimeout
from dcm4py_leading.errors import (
    DestinationUnavailable,
    StatusError,
    SubOperationFailed,
)
from dcm4py_leading.log import foreign, word
from dcm4py_leading.model.bounds import DESTINATION_TIMEOUTS
from dcm4py_leading.model.device import ApplicationEntity, RemoteAE
from dcm4py_leading.service.retrieve.encode import PreparedObject, StoreContext
from dcm4py_leading.service.retrieve.sub_operations import Ending

LOG = logging.getLogger(__name__)


class StoreSCU:
    """C-STORE sub-operations of one C-MOVE; implements `sub_operations.Destination`.

    Opens its association for the first object. If the association is lost, the outstanding objects have failed and the
    next object opens a new one; if this cannot be opened, the destination is given up.
    """

    def __init__(
        self,
        local_ae: ApplicationEntity,
        remote: RemoteAE,
        contexts: Sequence[StoreContext],
        originator: MoveOriginator | None = None,
    ) -> None:
        """``originator`` is the C-MOVE to name in the C-STORE requests, if any."""
        self._association = StorageAssociation(local_ae, remote, contexts, windowed=True)
        self._name = word(remote.ae_title)
        self._originator = originator
        self._under_way = StoresUnderWay()
        self._timeouts = 0
        """Waits in a row in which no response came in time."""
        self.window = 1
        """Objects that may be under way at once (see `sub_operations.Destination`)."""

    def accepted_transfer_syntaxes(self, sop_class_uid: str, transfer_syntax_uid: str) -> tuple[str, ...]:
        """Transfer syntaxes that the destination accepts for an object (see `sub_operations.Destination`)."""
        current = self._association.current
        if current is not None and self._under_way.due:
            if self._association.has_proposed(sop_class_uid, transfer_syntax_uid):
                # The outstanding responses will show if the peer is still connected.
                return self._accepted(current, sop_class_uid)
            while self._under_way.due:
                self._await_response()
        return self._accepted(self._opened_for(sop_class_uid, transfer_syntax_uid), sop_class_uid)

    def _accepted(self, assoc: RequestedAssociation, sop_class_uid: str) -> tuple[str, ...]:
        if assoc.refuses(sop_class_uid):
            raise SubOperationFailed(f"{self._name} does not take SOP class {foreign(PydicomUID(sop_class_uid).name)}")
        return assoc.transfer_syntaxes(sop_class_uid)

    def begin_store(self, obj: PreparedObject, message_id: int) -> None:
        """Send the C-STORE request of an object (see `sub_operations.Destination`)."""
        assoc = self._association.current
        if assoc is None:  # lost since the object was prepared: the new association may accept less
            assoc = self._opened_for(obj.sop_class_uid, obj.transfer_syntax_uid)
            if obj.transfer_syntax_uid not in self._accepted(assoc, obj.sop_class_uid):
                raise SubOperationFailed(f"{self._name} does not take the object on a new association")
        try:
            assoc.begin_store(obj, message_id, self._originator)
        except AssociationFailed as err:
            if isinstance(err.__cause__, LinkTimeout):
                self._timeouts += 1
            failure = SubOperationFailed(f"the destination {err}")
            self._end_early(assoc, failure)
            raise failure from err
        except StatusError as err:
            if not assoc.is_open:  # in the middle of an object, only an abort is possible
                self._end_early(assoc, SubOperationFailed(f"{self._name}: aborted, as another object failed: {err}"))
            raise
        self._under_way.due.add(message_id)

    def end_store(self) -> Ending:
        """Wait for the next C-STORE to end (see `Destination`). Without a response, drop the association."""
        if not self._under_way.ended:
            self._await_response()
        return self._under_way.ended.popleft()

    def _await_response(self) -> None:
        current = self._association.current
        if current is None:
            self._under_way.fail(None)
        elif self._under_way.take(current.store_response()):
            self._timeouts = 0
        else:
            self._timeouts += current.is_open  # else the peer has ended the association, and releasing takes no time
            lost_by = current.lost_by
            LOG.warning("%s, C-STORE: %s: association dropped", self._name, lost_by or "no response in time")
            self._lost(SubOperationFailed(f"{self._name}: {lost_by}") if lost_by else None)

    def _end_early(self, assoc: RequestedAssociation, failure: SubOperationFailed) -> None:
        """Drop an unusable association; responses that came before still count."""
        while self._under_way.due and self._under_way.take(assoc.store_response(waits=False)):
            pass
        self._lost(failure)

    def _lost(self, failure: SubOperationFailed | None) -> None:
        self._association.drop()
        self._under_way.fail(failure)

    def _opened_for(self, sop_class_uid: str, transfer_syntax_uid: str) -> RequestedAssociation:
        if self._timeouts >= DESTINATION_TIMEOUTS:
            raise DestinationUnavailable(
                f"move destination {self._name}: no response in time, {self._timeouts} times in a row"
            )
        try:
            opened = self._association.opened_for(sop_class_uid, transfer_syntax_uid)
        except AssociationFailed as err:
            raise DestinationUnavailable(f"move destination {err}") from err
        self.window = opened.window
        return opened

    def close(self) -> None:
        """Release the association, if one is open."""
        self._association.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()
