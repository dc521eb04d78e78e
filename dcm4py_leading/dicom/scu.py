"""What we ask others: C-FIND to a leading archive, C-STORE sub-operations to a move destination."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from pydicom import Dataset
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pynetdicom.dsutils import decode, encode
from pynetdicom.presentation import PresentationContext, build_context

from dcm4py_leading.dicom import status
from dcm4py_leading.dicom.message import MoveOriginator, find_request
from dcm4py_leading.dicom.requestor import AssociationFailed, RequestedAssociation
from dcm4py_leading.errors import ConfigUnavailable, DestinationUnavailable, LeadingUnavailable
from dcm4py_leading.model.device import ApplicationEntity, RemoteAE
from dcm4py_leading.model.values import UID, AETitle, Tag
from dcm4py_leading.service.encode import PreparedObject
from dcm4py_leading.service.retrieve import StoreContext

LOG = logging.getLogger(__name__)

STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
MAX_CONTEXTS = 128
"""PS3.8 9.3.2.2: the ID of a presentation context is an odd number up to 255."""

Resolve = Callable[[AETitle], RemoteAE | None]


class FindSCU:
    """Asks leading archives, one association for each question; implements `leading.query.LeadingQuery`."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve

    def find_studies(
        self,
        leading_cfind_scp: AETitle,
        local_ae: ApplicationEntity,
        study_instance_uids: Sequence[UID],
        return_keys: frozenset[Tag],
    ) -> list[Dataset]:
        """See `leading.query.LeadingQuery`."""
        try:
            remote = self._resolve(leading_cfind_scp)
        except ConfigUnavailable as err:
            raise LeadingUnavailable(f"{leading_cfind_scp} cannot be looked up: {err}") from err
        if remote is None:
            raise LeadingUnavailable(f"{leading_cfind_scp} is not in the directory")
        identifier = study_identifier(study_instance_uids, return_keys)
        context = build_context(STUDY_ROOT_FIND, [IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN])
        try:
            with RequestedAssociation(local_ae, remote, [context]) as assoc:
                return _find(assoc, identifier, most=2 * len(study_instance_uids) + 10)
        except AssociationFailed as err:
            raise LeadingUnavailable(str(err)) from err


def study_identifier(study_instance_uids: Sequence[UID], return_keys: frozenset[Tag]) -> Dataset:
    """Identifier of a STUDY level query for these UIDs, a list of UIDs where there are several (PS3.4 C.2.2.2.2)."""
    identifier = Dataset()
    for tag in sorted(return_keys):
        try:
            identifier.add(DataElement(tag, dictionary_VR(tag), None))
        except KeyError:  # private: the leading archive may know it
            identifier.add(DataElement(tag, "UN", None))
    identifier.QueryRetrieveLevel = "STUDY"
    identifier.StudyInstanceUID = [str(uid) for uid in study_instance_uids]
    return identifier


def _find(assoc: RequestedAssociation, identifier: Dataset, most: int) -> list[Dataset]:
    context = assoc.accepted_contexts[0]
    syntax = context.transfer_syntax[0]
    encoded = encode(identifier, syntax.is_implicit_VR, syntax.is_little_endian)
    if encoded is None:
        raise LeadingUnavailable("the query identifier cannot be encoded")
    assoc.send(find_request(STUDY_ROOT_FIND, encoded, 1), context.context_id or 0)
    answers: list[Dataset] = []
    while True:
        response = assoc.receive()
        code = int(response.Status)
        if code in (status.PENDING, status.PENDING_WITH_UNSUPPORTED_KEYS):
            if response.Identifier is None:
                raise AssociationFailed("a pending C-FIND response came without an identifier")
            answers.append(decode(response.Identifier, syntax.is_implicit_VR, syntax.is_little_endian))
            if len(answers) > most:
                raise AssociationFailed("it answers with more studies than it was asked for")
        elif code == status.SUCCESS:
            return answers
        else:
            raise AssociationFailed(f"C-FIND ended with status 0x{code:04X}")


class StoreSCU:
    """C-STORE sub-operations of one C-MOVE; implements `service.retrieve.Destination`.

    Opens its association when the first object is to be sent. An association that is lost costs the object in
    flight; the next object gets a new one, and when that cannot be opened the destination is given up.
    """

    def __init__(
        self,
        local_ae: ApplicationEntity,
        remote: RemoteAE,
        contexts: Sequence[StoreContext],
        originator: MoveOriginator,
    ) -> None:
        self._local_ae = local_ae
        self._remote = remote
        self._wanted = contexts
        self._originator = originator
        self._assoc: RequestedAssociation | None = None
        self._proposed: frozenset[str] = frozenset()

    def accepted_transfer_syntaxes(self, sop_class_uid: str) -> tuple[str, ...]:
        """What the destination takes for this SOP class. Raises DestinationUnavailable."""
        assoc = self._association_for(sop_class_uid)
        return tuple(
            str(context.transfer_syntax[0])
            for context in assoc.accepted_contexts
            if str(context.abstract_syntax) == sop_class_uid
        )

    def store(self, obj: PreparedObject, message_id: int) -> int | None:
        """C-STORE it; the status, or None when the destination gave none: then the association is dropped."""
        assoc = self._association_for(obj.sop_class_uid)
        code = assoc.store(obj, message_id, self._originator)
        if code is None:
            LOG.warning("%s gave no response to a C-STORE: association dropped", self._remote.ae_title)
            assoc.abort()
            self._assoc = None
        return code

    def _association_for(self, sop_class_uid: str) -> RequestedAssociation:
        if self._assoc is not None and self._assoc.is_open and sop_class_uid in self._proposed:
            return self._assoc
        self.close()
        contexts, self._proposed = _presentation_contexts(self._wanted, first=sop_class_uid)
        try:
            self._assoc = RequestedAssociation(self._local_ae, self._remote, contexts, for_storage=True)
        except AssociationFailed as err:
            raise DestinationUnavailable(f"move destination {err}") from err
        return self._assoc

    def close(self) -> None:
        """Release the association, if there is one."""
        if self._assoc is not None:
            self._assoc.release()
            self._assoc = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()


def _presentation_contexts(
    wanted: Sequence[StoreContext], first: str
) -> tuple[list[PresentationContext], frozenset[str]]:
    """Contexts to propose, those of SOP class ``first`` before the others, as many as an association can hold."""
    contexts: list[PresentationContext] = []
    proposed: set[str] = set()
    for context in sorted(wanted, key=lambda context: context.sop_class_uid != first):
        if len(contexts) == MAX_CONTEXTS:
            break
        contexts.append(build_context(context.sop_class_uid, list(context.transfer_syntax_uids)))
        proposed.add(context.sop_class_uid)
    return contexts, frozenset(proposed)
