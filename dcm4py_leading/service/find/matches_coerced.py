"""Coercion of matches by their bytes: only elements that a rule may read or change are decoded, and only once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from dcm4py_leading.archive.index.attributes import decode
from dcm4py_leading.coercion.chain import coercion, questions, run
from dcm4py_leading.coercion.question import LeadingQuestion
from dcm4py_leading.coercion.rules import CompiledRule
from dcm4py_leading.coercion.select import Selection
from dcm4py_leading.coercion.steps.step import STUDY_INSTANCE_UID, LeadingStep
from dcm4py_leading.coercion.tags import AllTags
from dcm4py_leading.coercion.update import IDENTIFIER_GROUPS
from dcm4py_leading.dataset.text.charset import SPECIFIC_CHARACTER_SET
from dcm4py_leading.model.bounds import COERCED_MATCH_BYTES
from dcm4py_leading.model.values import UID
from dcm4py_leading.service.coerce import CoercedMessage, Coercer
from dcm4py_leading.service.find.memo import CachedCoercion, CoercionMemo, coercion_memo
from dcm4py_leading.service.find.response import Elements, NeedsPydicom, elements_by_tag, encode


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingMatch:
    """A match whose coercion waits for the answers of leading archives."""

    elements: Elements
    key: bytes
    touched: bytes
    known: CachedCoercion | None
    selection: Selection
    asked: tuple[LeadingQuestion, ...]


class MatchCoercion:
    """The coercion of the matches of one C-FIND."""

    def __init__(
        self,
        rules: Sequence[CompiledRule],
        message: CoercedMessage,
        coercer: Coercer,
        remembered: CoercionMemo,
        sop_class_uid: str,
    ) -> None:
        """``rules`` are those of the AE; ``remembered`` caches outcomes of other C-FINDs.

        Raises NeedsPydicom if a step may change any element, or is not repeatable.
        """
        self._message = message
        self._coercer = coercer
        self._sop_class_uid = sop_class_uid
        touched: set[int] = {SPECIFIC_CHARACTER_SET, STUDY_INSTANCE_UID, *coercer.reads}
        self.is_timeless = True
        """True if another C-FIND may have the same outcomes."""
        for rule in rules:
            if (rule.rule.dimse, rule.rule.transfer_role) != (message.dimse, message.transfer_role):
                continue
            self.is_timeless = self.is_timeless and rule.is_timeless
            for step in rule.steps:
                reads, writes = step.reads, step.writes
                if isinstance(reads, AllTags) or isinstance(writes, AllTags) or not step.traits.is_repeatable:
                    raise NeedsPydicom
                if STUDY_INSTANCE_UID in writes and not isinstance(step, LeadingStep):
                    raise NeedsPydicom  # then the questions are not known beforehand
                touched |= reads | writes
        for group in IDENTIFIER_GROUPS:  # an issuer follows its identifier
            if touched.intersection(group):
                touched.update(group)
        self._remembered = remembered if self.is_timeless else coercion_memo()
        self._touched = tuple(sorted(touched))
        whose = (message.local_ae.ae_title, sop_class_uid, message.sending, message.receiving)
        self._whose = repr(whose).encode() + b"\0"

    def _bytes_of(self, elements: Elements) -> bytes:
        """The elements that a rule may look at or change. Raises NeedsPydicom."""
        return b"".join(element for tag in self._touched if (element := elements.get(tag)) is not None)

    def begin(self, elements: Elements) -> PendingMatch:
        """Select the rules for a match, and read its study."""
        touched = self._bytes_of(elements)
        key = self._whose + touched
        known = self._remembered.get(key)
        if known is not None:
            selection, asked = known.selection, known.asked
        else:
            ds = decode(touched)
            selection, study = self._coercer.select(ds, self._sop_class_uid), study_of(ds)
            asked = () if study is None else questions(selection, study)
        return PendingMatch(elements=elements, key=key, touched=touched, known=known, selection=selection, asked=asked)

    def finish(self, begun: PendingMatch) -> CachedCoercion:
        """The outcome, with each element that may change. Raises CoercionFailed."""
        answers = tuple(map(self._coercer.answer, begun.asked))
        known = begun.known
        if known is not None and known.is_by(answers):
            self._coercer.count(known.executed)
            return known
        coerced = self._coercer.coerce(decode(begun.touched), begun.selection)
        edited = elements_by_tag(encode(coerced.dataset, ExplicitVRLittleEndian))
        new = CachedCoercion(
            selection=begun.selection,
            asked=begun.asked,
            answers=answers,
            executed=coerced.executed,
            edited={tag: edited.get(tag) for tag in self._touched},
        )
        if new.is_answered and len(begun.key) + new.length <= COERCED_MATCH_BYTES:
            self._remembered.put(begun.key, new)
        return new

    def again(self, ds: Dataset, begun: PendingMatch) -> Dataset:
        """``ds``, the whole match of ``begun``, coerced; it was counted by `finish`."""
        return run(coercion(ds, begun.selection), self._coercer.answer).dataset


def study_of(match: Dataset) -> UID | None:
    """The Study Instance UID of a match, None at PATIENT level."""
    uid = match.get("StudyInstanceUID")
    return UID(uid) if uid else None
