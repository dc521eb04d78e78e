"""The coercion of the objects of a retrieve on their bytes.

Two rules hold throughout:

1. The bytes sent are those that decoding, coercing and encoding the whole object would give. If that is not certain,
   `NeedsDecoding` is raised, and the whole object is decoded (`whole`).
2. The key of a cached outcome has every octet that the outcome depends on. Nothing is looked up by a property of the
   object, such as its series.

How it works. The effect of index and rules on an object depends on a few elements only: those that the steps of the
rules read or write, and those that the index keeps (`RelevantTags`). They are cut out of the object, and their octets
are the key of the outcome: edits, each a tag and the octets of its new element (`CoercedElements`).

    rules of the object, levels of the index  ->  relevant tags
    layout of the object (`dataset.layout`)   ->  where these elements are
    their octets                              ->  edits
    edits and layout                          ->  splice plan: which octets are new, and which stay where they are

The objects of a series have the same layout, and the same octets in these elements. So only the first one is decoded,
coerced and encoded; for each other object the plan is found by two comparisons of octets. Attributes of the instance,
such as its number, differ in each object. They are not part of the key if object and index have the same value, as they
then change nothing. If a rule reads them, both values are part of the key.

Outcomes are looked up in four places, the cheapest first:

- a plan, for the same layout and octets (`splice_plans`);
- an outcome, for the same octets in another layout;
- an outcome for the same octets without those that are equal in object and index (`differing`): so usually the series
  of a study share one;
- an outcome of an earlier retrieve, if the questions have the same answer objects (`service.outcome_memo`).

Special cases. The meaning of octets depends on the character set, so those of object and index belong to each key. If
an edit changes the character set, all other text of the object is recoded. If a tag is in an object twice, both
elements must be edited, so the object is scanned to its end. An element whose VR depends on others is cut out with
them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from pydicom import Dataset

from dcm4py_leading.archive.index.attributes import merged
from dcm4py_leading.bounded_cache import put_flushing
from dcm4py_leading.coercion.chain import ExecutedStep
from dcm4py_leading.coercion.changes import Change
from dcm4py_leading.coercion.original_attributes import ORIGINAL_ATTRIBUTES_SEQUENCE
from dcm4py_leading.coercion.question import Answer, Question
from dcm4py_leading.coercion.select import Selection
from dcm4py_leading.dataset.data_sets import read
from dcm4py_leading.dataset.encoder import encoded_element
from dcm4py_leading.dataset.layout import Layouts
from dcm4py_leading.dataset.object_bytes import ObjectBytes
from dcm4py_leading.dataset.pydicom_bridge import encoded_elements
from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE, Encoding, Span, Unscannable, scan
from dcm4py_leading.dataset.text.charset import SPECIFIC_CHARACTER_SET, character_set
from dcm4py_leading.dataset.text.unreadable import UNREADABLE
from dcm4py_leading.errors import DependencyError
from dcm4py_leading.model.bounds import COERCED_OBJECT_BYTES
from dcm4py_leading.service.counts import keys_of
from dcm4py_leading.service.outcome_memo import CachedOutcome, CoercedElements, OutcomeMemo, QuestionsAndAnswers
from dcm4py_leading.service.retrieve.differing import differing_parts
from dcm4py_leading.service.retrieve.relevant_tags import (
    PIXEL_REPRESENTATION,
    AppliedRules,
    NeedsDecoding,
    RelevantTags,
    applied_rules,
    relevant_tags,
)
from dcm4py_leading.service.retrieve.splice_plans import LayoutPlans, SplicedDataSet, SplicePlan, splice_plan_of
from dcm4py_leading.service.retrieve.text_elements import is_concerned, is_text, unequal_tags, value_of
from dcm4py_leading.service.retrieve.whole import changed_tags

_MAX_REMEMBERED = 2048
_MAX_LAYOUTS = 256
_END = 1 << 32
_NO_SPANS: Mapping[int, Span] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class CoercedDataSet:
    """Coerced data set."""

    changes: tuple[Change, ...]
    """Nothing where it stays as it is."""
    executed: tuple[ExecutedStep, ...]
    asked: QuestionsAndAnswers
    """Questions to others, and the answers."""


IndexedLevels = tuple[bytes, ...]
"""Attributes of patient, study, series and instance in the index, encoded; those of a level that do not count: none."""
Rework = Callable[[Dataset, IndexedLevels | None, Dataset | None, Selection], CoercedDataSet]
"""Changes a data set as what the index has, if it counts, and the selected rules want. Raises CoercionFailed.

