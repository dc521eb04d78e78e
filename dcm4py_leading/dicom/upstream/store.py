"""Archive to which stored objects are forwarded; implements `service.proxy.store_archive.StoreArchive`."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from dcm4py_leading.dicom import status
from dcm4py_leading.dicom.scu.requestor import RequestedAssociation
from dcm4py_leading.dicom.scu.storage_association import StorageAssociation
from dcm4py_leading.dicom.upper import command as dimse
from dcm4py_leading.dicom.upper.dimse_message import DimseMessage
from dcm4py_leading.dicom.upper.failures import AssociationFailed
from dcm4py_leading.errors import ArchiveUnavailable
from dcm4py_leading.model.device import ApplicationEntity, RemoteAE
from dcm4py_leading.service.proxy.store_archive import Answer
from dcm4py_leading.service.retrieve.encode import PreparedObject, StoreContext
from dcm4py_leading.service.retrieve.sub_operations import RetrievedObject

LOG = logging.getLogger(__name__)


class UpstreamStore:
    """One other archive, for the objects of one association with us; they are sent on one association.

    An association that the archive ended while idle is opened again. For one thread, except `interrupt`.
    """

    def __init__(self, local_ae: ApplicationEntity, remote: RemoteAE, contexts: Iterable[StoreContext]) -> None:
        """``contexts`` are those that will probably be needed."""
        self._remote = remote
        self._association = StorageAssociation(local_ae, remote, contexts)
        self._is_interrupted = False

    def store(self, obj: RetrievedObject) -> Answer:
        """Store an object (see `StoreArchive`). Raises ArchiveUnavailable, and the errors of preparing the object."""
        try:
            try:
                return self._store(obj)
            except _GoneWhileIdle as err:
                LOG.info("%s: sent once more", err)
                return self._store(obj)
        except AssociationFailed as err:
            raise ArchiveUnavailable(self._naming(err)) from err

    def _store(self, obj: RetrievedObject) -> Answer:
        assoc = self._association.opened_for(obj.sop_class_uid, obj.transfer_syntax_uid)
        accepted = assoc.transfer_syntaxes(obj.sop_class_uid)
        if not accepted:
            raise ArchiveUnavailable(
                f"{self._remote.ae_title} takes no objects of this SOP class", status=status.SOP_CLASS_NOT_SUPPORTED
            )
        with_id = assoc.next_message_id()
        prepared = obj.prepare(accepted)
        try:
            response = _exchange(assoc, prepared, with_id)
        except AssociationFailed as err:
            # An earlier object was answered, so the end of the association may have nothing to do with this one.
            is_gone = with_id > 1 and not assoc.is_open and not self._is_interrupted
            self._association.drop()
            if is_gone:
                raise _GoneWhileIdle(self._naming(err)) from err
            raise
        code = response.number(dimse.STATUS)
        assert code is not None  # _exchange has checked it
        return Answer(
            status=code,
            error_comment=response.text(dimse.ERROR_COMMENT),
            is_transcoded=prepared.is_transcoded,
        )

    def _naming(self, err: AssociationFailed) -> str:
        message = str(err)
        return message if message.startswith(self._remote.ae_title) else f"{self._remote.ae_title}: {message}"

    def interrupt(self) -> None:
        """Stop the current store and close the association; for any thread."""
        self._is_interrupted = True
        current = self._association.current
        if current is not None:
            current.interrupt()

    def close(self) -> None:
        """Release the association, if there is one."""
        self._association.close()


class _GoneWhileIdle(AssociationFailed):
    """The archive ended an association on which it had accepted objects, without an answer to the next one."""


def _exchange(assoc: RequestedAssociation, obj: PreparedObject, message_id: int) -> DimseMessage:
    """Send a C-STORE and return the response, which has a status. Raises AssociationFailed."""
    assoc.begin_store(obj, message_id, None)
    response, _ = assoc.receive()
    is_response = (
        response.number(dimse.COMMAND_FIELD) == dimse.C_STORE_RQ | dimse.RESPONSE
        and response.number(dimse.MESSAGE_ID_BEING_RESPONDED_TO) == message_id
        and response.number(dimse.STATUS) is not None
    )
    if not is_response:
        raise AssociationFailed(f"{assoc.peer}: a message came that is no response to our C-STORE")
    return response
