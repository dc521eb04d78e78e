"""Query: identifier in, matches out."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass

from pydicom import Dataset

from dcm4py_leading.archive.query import parse_query
from dcm4py_leading.coercion.chain import Coerced
from dcm4py_leading.coercion.select import Peer
from dcm4py_leading.errors import TooManyMatches
from dcm4py_leading.leading.settings import LeadingSettings
from dcm4py_leading.model.coercion import Dimse
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import UID, InformationModel, TransferRole
from dcm4py_leading.service.coerce import Coercer, Message
from dcm4py_leading.service.leading_first import leading_first
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a C-FIND answers."""

    responses: Iterator[Dataset]
    """The response identifiers, in a stable order, made one by one as they are asked for."""
    coercer: Coercer


def find(runtime: Runtime, request: FindRequest) -> Found:
    """Answer a C-FIND (PS3.4 C.4.1).

    The keys are coerced before the query, each match after it; the leading archives are asked a page of matches at a
    time. With leading-first, their values are what is matched.
    Raises IdentifierMismatch, TooManyMatches (dcmQueryMaxNumberOfResults), IndexUnavailable, CoercionFailed.
    """
    ae = request.local_ae
    keys = _coerced_keys(runtime, request)
    query = parse_query(keys, request.model, relational=request.relational)
    message = _message(request, Dimse.C_FIND_RSP)
    coercer = Coercer(runtime, message)
    if runtime.hides_everything(ae):
        return Found(responses=iter(()), coercer=coercer)
    led = leading_first(runtime, message, coercer, request.sop_class_uid, keys, query)
    index, fetch_size = runtime.index, runtime.device.archive.query_fetch_size
    limit = ae.settings.query_max_number_of_results
    if limit and (led.count(index) if led else index.count(query)) > limit:
        raise TooManyMatches(f"more than {limit} matches (dcmQueryMaxNumberOfResults of {ae.ae_title})")
    matches = led.rows(index, fetch_size) if led else index.matches(query, fetch_size=fetch_size)
    if coercer.has_rules:
        coerced = _coerced(matches, coercer, request.sop_class_uid, runtime.leading_settings)
        matches = led.kept(coerced) if led else (one.dataset for one in coerced)
    responses = (_response(match, request.identifier, ae) for match in matches)
    return Found(responses=responses, coercer=coercer)


def _message(request: FindRequest, dimse: Dimse) -> Message:
    return Message(
        local_ae=request.local_ae,
        dimse=dimse,
        transfer_role=TransferRole.SCU,
        sending=request.sending,
        receiving=request.receiving,
    )


def _coerced_keys(runtime: Runtime, request: FindRequest) -> Dataset:
    coercer = Coercer(runtime, _message(request, Dimse.C_FIND_RQ))
    if not coercer.has_rules:
        return request.identifier
    keys = deepcopy(request.identifier)
    level = keys.get("QueryRetrieveLevel")
    coercer.coerce(keys, coercer.select(keys, request.sop_class_uid))
    keys.QueryRetrieveLevel = level
    return keys


def _coerced(
    matches: Iterator[Dataset], coercer: Coercer, sop_class_uid: str, settings: LeadingSettings
) -> Iterator[Coerced]:
    """The matches, coerced; the first page is small, so that the first answer comes soon."""
    for page in settings.pages(matches):
        selected = [(match, coercer.select(match, sop_class_uid)) for match in page]
        coercer.prefetch([(selection, uid) for match, selection in selected if (uid := _study(match)) is not None])
        for match, selection in selected:
            yield coercer.coerce(match, selection)


def _study(match: Dataset) -> UID | None:
    uid = match.get("StudyInstanceUID")
    return UID(uid) if uid else None


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
