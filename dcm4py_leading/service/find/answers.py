"""Answers of a C-FIND, made of the matches of an archive a page at a time."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

from pydicom import Dataset

from dcm4py_leading.archive.index.querying.match import Match
from dcm4py_leading.coercion.chain import CoercionResult, ExecutedStep
from dcm4py_leading.model.bounds import COERCED_MATCH_BYTES
from dcm4py_leading.service.coerce import CoercedMessage, Coercer
from dcm4py_leading.service.find.matches_coerced import MatchCoercion, PendingMatch, study_of
from dcm4py_leading.service.find.memo import CachedFindAnswer
from dcm4py_leading.service.find.request import FindRequest
from dcm4py_leading.service.find.response import Elements, NeedsPydicom, Template, encode, reduced, template
from dcm4py_leading.service.runtime import Runtime


class MatchAnswers:
    """Makes encoded answers from matches, from their bytes if possible."""

    def __init__(self, runtime: Runtime, request: FindRequest, message: CoercedMessage, coercer: Coercer) -> None:
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
        except NeedsPydicom:
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
            for coerced in coerced_page([m.attributes for m in page], self._coercer, self._request.sop_class_uid):
                yield encoded(coerced.dataset, self._request)
            return
        asked = [one.asked for one in begun.values() if one is not None]
        asked += [one.coercion.asked for one in known if one is not None]
        self._coercer.ask({question for questions in asked for question in questions})
        repeated: list[ExecutedStep] = []
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

    def _coerced(self, match: Match, begun: PendingMatch | None, key: Hashable) -> bytes:
        if begun is None or self._template is None or self._coercion is None:
            (coerced,) = coerced_page([match.attributes], self._coercer, self._request.sop_class_uid)
            return encoded(coerced.dataset, self._request)
        outcome = self._coercion.finish(begun)
        try:
            cut = self._template.cut(begun.elements, outcome.edited)
        except NeedsPydicom:
            # It was counted above; its effect on all elements equals that on the changed ones.
            return encoded(self._coercion.again(match.attributes, begun), self._request)
        if self._coercion.is_timeless and outcome.is_answered and len(cut) <= COERCED_MATCH_BYTES:
            self._runtime.answers.put(key, CachedFindAnswer(outcome, cut))
        return cut

    def _plain(self, match: Match) -> bytes:
        if self._template is not None:
            try:
                return self._template.cut(Elements(match, self._scanned))
            except NeedsPydicom:
                pass
        return encoded(match.attributes, self._request)

    def _begun(self, match: Match) -> PendingMatch | None:
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
        except NeedsPydicom:
            return None


def coerced_page(page: Sequence[Dataset], coercer: Coercer, sop_class_uid: str) -> Iterator[CoercionResult]:
    """The matches of a page, coerced; the leading archives are asked about all of them at once."""
    selected = [(match, coercer.select(match, sop_class_uid)) for match in page]
    coercer.prefetch([(selection, uid) for match, selection in selected if (uid := study_of(match)) is not None])
    for match, selection in selected:
        yield coercer.coerce(match, selection)


def encoded(match: Dataset, request: FindRequest) -> bytes:
    """The response identifier of a match, encoded."""
    response = reduced(match, request.identifier, request.local_ae.settings.return_retrieve_aets)
    return encode(response, request.transfer_syntax_uid)
