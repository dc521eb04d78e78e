"""An association for C-STORE that is opened anew when an object needs presentation contexts that were not proposed."""

from __future__ import annotations

from collections.abc import Iterable

from dcm4py_leading.dicom.scu.requestor import Proposal, RequestedAssociation
from dcm4py_leading.dicom.upper.pdu import MAX_CONTEXTS
from dcm4py_leading.model.device import ApplicationEntity, RemoteAE
from dcm4py_leading.service.retrieve.encode import StoreContext, proposed_transfer_syntaxes


class StorageAssociation:
    """Opened for the first object; opened again after a loss, or for an object that needs further contexts."""

    def __init__(
        self,
        local_ae: ApplicationEntity,
        remote: RemoteAE,
        contexts: Iterable[StoreContext],
        *,
        windowed: bool = False,
    ) -> None:
        """``contexts`` will probably be needed; ``windowed`` is that of `RequestedAssociation`."""
        self._windowed = windowed
        self._local_ae = local_ae
        self._remote = remote
        self._wanted = list(contexts)
        """Those of the objects that came last are first."""
        self._proposed: frozenset[tuple[str, str]] = frozenset()
        self.current: RequestedAssociation | None = None
        """The association, if there is one."""

    def has_proposed(self, sop_class_uid: str, transfer_syntax_uid: str) -> bool:
        """True if the contexts that an object needs were already proposed."""
        return (sop_class_uid, transfer_syntax_uid) in self._proposed

    def opened_for(self, sop_class_uid: str, transfer_syntax_uid: str) -> RequestedAssociation:
        """The association, after the contexts that an object needs were proposed. Raises AssociationFailed."""
        is_proposed = self.has_proposed(sop_class_uid, transfer_syntax_uid)
        if self.current is not None and self.current.is_open and is_proposed:
            return self.current
        self.close()
        needed = [StoreContext(sop_class_uid, only) for only in proposed_transfer_syntaxes(transfer_syntax_uid)]
        self._wanted = [*needed, *(context for context in self._wanted if context not in needed)]
        proposals: list[Proposal] = [(one.sop_class_uid, one.transfer_syntax_uids) for one in self._wanted]
        del proposals[MAX_CONTEXTS:]
        self._proposed = frozenset((sop_class, syntax) for sop_class, syntaxes in proposals for syntax in syntaxes)
        self.current = RequestedAssociation(
            self._local_ae, self._remote, proposals, for_storage=True, windowed=self._windowed
        )
        return self.current

    def drop(self) -> None:
        """Abort the association; the next object opens another one."""
        if self.current is not None:
            self.current.abort()
            self.current = None

    def close(self) -> None:
        """Release the association, if one is open."""
        if self.current is not None:
            self.current.release()
            self.current = None
