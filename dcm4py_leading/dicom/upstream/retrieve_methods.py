"""Retrieve methods for another archive: C-GET on our own association, or C-MOVE to an AE of ours.

For a C-GET we must propose beforehand the presentation contexts in which the archive may send (PS3.4 C.4.3). So we
query the SOP classes and propose each of them with every transfer syntax that our AE accepts, one context for each:
then the archive can send its objects unchanged. If the SOP classes are not known, or need too many contexts, C-MOVE
comes first. If an archive refuses one method, the other one is tried, and objects that did not come by C-GET are
retrieved by C-MOVE.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dcm4py_leading.dicom.message import COMMANDS, get_request, move_request
from dcm4py_leading.dicom.negotiation import accepted_storage
from dcm4py_leading.dicom.scu.leading import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from dcm4py_leading.dicom.scu.requestor import Proposal, RequestedAssociation
from dcm4py_leading.dicom.upper import command as dimse
from dcm4py_leading.dicom.upper.command import Command
from dcm4py_leading.dicom.upper.dimse_message import PresentationContext
from dcm4py_leading.dicom.upper.failures import AssociationFailed
from dcm4py_leading.dicom.upper.pdu import MAX_CONTEXTS
from dcm4py_leading.dicom.upstream.content import Content
from dcm4py_leading.model.device import ApplicationEntity, RemoteAE
from dcm4py_leading.model.values import AETitle, Level

_PATIENT_ROOT = ("1.2.840.10008.5.1.4.1.2.1.2", "1.2.840.10008.5.1.4.1.2.1.3")
_STUDY_ROOT = ("1.2.840.10008.5.1.4.1.2.2.2", "1.2.840.10008.5.1.4.1.2.2.3")
"""C-MOVE and C-GET."""
_UNCOMPRESSED = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
_ROOM = MAX_CONTEXTS - 2
"""For storage, beside C-GET and C-MOVE."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingRetrieve:
    """An association, and the request to send in one of its contexts."""

    assoc: RequestedAssociation
    context: PresentationContext
    request: Command

    @property
    def name(self) -> str:
        """C-GET or C-MOVE."""
        return COMMANDS[int(self.request[dimse.COMMAND_FIELD])]

    @property
    def is_get(self) -> bool:
        """True if objects come on the same association."""
        return self.request[dimse.COMMAND_FIELD] == dimse.C_GET_RQ


