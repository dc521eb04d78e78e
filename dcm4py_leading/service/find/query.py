"""Query: identifier in, matches out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TypeVar

from pydicom import Dataset

from dcm4py_leading.archive.index.querying.match import Match
from dcm4py_leading.archive.index.querying.query import parse_query
from dcm4py_leading.coercion.chain import Coerced, Executed
from dcm4py_leading.coercion.select import Peer
from dcm4py_leading.dataset.data_sets import declare_default_if_needed
from dcm4py_leading.errors import Dcm4pyError, TooManyMatches
from dcm4py_leading.leading.settings import FLUSH, Flush, LeadingSettings
from dcm4py_leading.model.coercion import Dimse
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import InformationModel, Level, TransferRole
from dcm4py_leading.service.coerce import Coercer, Message
from dcm4py_leading.service.find.key_support import KeySupport, are_supported
from dcm4py_leading.service.find.leading_first import leading_first
from dcm4py_leading.service.find.matches_coerced import Begun, MatchCoercion, study_of
from dcm4py_leading.service.find.memo import RememberedAnswer
from dcm4py_leading.service.find.response import Elements, NotCut, Template, encode, reduced, template
from dcm4py_leading.service.query_archive import Asked
from dcm4py_leading.service.runtime import Runtime

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class FindRequest:
    """A C-FIND: what is asked, of which of our AEs, by whom."""

    identifier: Dataset
    model: InformationModel
    sop_class_uid: str
    transfer_syntax_uid: str
    """Of the responses."""
    relational: bool
    local_ae: ApplicationEntity
    sending: Peer
    receiving: Peer
    is_over: Callable[[], bool] = lambda: False
    """True if the client waits no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Answer to a C-FIND."""

    pages: Generator[Sequence[bytes]]
    """The response identifiers, encoded, in a stable order. A page is made when it is asked for; the first is small.

    To be closed by the caller when it wants no more of them.
    """
    coercer: Coercer
    support: KeySupport = field(default_factory=KeySupport)
    """As far as the pages have been read."""


def find(runtime: Runtime, request: FindRequest) -> Found:
    """Answer a C-FIND (PS3.4 C.4.1).

    The keys are coerced before the query, each match after it; the leading archives are asked a page of matches at a
    time. With leading-first, their values are what is matched.
    Raises IdentifierMismatch, TooManyMatches (dcmQueryMaxNumberOfResults), IndexUnavailable, ArchiveUnavailable,
    CoercionFailed; all but the first also while the pages are read.
    """
    ae = request.local_ae
    declare_default_if_needed(request.identifier, ae.settings.default_character_set)
    keys = _coerced_keys(runtime, request)
    query = parse_query(keys, request.model, relational=request.relational)
    message = _message(request, Dimse.C_FIND_RSP)
    coercer = Coercer(runtime.coercions, message)
    if runtime.hides_everything(ae):
        return Found(pages=_nothing(), coercer=coercer)
    asked = Asked(
        query=query,
        keys=keys,
        sop_class_uid=request.sop_class_uid,
        relational=request.relational,
        local_ae=ae,
        wanted=coercer.looks_at,
        is_over=request.is_over,
        are_supported=are_supported(request.identifier, query, _kept(runtime), coercer.writes),
    )
    archive, fetch_size = runtime.archives[ae.ae_title], runtime.device.archive.query_fetch_size
    led = leading_first(runtime, message, coercer, asked)
    limit = ae.settings.query_max_number_of_results
    count = None
    if limit:
        count = led.count(archive) if led else archive.count(asked, most=limit + 1)
        if count is not None and count > limit:
            raise _too_many(ae)
    most = limit if limit and count is None else None
    settings = runtime.leading_settings
    if led:
        rows = led.rows(archive, fetch_size)
        counted = rows if most is None else _limited(rows, most, ae)
        kept = led.kept(_coerced(counted, coercer, request.sop_class_uid, settings)) if coercer.has_rules else counted
        encoded = (match if isinstance(match, Flush) else _encoded(match, request) for match in kept)
        return Found(pages=_pages(encoded, settings, list, rows), coercer=coercer, support=asked.support)
    answering = _Answering(runtime, request, message, coercer)
    matches = archive.matches(asked, fetch_size=fetch_size)
    counted_matches = matches if most is None else _limited(matches, most, ae)
    pages = _pages(counted_matches, settings, answering.page, matches)
    return Found(pages=pages, coercer=coercer, support=asked.support)


def _kept(runtime: Runtime) -> Mapping[Level, Collection[int]]:
    return runtime.index.keeper(runtime.device.archive.attribute_filters).tags


def _too_many(ae: ApplicationEntity) -> TooManyMatches:
    limit = ae.settings.query_max_number_of_results
    return TooManyMatches(f"more than {limit} matches (dcmQueryMaxNumberOfResults of {ae.ae_title})")


def _limited(rows: Iterable[T | Flush], most: int, ae: ApplicationEntity) -> Iterator[T | Flush]:
    """The rows of an archive that could not count them. Raises TooManyMatches in place of the first one too many."""
    count = 0
    for row in rows:
        if not isinstance(row, Flush):
            count += 1
        if count > most:
            raise _too_many(ae)
        yield row


def _message(request: FindRequest, dimse: Dimse) -> Message:
    return Message(
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
    rows: Iterator[T | Flush],
    settings: LeadingSettings,
    answers: Callable[[Sequence[T]], Iterable[bytes]],
    source: Generator[object],
) -> Generator[Sequence[bytes]]:
    """A page of answers for each page of rows; what was made before an error goes out before it is raised.

    ``source`` is where the rows come from, and is closed at the end.
    """
    with closing(source):
        for page in settings.pages(rows):
            encoded: list[bytes] = []
            try:
                for answer in answers(page):
                    encoded.append(answer)
            except Dcm4pyError:
                if encoded:
                    yield encoded
                raise
            yield encoded


class _Answering:
    """From matches in the index to encoded answers."""

    def __init__(self, runtime: Runtime, request: FindRequest, message: Message, coercer: Coercer) -> None:
        self._request = request
        self._coercer = coercer
        self._scanned: dict[int, tuple[bytes, dict[int, tuple[int, int, int]]]] = {}
        self._template: Template | None
        self._runtime = runtime
        self._message = message
        self._coercion: MatchCoercion | None = None
        # A text knows its hash.
        self._whose = repr((message.local_ae.ae_title, request.sop_class_uid, message.sending, message.receiving))
        try:
            self._template = template(
                request.identifier, request.transfer_syntax_uid, request.local_ae.settings.return_retrieve_aets
            )
        except NotCut:
            self._template = None

    def page(self, page: Sequence[Match]) -> Iterator[bytes]:
        """The answers. Raises CoercionFailed."""
        if not self._coercer.has_rules:
            for match in page:
                yield self._plain(match)
            return
        keys = [(self._template, self._whose, match.encoded_attributes, repr(match.computed)) for match in page]
        known = [self._runtime.answers.get(key) for key in keys]
        begun = {at: self._begun(match) for at, match in enumerate(page) if known[at] is None}
        if None in begun.values():
            for coerced in _coerced_page([m.attributes for m in page], self._coercer, self._request.sop_class_uid):
                yield _encoded(coerced.dataset, self._request)
            return
        asked = [one.asked for one in begun.values() if one is not None]
        asked += [one.coercion.asked for one in known if one is not None]
        self._coercer.ask({question for questions in asked for question in questions})
        repeated: list[Executed] = []
        try:
            for at, match in enumerate(page):
                answer = known[at]
                if answer is not None:
                    coercion = answer.coercion
                    if coercion.is_by(tuple(map(self._coercer.answer, coercion.asked))):
                        repeated += coercion.executed
                        yield answer.encoded
                        continue
                one = begun[at] if at in begun else self._begun(match)
                yield self._coerced(match, one, keys[at])
        finally:
            self._coercer.count(repeated)

    def _coerced(self, match: Match, begun: Begun | None, key: Hashable) -> bytes:
        if begun is None or self._template is None or self._coercion is None:
            (coerced,) = _coerced_page([match.attributes], self._coercer, self._request.sop_class_uid)
            return _encoded(coerced.dataset, self._request)
        outcome = self._coercion.finish(begun)
        try:
            encoded = self._template.cut(begun.elements, outcome.edited)
        except NotCut:
            # It was counted above; what it does to all elements is the same as to those it touches.
            return _encoded(self._coercion.again(match.attributes, begun), self._request)
        self._runtime.answers.remember(key, RememberedAnswer(outcome, encoded))
        return encoded

    def _plain(self, match: Match) -> bytes:
        if self._template is not None:
            try:
                return self._template.cut(Elements(match, self._scanned))
            except NotCut:
                pass
        return _encoded(match.attributes, self._request)

    def _begun(self, match: Match) -> Begun | None:
        if self._template is None:
            return None
        try:
            if self._coercion is None:
                self._coercion = MatchCoercion(
                    self._runtime.rules[self._request.local_ae.ae_title],
                    self._message,
                    self._coercer,
                    self._runtime.coerced_matches,
                    self._request.sop_class_uid,
                )
            return self._coercion.begin(Elements(match, self._scanned))
        except NotCut:
            return None


def _coerced(
    matches: Iterable[Dataset | Flush], coercer: Coercer, sop_class_uid: str, settings: LeadingSettings
) -> Iterator[Coerced | Flush]:
    """Each page as it is; what is made of it does not wait for the next one."""
    for page in settings.pages(matches):
        yield from _coerced_page(page, coercer, sop_class_uid)
        yield FLUSH


def _coerced_page(page: Sequence[Dataset], coercer: Coercer, sop_class_uid: str) -> Iterator[Coerced]:
    selected = [(match, coercer.select(match, sop_class_uid)) for match in page]
    coercer.prefetch([(selection, uid) for match, selection in selected if (uid := study_of(match)) is not None])
    for match, selection in selected:
        yield coercer.coerce(match, selection)


def _encoded(match: Dataset, request: FindRequest) -> bytes:
    response = reduced(match, request.identifier, request.local_ae.settings.return_retrieve_aets)
    return encode(response, request.transfer_syntax_uid)
