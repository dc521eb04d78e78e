"""Tags that index and rules use in an object: those that they read, and those that may change."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Set
from dataclasses import dataclass
from functools import lru_cache

from pydicom.datadict import dictionary_VR

from dcm4py_leading.archive.index.edits import edited_tags
from dcm4py_leading.coercion.select import Selection
from dcm4py_leading.coercion.tags import AllTags
from dcm4py_leading.coercion.update import IDENTIFIER_GROUPS
from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE, Span, scan

_PIXEL_RELATED = 0x7FE00000
PIXEL_REPRESENTATION = 0x00280103


class NeedsDecoding(Exception):
    """The object has to be decoded as a whole."""


@dataclass(frozen=True, slots=True)
class AppliedRules:
    """Properties of the selected rules for bytewise coercion."""

    selection: Selection
    touched: frozenset[int]
    is_repeatable: bool
    identity: Hashable
    """Stands for rules and peers, in other retrieves too; None where the outcome must not be remembered for them."""
    retrieve_as_received: bool


@dataclass(frozen=True, slots=True)
class RelevantTags:
    """Tags that index and rules use in an object."""

    tags: tuple[int, ...]
    """Tags that belong into the key."""
    own: tuple[int, ...]
    """Tags that the index keeps for the instance alone, where no step asks for them: to be compared."""
    stop_before: int
    """The first tag that need not be looked at."""

    def of(self, spans: Mapping[int, Span]) -> list[Span]:
        """Positions of the elements that belong to the key."""
        return [spans[tag] for tag in self.tags if tag in spans]


def applied_rules(selection: Selection) -> AppliedRules:
    """The rules that apply. Raises NeedsDecoding if a step may read or change any element."""
    touched: set[int] = set()
    repeats = timeless = True
    applied = selection.applied
    for rule in applied:
        for step in rule.steps:
            reads, writes = step.reads, step.writes
            if isinstance(reads, AllTags) or isinstance(writes, AllTags):
                raise NeedsDecoding
            touched |= reads | writes
            repeats = repeats and step.traits.is_repeatable
            timeless = timeless and step.traits.is_timeless
    # The rules live as long as their configuration, and so do cached values with them as key.
    identity = (selection.context, tuple(map(id, applied))) if timeless else None
    return AppliedRules(selection, frozenset(touched), repeats, identity, selection.retrieve_as_received)


def relevant_tags(
    rules: AppliedRules, always: Set[int], upper: tuple[bytes, ...], own: tuple[int, ...]
) -> RelevantTags:
    """The tags for objects with these levels in the index, and ``own`` for the instance. Raises NeedsDecoding."""
    above = {tag for attributes in upper for tag in scan(attributes, EXPLICIT_LITTLE)[0]}
    grouped = {tag for group in IDENTIFIER_GROUPS if group[0] in above for tag in group}
    edited = frozenset().union(*map(edited_tags, upper))  # removed attributes are not there
    touched = rules.touched | always | above | grouped | edited
    if any(_has_several_vrs(tag) for tag in touched.union(own)):
        touched |= {PIXEL_REPRESENTATION}
    last = max(touched.union(own))
    if last >= _PIXEL_RELATED or any(tag >> 16 & 1 for tag in touched.union(own)):
        raise NeedsDecoding
    return RelevantTags(tuple(sorted(touched)), tuple(tag for tag in own if tag not in touched), last + 1)


@lru_cache(maxsize=4096)
def _has_several_vrs(tag: int) -> bool:
    try:
        return len(dictionary_VR(tag)) > 2
    except KeyError:
        return False
