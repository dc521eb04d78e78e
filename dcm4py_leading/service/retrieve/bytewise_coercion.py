"""The coercion of the objects of a retrieve on their bytes.

What index and rules do to an object depends on a few of its elements only: those that the steps say they read or write,
and those that the index keeps. They are cut out of the file, and their bytes are the key of what became of them. The
objects of a series have the same, so that the first one alone is decoded, coerced and encoded; of the others the
changed elements are replaced where they lie.

Where that does not do (a step that reads everything, an object out of order) `BytewiseCoercion.reworked` gives up, and
the whole object goes through pydicom.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.datadict import dictionary_VR

from dcm4py_leading.archive.index.attributes import merged
from dcm4py_leading.archive.index.edits import edited_tags
from dcm4py_leading.coercion.chain import Executed
from dcm4py_leading.coercion.changes import Change
from dcm4py_leading.coercion.original_attributes import ORIGINAL_ATTRIBUTES_SEQUENCE
from dcm4py_leading.coercion.select import Selection
from dcm4py_leading.coercion.tags import All
from dcm4py_leading.coercion.update import IDENTIFIER_GROUPS
from dcm4py_leading.dataset.data_sets import read
from dcm4py_leading.dataset.encoder import encoded_element
from dcm4py_leading.dataset.layout import Layouts
from dcm4py_leading.dataset.object_bytes import ObjectBytes
from dcm4py_leading.dataset.pydicom_bridge import encoded_elements
from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE, Buffer, Encoding, Span, Unscannable, scan
from dcm4py_leading.dataset.splice import Edits
from dcm4py_leading.dataset.text.charset import SPECIFIC_CHARACTER_SET, character_set
from dcm4py_leading.dataset.text.unreadable import UNREADABLE
from dcm4py_leading.service.retrieve.differing import differing
from dcm4py_leading.service.retrieve.splice_plans import Cut, LayoutPlans, Recipe, RelevantTags, recipe_of
from dcm4py_leading.service.retrieve.whole import changed_tags

_PIXEL_RELATED = 0x7FE00000
_PIXEL_REPRESENTATION = 0x00280103
_MAX_REMEMBERED = 2048
_MAX_SHAPES = 256
_END = 1 << 32
_NO_SPANS: Mapping[int, Span] = {}
_TEXT_VRS = frozenset({b"LO", b"LT", b"PN", b"SH", b"ST", b"UC", b"UT", b"SQ", b"UN"})
"""VRs of what a change of the character set may concern, and of what may hold it (PS3.5 6.1.2.2)."""


class NeedsDecoding(Exception):
    """This object has to be decoded as a whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reworked:
    """Data set after the rules."""

    changes: tuple[Change, ...]
    """Nothing where it stays as it is."""
    executed: tuple[Executed, ...]


Kept = tuple[bytes, ...]
"""Attributes of patient, study, series and instance in the index, encoded; those of a level that do not count: none."""
Rework = Callable[[Dataset, Kept | None, Dataset | None, Selection], Reworked]
"""Changes a data set as what the index has, if it counts, and the selected rules want. Raises CoercionFailed.

The data set beside what the index has are those of its attributes that count.
"""


@dataclass(frozen=True, slots=True)
class _Outcome:
    edits: Edits
    executed: tuple[Executed, ...]
    changes_character_set: bool


@dataclass(frozen=True, slots=True)
class _Plan:
    """Plan for the rules of one selection."""

    selection: Selection
    touched: frozenset[int]
    is_repeatable: bool
    retrieve_as_received: bool


