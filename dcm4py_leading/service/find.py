"""Query: identifier in, matches out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydicom import Dataset

from dcm4py_leading.archive.query import parse_query
from dcm4py_leading.coercion.select import Context, Peer, select_rules
from dcm4py_leading.errors import TooManyMatches
from dcm4py_leading.model.coercion import Dimse
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import InformationModel, TransferRole
from dcm4py_leading.service.runtime import Runtime

_ALWAYS_RETURNED = (
    0x00080005,  # Specific Character Set
    0x00080054,  # Retrieve AE Title
    0x00080056,  # Instance Availability
    0x00080201,  # Timezone Offset From UTC
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FindRequest:
    """A C-FIND: what is asked, of which of our AEs, by whom."""

    identifier: Dataset
    model: InformationModel
    sop_class_uid: str
    relational: bool
    local_ae: ApplicationEntity
    sending: Peer
    receiving: Peer


def find(runtime: Runtime, request: FindRequest) -> Iterator[Dataset]:
    """The response identifiers of a C-FIND (PS3.4 C.4.1), in a stable order, one at a time.

    Raises IdentifierMismatch, TooManyMatches (dcmQueryMaxNumberOfResults), IndexUnavailable, CoercionNotExecuted.
    """
    ae, identifier = request.local_ae, request.identifier
    rules = runtime.rules[ae.ae_title]
    asked = _context(request, Dimse.C_FIND_RQ)
    select_rules(rules, asked, identifier).require_executed()
    query = parse_query(identifier, request.model, relational=request.relational)
    if runtime.hides_everything(ae):
        return iter(())
    limit = ae.settings.query_max_number_of_results
    if limit and runtime.index.count(query) > limit:
        raise TooManyMatches(f"more than {limit} matches (dcmQueryMaxNumberOfResults of {ae.ae_title})")
    matches = runtime.index.matches(query, fetch_size=runtime.device.archive.query_fetch_size)
    answered = _context(request, Dimse.C_FIND_RSP)

    def responses() -> Iterator[Dataset]:
        for match in matches:
            select_rules(rules, answered, match).require_executed()
            yield _response(match, identifier, ae)

    return responses()


def _context(request: FindRequest, dimse: Dimse) -> Context:
    return Context(
        dimse=dimse,
        transfer_role=TransferRole.SCU,
        sop_class=request.sop_class_uid,
        sending=request.sending,
        receiving=request.receiving,
    )


def _response(match: Dataset, identifier: Dataset, ae: ApplicationEntity) -> Dataset:
    """``match`` reduced to what was asked for (PS3.4 C.4.1.1.3.2)."""
    response = Dataset()
    for tag in sorted({*identifier.keys(), *_ALWAYS_RETURNED}):
        if tag in match:
            response[tag] = match[tag]
        elif tag in identifier and tag != 0x00080005:
            asked = identifier[tag]
            response.add_new(tag, asked.VR, [] if asked.VR == "SQ" else None)
    response.QueryRetrieveLevel = identifier.QueryRetrieveLevel
    if ae.settings.return_retrieve_aets:
        response.RetrieveAETitle = list(ae.settings.return_retrieve_aets)
    return response
