"""Who may associate, and what is negotiated: pure functions on the configuration and the proposal."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pynetdicom.presentation import PresentationContext
from pynetdicom.service_class import (
    ServiceClass,
    StorageServiceClass,
    VerificationServiceClass,
)
from pynetdicom.sop_class import uid_to_service_class

from dcm4py_leading.model.device import ApplicationEntity, Connection, Device, TransferCapability
from dcm4py_leading.model.values import InformationModel, TransferRole

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


@dataclass(frozen=True, slots=True)
class Rejection:
    """An A-ASSOCIATE-RJ (PS3.8 9.3.4): result, source and reason, and our words for the log."""

    result: int
    source: int
    reason: int
    why: str


def admit(
    device: Device, connection: Connection | None, called: str, calling: str, open_associations: int
) -> ApplicationEntity | Rejection:
    """The AE that answers to ``called`` on this connection, or the reason why the association is rejected."""
    if device.limit_open_associations and open_associations > device.limit_open_associations:
        return Rejection(2, 3, 2, f"dcmLimitOpenAssociations is {device.limit_open_associations}")
    ae = device.application_entity(called)
    if ae is None or not ae.installed or not ae.association_acceptor or connection not in ae.connections:
        return Rejection(1, 1, 7, "called AE title not recognized")
    if ae.accepted_calling_ae_titles and calling not in ae.accepted_calling_ae_titles:
        return Rejection(1, 1, 3, "calling AE title is not in dcmAcceptedCallingAETitle")
    return ae


def is_storage(sop_class: str) -> bool:
    """Whether instances of this SOP class can be stored; private SOP classes count as storage."""
    service = uid_to_service_class(sop_class)
    return service in (StorageServiceClass, ServiceClass)


def is_served(capability: TransferCapability) -> bool:
    """Whether we do what the capability lists: verification and query/retrieve as SCP, storage in both roles."""
    if is_storage(capability.sop_class):
        return True
    service_is_scp = capability.transfer_role is TransferRole.SCP
    known = capability.sop_class in (FIND | MOVE | GET)
    return service_is_scp and (known or uid_to_service_class(capability.sop_class) is VerificationServiceClass)


class ProposedContext(Protocol):
    """One presentation context of an A-ASSOCIATE-RQ."""

    @property
    def abstract_syntax(self) -> str | None: ...

    @property
    def transfer_syntax(self) -> Sequence[str]: ...


def supported_contexts(
    ae: ApplicationEntity, proposed: Sequence[ProposedContext], scp_roles: Collection[str]
) -> list[PresentationContext]:
    """What ``ae`` accepts of a proposal, as pynetdicom's negotiation wants it.

    ``scp_roles`` has the SOP classes for which the peer asks for the SCP role, as a C-GET SCU does (PS3.7 D.3.3.4):
    there our SCU capability decides. Of the transfer syntaxes that both know, the peer's first one wins: it knows
    what its objects are encoded in.
    """
    capabilities: dict[tuple[str, TransferRole], set[str]] = {}
    for capability in ae.transfer_capabilities:
        if is_served(capability):
            key = (capability.sop_class, capability.transfer_role)
            capabilities.setdefault(key, set()).update(capability.transfer_syntaxes)
    supported = []
    for abstract_syntax, proposed_syntaxes in _by_abstract_syntax(proposed).items():
        as_scp = capabilities.get((abstract_syntax, TransferRole.SCP), set())
        as_scu = capabilities.get((abstract_syntax, TransferRole.SCU), set())
        ours = as_scu if abstract_syntax in scp_roles else as_scp
        common = [syntax for syntax in proposed_syntaxes if syntax in ours]
        if not common:
            continue
        context = PresentationContext()
        context.abstract_syntax = abstract_syntax
        context.transfer_syntax = list[Any](common)
        context.scu_role = bool(as_scp)
        context.scp_role = bool(as_scu)
        supported.append(context)
    return supported


def _by_abstract_syntax(proposed: Iterable[ProposedContext]) -> dict[str, list[str]]:
    merged: dict[str, list[str]] = {}
    for context in proposed:
        if context.abstract_syntax is not None:
            syntaxes = merged.setdefault(str(context.abstract_syntax), [])
            syntaxes.extend(str(syntax) for syntax in context.transfer_syntax if str(syntax) not in syntaxes)
    return merged


def relational_queries(ae: ApplicationEntity, application_information: Mapping[str, bytes]) -> dict[str, bytes]:
    """Answer to SOP Class Extended Negotiation of the query/retrieve classes (PS3.4 C.5.1.1, C.5.2.1, C.5.3.1).

    The first byte is relational queries or retrieval: granted where asked for and where the transfer capability has
    dcmRelationalQueries. Date-time matching, fuzzy matching and time zone adjustment are not supported: 0.
    """
    relational = {c.sop_class for c in ae.transfer_capabilities if c.relational_queries}
    answer = {}
    for sop_class, information in application_information.items():
        if sop_class in FIND or sop_class in MOVE or sop_class in GET:
            granted = information[:1] == b"\x01" and sop_class in relational
            answer[str(sop_class)] = bytes([granted]) + bytes(max(len(information) - 1, 0))
    return answer