class BytewiseCoercion:
    """The coercion of the objects of one retrieve. Remembers outcomes, and may be used by several threads."""

    def __init__(self, rework: Rework, *, tells_original_attributes: bool) -> None:
        """``rework`` is what is done to a decoded data set."""
        self._rework = rework
        self._always = {SPECIFIC_CHARACTER_SET}
        if tells_original_attributes:
            self._always.add(ORIGINAL_ATTRIBUTES_SEQUENCE)
        self._plans: dict[int, _Plan] = {}
        self._concerns: dict[tuple[int, tuple[bytes, ...], tuple[int, ...]], RelevantTags] = {}
        self._shapes: dict[tuple[int, int, int], LayoutPlans] = {}
        self._layouts = Layouts()
        self._own_layouts = Layouts()
        self._outcomes: dict[object, _Outcome] = {}
        self.decoded = 0
        """Number of times that pydicom was needed."""

    def reworked(self, source: ObjectBytes, encoding: Encoding, kept: Kept | None, selection: Selection) -> Cut:
        """Outcome for the object. Raises NeedsDecoding, CoercionFailed, StorageUnavailable.

        ``kept`` is what the index has of the object, None where it is not here.
        """
        plan = self._plans.get(id(selection)) or self._plan(selection)
        upper: tuple[bytes, ...] = ()
        own, own_spans = b"", _NO_SPANS
        if plan.retrieve_as_received:
            kept = None
        if kept is not None:
            upper, own = kept[:-1], kept[-1]
            if own:
                own_spans, _ = self._own_layouts.scan(memoryview(own), EXPLICIT_LITTLE, start=0, stop_before=_END)
        concern = self._concern(plan, upper, tuple(own_spans))
        try:
            # Nothing of what is edited may stand in the rest once more.
            spans, scanned_to = self._layouts.scan_object(
                source, encoding, stop_before=concern.stop_before, is_rest_checked=True
            )
        except Unscannable as err:
            raise NeedsDecoding from err
        view = source.view
        shape = self._shapes.get((id(spans), id(own_spans), id(concern)))
        recipe = None if shape is None else shape.find(view, own)
        if recipe is not None:
            return recipe.cut(view, source.size)
        try:
            return self._looked_at(source, encoding, kept, plan, concern, spans, scanned_to, own_spans)
        except UNREADABLE as err:
            raise NeedsDecoding from err  # odd within a sequence, which is read leniently where the whole object is

    def _looked_at(
        self,
        source: ObjectBytes,
        encoding: Encoding,
        kept: Kept | None,
        plan: _Plan,
        concern: RelevantTags,
        spans: dict[int, Span],
        scanned_to: int,
        own_spans: Mapping[int, Span],
    ) -> Cut:
        """As `reworked`, for an object of which not everything is known."""
        view, start = source.view, source.start
        upper, own = ((), b"") if kept is None else (kept[:-1], kept[-1])
        tags = concern.tags
        unequal = _unequal(view, encoding, spans, own, own_spans, concern.own)
        if unequal:
            tags = tuple(sorted({*tags, *unequal}))
        cut = b"".join([view[spans[tag][0] : spans[tag][2]] for tag in tags if tag in spans])
        key = (id(plan), encoding, upper, cut, unequal, own if unequal else b"")
        outcome = self._outcomes.get(key)
        if outcome is None:
            outcome = self._outcome_of(cut, encoding, kept, own_spans.keys() - set(tags), plan)
            if plan.is_repeatable:
                self._remember(key, outcome)
        if outcome.changes_character_set:
            again, all_spans, end = self._recoded(source, encoding, kept, own_spans, tags, plan.selection, outcome)
            recipe = recipe_of(again.edits, again.executed, all_spans, start, end)
            return recipe.cut(source.view, source.size)
        recipe = recipe_of(outcome.edits, outcome.executed, spans, start, scanned_to)
        if plan.is_repeatable and not unequal and encoding == EXPLICIT_LITTLE:
            self._remember_recipe(spans, own_spans, concern, cut, own, recipe)
        return recipe.cut(view, source.size)

    def _remember_recipe(
        self,
        spans: Mapping[int, Span],
        own_spans: Mapping[int, Span],
        concern: RelevantTags,
        cut: bytes,
        own: bytes,
        recipe: Recipe,
    ) -> None:
        key = (id(spans), id(own_spans), id(concern))
        shape = self._shapes.get(key)
        if shape is None:
            if len(self._shapes) >= _MAX_SHAPES:
                self._shapes.clear()
            # It keeps alive what its key names.
            shape = self._shapes[key] = LayoutPlans(spans, own_spans, concern)
        if len(shape.recipes) < _MAX_REMEMBERED:
            shape.recipes[shape.key(cut, own)] = recipe

    # -- what concerns whom -------------------------------------------------------------------------------------

    def _plan(self, selection: Selection) -> _Plan:
        plan = self._plans[id(selection)] = _plan_of(selection)
        return plan

    def _concern(self, plan: _Plan, upper: tuple[bytes, ...], own: tuple[int, ...]) -> RelevantTags:
        key = (id(plan), upper, own)
        known = self._concerns.get(key)
        if known is None:
            above = {tag for attributes in upper for tag in scan(attributes, EXPLICIT_LITTLE)[0]}
            grouped = {tag for group in IDENTIFIER_GROUPS if group[0] in above for tag in group}
            edited = frozenset().union(*map(edited_tags, upper))  # what was taken out is not there
            touched = plan.touched | self._always | above | grouped | edited
            if any(_has_several_vrs(tag) for tag in touched.union(own)):
                touched |= {_PIXEL_REPRESENTATION}
            last = max(touched.union(own))
            if last >= _PIXEL_RELATED or any(tag >> 16 & 1 for tag in touched.union(own)):
                raise NeedsDecoding
            if len(self._concerns) >= _MAX_REMEMBERED:
                self._concerns.clear()
            known = self._concerns[key] = RelevantTags(
                tuple(sorted(touched)), tuple(tag for tag in own if tag not in touched), last + 1
            )
        return known

    # -- what becomes of it -------------------------------------------------------------------------------------

    def _outcome_of(
        self, cut: bytes, encoding: Encoding, kept: Kept | None, kept_out: Collection[int], plan: _Plan
    ) -> _Outcome:
        """Outcome of the elements in ``cut``: worked out once for all series of a study that it is the same for."""
        concerned = plan.touched | self._always | {_PIXEL_REPRESENTATION}
        part = None if kept is None or encoding != EXPLICIT_LITTLE else differing(cut, kept, kept_out, concerned)
        if part is not None:
            key = (id(plan), *part)
            outcome = self._outcomes.get(key)
            if outcome is None:
                outcome = self._work_out(part[0], encoding, kept, read(part[1], EXPLICIT_LITTLE), plan.selection)
                if plan.is_repeatable:
                    self._remember(key, outcome)
            if not outcome.changes_character_set:  # which concerns what is not in that part
                return outcome
        return self._work_out(cut, encoding, kept, _attributes(kept, kept_out), plan.selection)

    def _work_out(
        self, cut: bytes, encoding: Encoding, kept: Kept | None, attributes: Dataset | None, selection: Selection
    ) -> _Outcome:
        """Decode the elements in ``cut``, do to them what is to be done, and compare."""
        self.decoded += 1
        ds = read(cut, encoding)
        local = character_set(ds)
        reworked = self._rework(ds, kept, attributes, selection)
        if not reworked.changes:
            return _Outcome((), reworked.executed, False)
        recodes = any(change.path == (SPECIFIC_CHARACTER_SET,) for change in reworked.changes)
        try:
            old, _ = scan(cut, encoding)
        except Unscannable as err:
            raise NeedsDecoding from err
        # What was only looked at keeps its bytes, whatever pydicom would make of them.
        edits: list[tuple[int, bytes | None]] = []
        for tag, element in encoded_elements(ds, changed_tags(ds, old, reworked.changes, local)).items():
            before = cut[old[tag][0] : old[tag][2]] if tag in old else None
            after = None if element is None else encoded_element(element, encoding, {})
            if after != before:
                edits.append((tag, after))
        return _Outcome(tuple(edits), reworked.executed, recodes)

    def _recoded(
        self,
        source: ObjectBytes,
        encoding: Encoding,
        kept: Kept | None,
        own: Iterable[int],
        tags: tuple[int, ...],
        selection: Selection,
        outcome: _Outcome,
    ) -> tuple[_Outcome, Mapping[int, Span], int]:
        """As `reworked`, where the object gets another character set: all of its text has to be in that."""
        try:
            spans, scanned_to = scan(source, encoding, start=source.start, end=source.size)
        except Unscannable as err:
            raise NeedsDecoding from err
        view = source.view
        foreign: set[int] = set()
        sets = [_value(view, spans, SPECIFIC_CHARACTER_SET)]
        sets += [new or b"" for tag, new in outcome.edits if tag == SPECIFIC_CHARACTER_SET]
        is_ascii_the_same = not any(b"IR 13" in codes for codes in sets)
        for tag, span in spans.items():
            while span[1] > len(view):
                # Its header has to be in view, to tell whether it is text.
                view = _further(source)
            if tag in tags or not _is_text(view, tag, span, encoding):
                continue
            while span[2] > len(view):
                view = _further(source)
            if _is_concerned(view, span, is_ascii_the_same):
                foreign.add(tag)
        if not foreign:
            return outcome, spans, scanned_to
        if any(tag >> 16 & 1 for tag in foreign):
            raise NeedsDecoding  # the VR of a private element depends on its creator
        all_tags = sorted({*tags, *foreign})
        cut = b"".join(view[spans[tag][0] : spans[tag][2]] for tag in all_tags if tag in spans)
        attributes = _attributes(kept, set(own) - set(all_tags))
        return self._work_out(cut, encoding, kept, attributes, selection), spans, scanned_to

    def _remember(self, key: object, outcome: _Outcome) -> None:
        if len(self._outcomes) >= _MAX_REMEMBERED:
            self._outcomes.clear()
        self._outcomes[key] = outcome


