"""Retrieve: the archives of the AE provide the objects, which are coerced one by one when they are delivered."""

from __future__ import annotations

from dataclasses import dataclass

from dcm4py_leading.archive.index.querying.query import RetrieveKeys
from dcm4py_leading.coercion.select import Peer
from dcm4py_leading.errors import MoveDestinationNotAllowed, MoveDestinationUnknown
from dcm4py_leading.log import word
from dcm4py_leading.model.coercion import Dimse
from dcm4py_leading.model.device import ApplicationEntity, RemoteAE
from dcm4py_leading.model.values import TransferRole
from dcm4py_leading.service.coerce import CoercedMessage, Coercer
from dcm4py_leading.service.retrieve.leading_first import LeadingFirstRetrieve
from dcm4py_leading.service.retrieve.retrieve_archive import ArchiveRetrieve, Retrieval
from dcm4py_leading.service.retrieve.retrieve_coercion import RetrieveCoercion
from dcm4py_leading.service.runtime import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrieveRequest:
    """Request for a retrieve: keys, our AE, and the destination."""

    keys: RetrieveKeys
    local_ae: ApplicationEntity
    sending: Peer
    receiving: Peer
    """The move destination; the caller of a C-GET."""


def destination(runtime: Runtime, local_ae: ApplicationEntity, title: str) -> RemoteAE:
    """The move destination. Raises MoveDestinationNotAllowed, MoveDestinationUnknown, ConfigUnavailable."""
    if not title:
        raise MoveDestinationUnknown("the C-MOVE names no move destination")
    allowed = local_ae.settings.accepted_move_destinations
    if allowed and title not in allowed:
        raise MoveDestinationNotAllowed(
            f"dcmAcceptedMoveDestination of {local_ae.ae_title} does not list {word(title)}"
        )
    return runtime.remote_ae(title)


def retrieve(runtime: Runtime, request: RetrieveRequest) -> Retrieval:
    """Find the objects to deliver, here or in other archives. Raises IndexUnavailable, ArchiveUnavailable."""
    message = CoercedMessage(
        local_ae=request.local_ae,
        dimse=Dimse.C_STORE_RQ,
        transfer_role=TransferRole.SCP,
        sending=request.sending,
        receiving=request.receiving,
    )
    coercer = Coercer(runtime.coercions, message)
    nothing = Retrieval(expected=0, contexts=(), objects=iter(()), coercer=coercer)
    if runtime.hides_everything(request.local_ae):
        return nothing
    wanted = ArchiveRetrieve(
        keys=request.keys,
        common=RetrieveCoercion(
            coercer,
            runtime.keeper,
            tells_original_attributes=runtime.options.of(request.local_ae.ae_title).original_attributes_on_retrieve,
        ),
        leading_first=LeadingFirstRetrieve(runtime.leading_first, message, coercer, request.keys),
    )
    return runtime.retrieve_archives[request.local_ae.ae_title].retrieve(wanted) or nothing
