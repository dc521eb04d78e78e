"""Admission of associations and negotiation of presentation contexts: pure functions of configuration and proposal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pynetdicom.service_class import (
    ServiceClass,
    StorageServiceClass,
    VerificationServiceClass,
)
from pynetdicom.sop_class import uid_to_service_class

from dcm4py_leading.bounded_cache import BoundedCache
from dcm4py_leading.dicom.upper.dimse_message import PresentationContext
from dcm4py_leading.dicom.upper.pdu import AssociateReject, ContextResult, ProposedContext, Role, UserInformation
from dcm4py_leading.model import bounds
from dcm4py_leading.model.device import ApplicationEntity, Connection, Device, TransferCapability
from dcm4py_leading.model.values import AETitle, InformationModel, TransferRole

VERIFICATION = "1.2.840.10008.1.1"
FIND = {
    "1.2.840.10008.5.1.4.1.2.1.1": InformationModel.PATIENT_ROOT,
    "1.2.840.10008.5.1.4.1.2.2.1": InformationModel.STUDY_ROOT,
}
MOVE = {
    "1.2.840.10008.5.1.4.1.2.1.2": InformationModel.PATIENT_ROOT,
    "1.2.840.10008.5.1.4.1.2.2.2": InformationModel.STUDY_ROOT,
}
GET = {
    "1.2.840.10008.5.1.4.1.2.1.3": InformationModel.PATIENT_ROOT,
    "1.2.840.10008.5.1.4.1.2.2.3": InformationModel.STUDY_ROOT,
}
MODALITY_WORKLIST_FIND = "1.2.840.10008.5.1.4.31"

ABSTRACT_SYNTAX_NOT_SUPPORTED, TRANSFER_SYNTAXES_NOT_SUPPORTED = 3, 4
"""Results of a presentation context (PS3.8 table 9-18)."""
IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
_NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Rejection:
    """Reason why an association is rejected: the A-ASSOCIATE-RJ for the peer, and a text for the log."""

    answer: AssociateReject
    why: str


@dataclass(frozen=True, slots=True)
class NegotiationResult:
    """Outcome of a proposal."""

    contexts: tuple[PresentationContext, ...]
    """Those that are accepted."""
    results: tuple[ContextResult, ...]
    """The answer to each."""
    roles: Mapping[str, Role]
    """The answer to SCP/SCU Role Selection."""


def admit(
    device: Device, connection: Connection | None, called: str, calling: str, open_associations: int
) -> ApplicationEntity | Rejection:
    """The AE that answers to ``called`` on this connection, or the reason why the association is rejected."""
    if device.limit_open_associations and open_associations > device.limit_open_associations:
        return Rejection(AssociateReject(2, 3, 2), f"dcmLimitOpenAssociations is {device.limit_open_associations}")
    ae = device.application_entity(called)
    if ae is None or not ae.installed or not ae.association_acceptor or connection not in ae.connections:
        return Rejection(AssociateReject(1, 1, 7), "called AE title not recognized")
    if not _is_ae_title(calling):
        return Rejection(AssociateReject(1, 1, 3), "calling AE title is empty or no AE title (PS3.5 6.2)")
    if ae.accepted_calling_ae_titles and calling not in ae.accepted_calling_ae_titles:
        return Rejection(AssociateReject(1, 1, 3), "calling AE title is not in dcmAcceptedCallingAETitle")
    return ae


def _is_ae_title(text: str) -> bool:
    try:
        AETitle(text)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=4096)
def is_storage(sop_class: str) -> bool:
    """True if instances of this SOP class can be stored; private SOP classes count as storage."""
    service = uid_to_service_class(sop_class)
    return service in (StorageServiceClass, ServiceClass)


def served_by(sop_class: str) -> str:
    """The only command that is served in a presentation context of this SOP class."""
    for classes, command in ((FIND, "C-FIND"), (MOVE, "C-MOVE"), (GET, "C-GET")):
        if sop_class in classes:
            return command
    return "C-STORE" if is_storage(sop_class) else "C-ECHO"


def accepted_storage(ae: ApplicationEntity) -> Mapping[str, tuple[str, ...]]:
    """The storage SOP classes that ``ae`` accepts as SCP, with the transfer syntaxes of each."""
    return {
        str(capability.sop_class): tuple(map(str, capability.transfer_syntaxes))
        for capability in ae.transfer_capabilities
        if capability.transfer_role is TransferRole.SCP and is_storage(capability.sop_class)
    }


def is_served(capability: TransferCapability) -> bool:
    """True if the service implements the capability: verification and query/retrieve as SCP, storage in both roles."""
    if is_storage(capability.sop_class):
        return True
    service_is_scp = capability.transfer_role is TransferRole.SCP
    known = capability.sop_class in (FIND | MOVE | GET)
    return service_is_scp and (known or uid_to_service_class(capability.sop_class) is VerificationServiceClass)


def is_used_as_scu(capability: TransferCapability, *, asks_archives: bool) -> bool:
    """True if we use the capability as SCU: for queries to a leading archive or worklist, and for retrieves from an
    archive behind the AE."""
    known = {*FIND, MODALITY_WORKLIST_FIND, *((*MOVE, *GET) if asks_archives else ())}
    return capability.transfer_role is TransferRole.SCU and capability.sop_class in known


class Capabilities:
    """Capabilities of an AE: the transfer syntaxes of each SOP class and role. Caches its answers."""

    def __init__(self, ae: ApplicationEntity) -> None:
        self._syntaxes: dict[tuple[str, TransferRole], frozenset[str]] = {}
        self._answers: BoundedCache[
            tuple[ProposedContext, bool, bool], tuple[ContextResult, PresentationContext | None]
        ] = BoundedCache(bounds.REMEMBERED_CONTEXTS_BYTES, max_value_size=bounds.REMEMBERED_CONTEXT_BYTES)
        for capability in ae.transfer_capabilities:
            if is_served(capability):
                key = (str(capability.sop_class), capability.transfer_role)
                self._syntaxes[key] = self._syntaxes.get(key, _NOTHING) | set(capability.transfer_syntaxes)

    def answer(self, proposed: ProposedContext, wanted: Role) -> tuple[ContextResult, PresentationContext | None]:
        """The answer to one presentation context, and that context where it is accepted; see `negotiate`."""
        key = (proposed, wanted.scu, wanted.scp)
        known = self._answers.get(key)
        if known is None:
            known = self._answer(proposed, wanted)
            texts = (proposed.abstract_syntax, *proposed.transfer_syntaxes)
            self._answers.put(key, known, sum(map(len, texts)) + len(texts))
        return known

    def _answer(self, proposed: ProposedContext, wanted: Role) -> tuple[ContextResult, PresentationContext | None]:
        abstract_syntax, proposed_syntaxes = proposed.abstract_syntax, proposed.transfer_syntaxes
        as_scp = self._syntaxes.get((abstract_syntax, TransferRole.SCP), _NOTHING) if wanted.scu else _NOTHING
        as_scu = self._syntaxes.get((abstract_syntax, TransferRole.SCU), _NOTHING) if wanted.scp else _NOTHING
        ours = as_scu or as_scp
        syntax = next((syntax for syntax in proposed_syntaxes if syntax in ours), None)
        if syntax is None:
            # The transfer syntax of a refused context has no meaning; every peer accepts the first one proposed.
            reason = TRANSFER_SYNTAXES_NOT_SUPPORTED if ours else ABSTRACT_SYNTAX_NOT_SUPPORTED
            first = proposed_syntaxes[0] if proposed_syntaxes else IMPLICIT_VR_LITTLE_ENDIAN
            return ContextResult(proposed.context_id, reason, first), None
        return (
            ContextResult(proposed.context_id, 0, syntax),
            PresentationContext(proposed.context_id, abstract_syntax, syntax, as_scu=bool(as_scu), as_scp=bool(as_scp)),
        )


class KnownCapabilities:
    """The capabilities of the AEs of one device, computed when first needed. Safe under threads."""

    def __init__(self) -> None:
        # Device and capabilities in one reference, as a reload replaces the device.
        self._known: tuple[Device | None, dict[AETitle, Capabilities]] = (None, {})

    def of(self, device: Device, ae: ApplicationEntity) -> Capabilities:
        """The capabilities of ``ae``, which is one of ``device``."""
        known = self._known
        if known[0] is not device:
            known = self._known = (device, {})
        capabilities = known[1].get(ae.ae_title)
        if capabilities is None:
            capabilities = known[1][ae.ae_title] = Capabilities(ae)
        return capabilities


def negotiate(
    capabilities: Capabilities, user: UserInformation, proposed: Sequence[ProposedContext]
) -> NegotiationResult:
    """Parts of a proposal that an AE of these capabilities accepts (PS3.8 7.1.1.13, PS3.7 D.3.3.4).

    Where the peer asks for the SCP role, as a C-GET SCU does, our SCU capability decides. Of the transfer syntaxes that
    both sides support, the first one of the peer is chosen: the peer knows how its objects are encoded.
    """
    contexts: list[PresentationContext] = []
    results: list[ContextResult] = []
    roles: dict[str, Role] = {}
    for context in proposed:
        wanted = user.roles.get(context.abstract_syntax, _DEFAULT_ROLE)
        result, accepted = capabilities.answer(context, wanted)
        results.append(result)
        if accepted is not None:
            contexts.append(accepted)
            if context.abstract_syntax in user.roles:
                roles[context.abstract_syntax] = Role(scu=accepted.as_scp, scp=accepted.as_scu)
    return NegotiationResult(tuple(contexts), tuple(results), roles)


_DEFAULT_ROLE = Role(scu=True, scp=False)


def relational_queries(ae: ApplicationEntity, application_information: Mapping[str, bytes]) -> dict[str, bytes]:
    """Answer to SOP Class Extended Negotiation of the query/retrieve classes (PS3.4 C.5.1.1, C.5.2.1, C.5.3.1).

    The first byte is relational queries or retrieval: granted where asked for and where the transfer capability has
    dcmRelationalQueries. Date-time matching, fuzzy matching and time zone adjustment are not supported: 0.
    """
    if not application_information:
        return {}
    relational = {c.sop_class for c in ae.transfer_capabilities if c.relational_queries}
    answer = {}
    for sop_class, information in application_information.items():
        if sop_class in FIND or sop_class in MOVE or sop_class in GET:
            granted = information[:1] == b"\x01" and sop_class in relational
            answer[str(sop_class)] = bytes([granted]) + bytes(max(len(information) - 1, 0))
    return answer