def _attributes(kept: Kept | None, kept_out: Iterable[int]) -> Dataset | None:
    if kept is None:
        return None
    attributes = merged(kept)
    for tag in kept_out:
        del attributes[tag]
    return attributes


def _further(source: ObjectBytes) -> memoryview:
    """More of the object."""
    if not source.look_further():
        raise NeedsDecoding
    return source.view


def _unequal(
    view: memoryview,
    encoding: Encoding,
    spans: Mapping[int, Span],
    own: bytes,
    own_spans: Mapping[int, Span],
    compared: Iterable[int],
) -> tuple[int, ...]:
    """Of the attributes that the index keeps for the instance alone, those that the object may have otherwise.

    They are different for each object, and mostly what the object has itself: then they change nothing.
    """
    if not compared:
        return ()
    unequal = []
    codes = _value(view, spans, SPECIFIC_CHARACTER_SET)
    own_codes = _value(own, own_spans, SPECIFIC_CHARACTER_SET)
    same_set = codes == own_codes
    is_ascii_the_same = b"IR 13" not in codes and b"IR 13" not in own_codes
    for tag in compared:
        start, value, end = own_spans[tag]
        span = spans.get(tag)
        expected = own[value:end]
        if (
            span is None
            or view[span[1] : span[2]] != expected
            or not (same_set or (is_ascii_the_same and expected.isascii()))
            or not encoding.is_little_endian
            or own[start + 4 : start + 6] == b"SQ"
        ):
            unequal.append(tag)
    return tuple(unequal)