The data set beside what the index has are those of its attributes that count.
"""


class BytewiseCoercion:
    """Coercion of the objects of one retrieve, with a cache of outcomes. Safe under threads."""

    def __init__(
        self,
        rework: Rework,
        *,
        tells_original_attributes: bool,
        memo: OutcomeMemo | None,
        whose: Hashable,
        answer: Callable[[Question], Answer],
    ) -> None:
        """``rework`` coerces a decoded data set.

        ``memo`` has outcomes of other retrieves, by ``whose`` they are: for all that is the same in a configuration.
        ``answer`` answers their questions.
        """
        self._rework = rework
        self._memo = memo
        self._whose = whose
        self._answer = answer
        self._always = {SPECIFIC_CHARACTER_SET}
        if tells_original_attributes:
            self._always.add(ORIGINAL_ATTRIBUTES_SEQUENCE)
        self._rules_of: dict[int, AppliedRules] = {}
        self._relevant_tags: dict[tuple[int, tuple[bytes, ...], tuple[int, ...]], RelevantTags] = {}
        self._layout_plans: dict[tuple[int, int, int], LayoutPlans] = {}
        self._layouts = Layouts()
        self._own_layouts = Layouts()
        self._outcomes: dict[object, CoercedElements] = {}
        self.decoded = 0
        """Number of times that pydicom was needed."""

    def reworked(
        self, source: ObjectBytes, encoding: Encoding, kept: IndexedLevels | None, selection: Selection
    ) -> SplicedDataSet:
        """Outcome for the object. Raises NeedsDecoding, CoercionFailed, StorageUnavailable.

        ``kept`` is what the index has of the object, None if it is not here.
        """
        rules = self._rules_of.get(id(selection)) or self._rules(selection)
        upper: tuple[bytes, ...] = ()
        own, own_spans = b"", _NO_SPANS
        if rules.retrieve_as_received:
            kept = None
        if kept is not None:
            upper, own = kept[:-1], kept[-1]
            if own:
                own_spans, _ = self._own_layouts.scan(memoryview(own), EXPLICIT_LITTLE, start=0, stop_before=_END)
        relevant = self._relevant(rules, upper, tuple(own_spans))
        try:
            # No edited tag may occur again in the rest.
            spans, scanned_to = self._layouts.scan_object(
                source, encoding, stop_before=relevant.stop_before, is_rest_checked=True
            )
        except Unscannable as err:
            raise NeedsDecoding from err
        view = source.view
        of_layout = self._layout_plans.get((id(spans), id(own_spans), id(relevant)))
        plan = None if of_layout is None else of_layout.find(view, own)
        if plan is not None:
            return plan.cut(view, source.size)
        try:
            return self._looked_at(source, encoding, kept, rules, relevant, spans, scanned_to, own_spans)
        except UNREADABLE as err:
            raise NeedsDecoding from err  # odd within a sequence, which is read leniently where the whole object is

    def _looked_at(
        self,
        source: ObjectBytes,
        encoding: Encoding,
        kept: IndexedLevels | None,
        rules: AppliedRules,
        relevant: RelevantTags,
        spans: dict[int, Span],
        scanned_to: int,
        own_spans: Mapping[int, Span],
    ) -> SplicedDataSet:
        """Like `reworked`, for an object of a new layout."""
        view, start = source.view, source.start
        upper, own = ((), b"") if kept is None else (kept[:-1], kept[-1])
        tags = relevant.tags
        unequal = unequal_tags(view, encoding, spans, own, own_spans, relevant.own)
        if unequal:
            tags = tuple(sorted({*tags, *unequal}))
        cut = b"".join([view[spans[tag][0] : spans[tag][2]] for tag in tags if tag in spans])
        own_cut = own if unequal else b"".join([own[at:end] for at, _, end in relevant.of(own_spans)])
        key = (id(rules), encoding, upper, cut, unequal, own_cut)
        outcome = self._outcomes.get(key)
        if outcome is None:
            outcome = self._outcome_of(cut, encoding, kept, own_spans.keys() - set(tags), rules)
            if rules.is_repeatable:
                put_flushing(self._outcomes, key, outcome, _MAX_REMEMBERED)
        if outcome.changes_character_set:
            again, all_spans, end = self._recoded(source, encoding, kept, own_spans, tags, rules.selection, outcome)
            plan = splice_plan_of(again.edits, again.counted, all_spans, start, end)
            return plan.cut(source.view, source.size)
        plan = splice_plan_of(outcome.edits, outcome.counted, spans, start, scanned_to)
        if rules.is_repeatable and not unequal and encoding == EXPLICIT_LITTLE:
            self._remember_plan(spans, own_spans, relevant, cut, own, plan)
        return plan.cut(view, source.size)

    def _remember_plan(
        self,
        spans: Mapping[int, Span],
        own_spans: Mapping[int, Span],
        relevant: RelevantTags,
        cut: bytes,
        own: bytes,
        plan: SplicePlan,
    ) -> None:
        key = (id(spans), id(own_spans), id(relevant))
        of_layout = self._layout_plans.get(key)
        if of_layout is None:
            of_layout = LayoutPlans(spans, own_spans, relevant)  # it keeps the objects of its key alive
            put_flushing(self._layout_plans, key, of_layout, _MAX_LAYOUTS)
        if len(of_layout.plans) < _MAX_REMEMBERED:
            of_layout.plans[of_layout.key(cut, own)] = plan

    # -- relevant tags ------------------------------------------------------------------------------------------

    def _rules(self, selection: Selection) -> AppliedRules:
        rules = self._rules_of[id(selection)] = applied_rules(selection)
        return rules

    def _relevant(self, rules: AppliedRules, upper: tuple[bytes, ...], own: tuple[int, ...]) -> RelevantTags:
        key = (id(rules), upper, own)
        known = self._relevant_tags.get(key)
        if known is None:
            known = relevant_tags(rules, self._always, upper, own)
            put_flushing(self._relevant_tags, key, known, _MAX_REMEMBERED)
        return known

    # -- outcomes -----------------------------------------------------------------------------------------------

    def _outcome_of(
        self,
        cut: bytes,
        encoding: Encoding,
        kept: IndexedLevels | None,
        kept_out: Collection[int],
        rules: AppliedRules,
    ) -> CoercedElements:
        """Outcome of the elements in ``cut``, computed once for all series that share it."""
        concerned = rules.touched | self._always | {PIXEL_REPRESENTATION}
        part = None if kept is None or encoding != EXPLICIT_LITTLE else differing_parts(cut, kept, kept_out, concerned)
        if part is not None:
            key = (id(rules), *part)
            outcome = self._outcomes.get(key)
            if outcome is None:
                outcome = self._once_for_all(
                    part[0], kept, rules, encoding, key=part, attributes=partial(_decoded, part[1])
                )
                if rules.is_repeatable:
                    put_flushing(self._outcomes, key, outcome, _MAX_REMEMBERED)
            if not outcome.changes_character_set:  # which concerns elements outside of that part
                return outcome
        whole = (cut, kept, frozenset(kept_out))
        return self._once_for_all(
            cut, kept, rules, encoding, key=whole, attributes=partial(_attributes, kept, kept_out)
        )

    def _once_for_all(
        self,
        cut: bytes,
        kept: IndexedLevels | None,
        rules: AppliedRules,
        encoding: Encoding,
        *,
        key: tuple[Hashable, ...],
        attributes: Callable[[], Dataset | None],
    ) -> CoercedElements:
        """Like `_work_out`, or the outcome of an earlier retrieve with the same questions and answers.

        Beside rules and answers, ``key`` has all that decides; ``attributes`` decodes those of the index.
        """
        if self._memo is None or rules.identity is None:
            return self._work_out(cut, encoding, kept, attributes(), rules.selection)[0]
        whole_key = (rules.identity, self._whose, encoding, key)
        known = self._memo.get(whole_key)
        if known is not None and known.holds(self._answer):
            return known.elements
        outcome, asked = self._work_out(cut, encoding, kept, attributes(), rules.selection)
        length = _length(key) + outcome.length
        is_answered = not any(isinstance(answer, DependencyError) for _, answer in asked)
        if is_answered and length <= COERCED_OBJECT_BYTES:  # else it would keep alive what failed
            self._memo.put(whole_key, CachedOutcome(outcome, asked))
        return outcome

    def _work_out(
        self,
        cut: bytes,
        encoding: Encoding,
        kept: IndexedLevels | None,
        attributes: Dataset | None,
        selection: Selection,
    ) -> tuple[CoercedElements, QuestionsAndAnswers]:
        """Decode the elements in ``cut``, coerce them and compare; return the outcome and the questions."""
        self.decoded += 1
        ds = read(cut, encoding)
        local = character_set(ds)
        reworked = self._rework(ds, kept, attributes, selection)
        counted = keys_of(reworked.executed)
        if not reworked.changes:
            return CoercedElements((), counted, False), reworked.asked
        recodes = any(change.path == (SPECIFIC_CHARACTER_SET,) for change in reworked.changes)
        try:
            old, _ = scan(cut, encoding)
        except Unscannable as err:
            raise NeedsDecoding from err
        # Elements that were only read keep their bytes, even if pydicom would encode them differently.
        edits: list[tuple[int, bytes | None]] = []
        for tag, element in encoded_elements(ds, changed_tags(ds, old, reworked.changes, local)).items():
            before = cut[old[tag][0] : old[tag][2]] if tag in old else None
            after = None if element is None else encoded_element(element, encoding, {})
            if after != before:
                edits.append((tag, after))
        return CoercedElements(tuple(edits), counted, recodes), reworked.asked

    def _recoded(
        self,
        source: ObjectBytes,
        encoding: Encoding,
        kept: IndexedLevels | None,
        own: Iterable[int],
        tags: tuple[int, ...],
        selection: Selection,
        outcome: CoercedElements,
    ) -> tuple[CoercedElements, Mapping[int, Span], int]:
        """Like `reworked`, for an object that gets another character set: all of its text is recoded."""
        try:
            spans, scanned_to = scan(source, encoding, start=source.start, end=source.size)
        except Unscannable as err:
            raise NeedsDecoding from err
        view = source.view
        foreign: set[int] = set()
        sets = [value_of(view, spans, SPECIFIC_CHARACTER_SET)]
        sets += [new or b"" for tag, new in outcome.edits if tag == SPECIFIC_CHARACTER_SET]
        is_ascii_the_same = not any(b"IR 13" in codes for codes in sets)
        for tag, span in spans.items():
            while span[1] > len(view):
                # Its header must be in memory, to see if it is text.
                view = _further(source)
            if tag in tags or not is_text(view, tag, span, encoding):
                continue
            while span[2] > len(view):
                view = _further(source)
            if is_concerned(view, span, is_ascii_the_same):
                foreign.add(tag)
        if not foreign:
            return outcome, spans, scanned_to
        if any(tag >> 16 & 1 for tag in foreign):
            raise NeedsDecoding  # the VR of a private element depends on its creator
        all_tags = sorted({*tags, *foreign})
        cut = b"".join(view[spans[tag][0] : spans[tag][2]] for tag in all_tags if tag in spans)
        attributes = _attributes(kept, set(own) - set(all_tags))
        return self._work_out(cut, encoding, kept, attributes, selection)[0], spans, scanned_to


def _length(key: Hashable) -> int:
    """Octets in a key."""
    if isinstance(key, bytes):
        return len(key)
    return sum(map(_length, key)) if isinstance(key, tuple) else 0


def _decoded(attributes: bytes | None) -> Dataset | None:
    return None if attributes is None else read(attributes, EXPLICIT_LITTLE)


def _attributes(kept: IndexedLevels | None, kept_out: Iterable[int]) -> Dataset | None:
    if kept is None:
        return None
    attributes = merged(kept)
    for tag in kept_out:
        del attributes[tag]
    return attributes


def _further(source: ObjectBytes) -> memoryview:
    """Read more of the object."""
    if not source.look_further():
        raise NeedsDecoding
    return source.view
