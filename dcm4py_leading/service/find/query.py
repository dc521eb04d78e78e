"""Query: identifier in, matches out."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Protocol

from pydicom import Dataset

from dcm4py_leading.archive.index.querying.match import Match
from dcm4py_leading.archive.index.querying.query import Part, parse_query
from dcm4py_leading.dataset.data_sets import declare_default_if_needed
from dcm4py_leading.errors import Dcm4pyError, TooManyMatches
from dcm4py_leading.leading.settings import Flush, LeadingSettings
from dcm4py_leading.model.coercion import Dimse
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import Level, TransferRole
from dcm4py_leading.service.coerce import CoercedMessage, Coercer, Coercions
from dcm4py_leading.service.find.answers import MatchAnswers
from dcm4py_leading.service.find.key_support import KeySupport, are_supported
from dcm4py_leading.service.find.leading_first import leading_first
from dcm4py_leading.service.find.parts import Total, part_of_answers, part_of_matches
from dcm4py_leading.service.find.request import FindRequest
from dcm4py_leading.service.query_archive import ArchiveQuery, QueryArchive
from dcm4py_leading.service.runtime import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class FindResult:
    """Result of a C-FIND."""

    pages: Generator[Sequence[bytes]]
    """The response identifiers, encoded, in a stable order. A page is made when it is asked for; the first is small.

    To be closed by the caller when it wants no more of them.
    """
    coercer: Coercer
    support: KeySupport = field(default_factory=KeySupport)
    """As far as the pages have been read."""
    total: Total = field(default_factory=Total)
    """Of a search for a part, known with the first page at the latest."""


class Answers(Protocol):
    """Stage that makes answers from matches."""

    def page(self, page: Sequence[Match]) -> Iterator[bytes]:
        """Encoded answers for a page of matches. Raises CoercionFailed."""
        ...


def find(runtime: Runtime, request: FindRequest) -> FindResult:
    """Answer a C-FIND (PS3.4 C.4.1).

    Coerces the keys before the query, and each match after it; asks the leading archives for a page of matches at a
    time. With leading-first, the values of the leading archive are matched.
    Raises IdentifierMismatch, TooManyMatches (dcmQueryMaxNumberOfResults), IndexUnavailable, ArchiveUnavailable,
    CoercionFailed; all but the first also while the pages are read.
    """
    ae = request.local_ae
    declare_default_if_needed(request.identifier, ae.settings.default_character_set)
    keys = _coerced_keys(runtime, request)
    query = parse_query(keys, request.model, relational=request.relational)
    message = _message(request, Dimse.C_FIND_RSP)
    coercer = Coercer(_coercions(runtime, request), message)
    if runtime.hides_everything(ae):
        return FindResult(pages=_nothing(), coercer=coercer, total=Total(0))
    asked = ArchiveQuery(
        query=query,
        keys=keys,
        sop_class_uid=request.sop_class_uid,
        relational=request.relational,
        local_ae=ae,
        wanted=coercer.looks_at,
        is_over=request.is_over,
        are_supported=are_supported(request.identifier, query, _kept(runtime), coercer.writes),
    )
    archive: QueryArchive = runtime.archives[ae.ae_title]
    answers: Answers
    if (stage := leading_first(runtime.leading_first, message, coercer, asked)) is None:
        answers = MatchAnswers(runtime, request, message, coercer)
    else:
        archive, asked, answers = stage.before(archive), stage.asked, stage.answers(request, coercer)
    limit = ae.settings.query_max_number_of_results
    count = archive.count(asked, most=limit + 1) if limit else None
    if count is not None and count > limit:
        raise _too_many(ae)
    part, total = request.part, Total()
    is_by_delivered = stage is not None or (part is not None and _is_ordered_by_led(runtime, message, request, part))
    if part is not None and not is_by_delivered and archive.gives_parts:
        asked = replace(asked, part=part)
        if part.limit is not None:
            total.count = archive.count(asked)
    matches = archive.matches(asked, fetch_size=runtime.device.archive.query_fetch_size)
    counted = _limited(matches, limit, ae) if limit and count is None else matches
    if part is not None and not is_by_delivered and not archive.gives_parts:
        counted = part_of_matches(counted, part, query.level, total)
    pages = _pages(counted, runtime.leading_settings, answers, matches)
    if part is not None and is_by_delivered:
        pages = part_of_answers(pages, part, query.level, total)
    return FindResult(pages=pages, coercer=coercer, support=asked.support, total=total)


def _coercions(runtime: Runtime, request: FindRequest) -> Coercions:
    """The rules for the responses."""
    coercions = runtime.coercions
    if request.is_coerced or runtime.options.of(request.local_ae.ae_title).leading_first:
        return coercions
    return replace(coercions, rules=dict.fromkeys(coercions.rules, ()))


def _is_ordered_by_led(runtime: Runtime, message: CoercedMessage, request: FindRequest, part: Part) -> bool:
    """True if the order is by what a leading archive decides, and the AE has leading-first."""
    scp = runtime.leading_first.leading_cfind_scp(message, request.sop_class_uid)
    return scp is not None and not runtime.leading_first.return_keys(scp).isdisjoint(one.tag for one in part.order)


def _kept(runtime: Runtime) -> Mapping[Level, Collection[int]]:
    return runtime.index.keeper(runtime.device.archive.attribute_filters).tags


def _too_many(ae: ApplicationEntity) -> TooManyMatches:
    limit = ae.settings.query_max_number_of_results
    return TooManyMatches(f"more than {limit} matches (dcmQueryMaxNumberOfResults of {ae.ae_title})")


def _limited(matches: Iterable[Match | Flush], most: int, ae: ApplicationEntity) -> Iterator[Match | Flush]:
    """The matches of an archive that cannot count them. Raises TooManyMatches in place of the first match too many."""
    count = 0
    for match in matches:
        if not isinstance(match, Flush):
            count += 1
        if count > most:
            raise _too_many(ae)
        yield match


def _message(request: FindRequest, dimse: Dimse) -> CoercedMessage:
    return CoercedMessage(
        local_ae=request.local_ae,
        dimse=dimse,
        transfer_role=TransferRole.SCU,
        sending=request.sending,
        receiving=request.receiving,
    )


def _coerced_keys(runtime: Runtime, request: FindRequest) -> Dataset:
    coercer = Coercer(runtime.coercions, _message(request, Dimse.C_FIND_RQ))
    if not coercer.has_rules:
        return request.identifier
    keys = deepcopy(request.identifier)
    level = keys.get("QueryRetrieveLevel")
    coercer.coerce(keys, coercer.select(keys, request.sop_class_uid))
    keys.QueryRetrieveLevel = level
    return keys


def _nothing() -> Generator[Sequence[bytes]]:
    yield from ()


def _pages(
    matches: Iterator[Match | Flush], settings: LeadingSettings, answers: Answers, source: Generator[object]
) -> Generator[Sequence[bytes]]:
    """A page of answers for each page of matches; answers made before an error are sent before it is raised.

    ``source`` yields the matches, and is closed at the end.
    """
    with closing(source):
        for page in settings.pages(matches):
            encoded: list[bytes] = []
            try:
                for answer in answers.page(page):
                    encoded.append(answer)
            except Dcm4pyError:
                if encoded:
                    yield encoded
                raise
            if encoded:
                yield encoded