def _plan_of(selection: Selection) -> _Plan:
    touched: set[int] = set()
    repeats = True
    for rule in selection.applied:
        for step in rule.steps:
            reads, writes = step.reads, step.writes
            if isinstance(reads, All) or isinstance(writes, All):
                raise NeedsDecoding
            touched |= reads | writes
            repeats = repeats and step.traits.is_repeatable
    return _Plan(selection, frozenset(touched), repeats, selection.retrieve_as_received)


def _has_several_vrs(tag: int) -> bool:
    try:
        return len(dictionary_VR(tag)) > 2
    except KeyError:
        return False


def _value(view: Buffer, spans: Mapping[int, Span], tag: int) -> bytes:
    span = spans.get(tag)
    return b"" if span is None else bytes(view[span[1] : span[2]])


def _is_text(view: memoryview, tag: int, span: Span, encoding: Encoding) -> bool:
    """True if the element may hold text."""
    start = span[0]
    if encoding.is_implicit_vr:
        try:
            vr = dictionary_VR(tag).encode()
        except KeyError:
            return False  # read as UN, which is left alone
    else:
        vr = bytes(view[start + 4 : start + 6])
    return vr in _TEXT_VRS and not (vr == b"UN" and tag >> 16 & 1)


def _is_concerned(view: memoryview, span: Span, is_ascii_the_same: bool) -> bool:
    """True if a change of the character set may change what the text of the element says."""
    _, value, end = span
    if not is_ascii_the_same:
        return value != end
    data = bytes(view[value:end])
    return not data.isascii() or b"\x1b" in data