class RetrieveMethods:
    """The methods of one retrieve; each is tried once."""

    def __init__(
        self,
        local_ae: ApplicationEntity,
        remote: RemoteAE,
        *,
        level: Level,
        calling: AETitle,
        destination: AETitle,
        message_id: int,
        content: Content,
        may_get: bool,
        is_relational: bool = False,
    ) -> None:
        """``content`` is expected to come; ``may_get`` is False if the archive does not support C-GET.

        ``is_relational``: the retrieve needs relational retrieval. The archive must accept it, unless our AE also
        accepts such requests without negotiation.
        """
        self._relational = is_relational
        self._is_lenient = local_ae.settings.relational_retrieve_negotiation_lenient
        self.is_refused_as_relational = False
        """True if the archive does not grant it."""
        self._local_ae = local_ae
        self._remote = remote
        self._calling = calling
        move_uid, self._get_uid = _PATIENT_ROOT if level is Level.PATIENT else _STUDY_ROOT
        self._move = move_request(move_uid, message_id, destination)
        self._get = get_request(self._get_uid, message_id)
        self._move_uid = move_uid
        self._storage = _contexts_for(local_ae, content) if may_get else ()
        self._left = {self._move_uid, self._get_uid} if may_get else {self._move_uid}
        self.does_get: bool | None = None
        """True if the archive does C-GET; None if it has not been asked."""

    def first(self) -> PendingRetrieve:
        """The best method. Raises AssociationFailed."""
        if not self._storage:
            return self.other(None)
        both = [(self._get_uid, _UNCOMPRESSED), (self._move_uid, _UNCOMPRESSED), *self._storage]
        try:
            assoc = self._open(both, {sop_class for sop_class, _ in self._storage})
        except AssociationFailed:  # the reason may be the number of contexts, or the roles
            self._left.discard(self._get_uid)
            self.does_get = False
            return self.other(None)
        self.does_get = self._get_uid in {context.abstract_syntax for context in assoc.contexts}
        is_able = any(context.as_scp for context in assoc.contexts)  # else it accepted no context to send in
        order = (self._get_uid, self._move_uid)
        for sop_class_uid in order if is_able else reversed(order):
            asking = self._on(assoc, sop_class_uid)
            if asking is not None:
                return asking
        assoc.release()
        raise AssociationFailed(f"{self._remote.ae_title} accepts neither C-GET nor C-MOVE in this information model")

    def other(self, before: RequestedAssociation | None) -> PendingRetrieve:
        """The other method, if possible on the association of ``before``, which is else released.

        Raises AssociationFailed; then the association of ``before`` is still open.
        """
        if not self._left:
            raise AssociationFailed(f"{self._remote.ae_title} has been asked in every way")
        asking = None if before is None else self._on(before, self._move_uid)
        if asking is not None:
            return asking
        failure: AssociationFailed | None = None
        for sop_class_uid, storage in ((self._move_uid, ()), (self._get_uid, _contexts_for_any(self._local_ae))):
            if sop_class_uid not in self._left:
                continue
            try:
                assoc = self._open([(sop_class_uid, _UNCOMPRESSED), *storage], {one for one, _ in storage})
            except AssociationFailed as err:
                failure = failure or err
                break
            asking = self._on(assoc, sop_class_uid)
            if asking is not None:
                if before is not None:
                    before.release()
                return asking
            assoc.release()
        raise failure or AssociationFailed(
            f"{self._remote.ae_title} accepts neither C-MOVE nor C-GET in this information model"
        )

    def _on(self, assoc: RequestedAssociation, sop_class_uid: str) -> PendingRetrieve | None:
        """A method that was not tried yet, on this association."""
        context = next((context for context in assoc.contexts if context.abstract_syntax == sop_class_uid), None)
        if sop_class_uid not in self._left:
            return None
        self._left.discard(sop_class_uid)
        if context and self._relational and not self._is_lenient and not assoc.is_relational(sop_class_uid):
            self.is_refused_as_relational = True
            return None
        request = self._move if sop_class_uid == self._move_uid else self._get
        return None if context is None else PendingRetrieve(assoc=assoc, context=context, request=request)

    def _open(self, proposals: Sequence[Proposal], as_scp: set[str]) -> RequestedAssociation:
        return RequestedAssociation(
            self._local_ae,
            self._remote,
            proposals,
            calling=self._calling,
            as_scp=sorted(as_scp),
            relational=(self._move_uid, self._get_uid) if self._relational else (),
        )


def _contexts_for(local_ae: ApplicationEntity, content: Content) -> Sequence[Proposal]:
    """Contexts to propose: for each certain SOP class one for every transfer syntax, for each possible SOP class one.

    None if the AE does not accept a certain SOP class, or there are too many contexts.
    """
    taken = accepted_storage(local_ae)
    if not content.certain <= set(taken):
        return ()
    certain: list[Proposal] = [
        (one, (syntax,)) for one in sorted(content.certain) for syntax in sorted(taken[one], key=_as_preferred)
    ]
    possible = [(one, _uncompressed(taken[one])) for one in sorted(content.possible - content.certain) if one in taken]
    return [*certain, *possible][:_ROOM] if len(certain) <= _ROOM else ()


def _as_preferred(syntax: str) -> int:
    """Sort key: some archives use the first accepted syntax, and Implicit VR loses the VRs of private elements."""
    return {EXPLICIT_VR_LITTLE_ENDIAN: 0, IMPLICIT_VR_LITTLE_ENDIAN: 2}.get(syntax, 1)


def _contexts_for_any(local_ae: ApplicationEntity) -> Sequence[Proposal]:
    """Contexts for as many SOP classes as possible."""
    return [(sop_class, _uncompressed(syntaxes)) for sop_class, syntaxes in accepted_storage(local_ae).items()][:_ROOM]


def _uncompressed(syntaxes: tuple[str, ...]) -> tuple[str, ...]:
    """The uncompressed transfer syntaxes, if there are any."""
    return tuple(syntax for syntax in _UNCOMPRESSED if syntax in syntaxes) or syntaxes
