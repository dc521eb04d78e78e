"""Comparison of one study: the changes that the answer of the leading archive would make. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, replace

from pydicom import Dataset
from pydicom.datadict import keyword_for_tag

from dcm4py_leading.coercion.differences import Difference, differences
from dcm4py_leading.coercion.question import LeadingAnswer
from dcm4py_leading.coercion.steps.step import QUERY_CONTROL_ATTRIBUTES, STUDY_INSTANCE_UID
from dcm4py_leading.coercion.update import is_empty, plan_update_with_identifier_groups
from dcm4py_leading.dataset.text.charset import SPECIFIC_CHARACTER_SET
from dcm4py_leading.errors import CoercionFailed, LeadingMismatch, LeadingUnavailable, LeadingUnreadable
from dcm4py_leading.model.coercion import UpdatePolicy

_NEVER_COMPARED = frozenset({STUDY_INSTANCE_UID, SPECIFIC_CHARACTER_SET, *QUERY_CONTROL_ATTRIBUTES})


class Outcome(enum.Enum):
    """Outcome of the comparison of one study."""

    CURRENT = "current"
    """The leading archive would change nothing."""
    STALE = "stale"
    """It would change at least one attribute."""
    UNKNOWN = "unknown"
    """It does not know the study."""
    UNUSABLE = "unusable"
    """It answered with what cannot be read, or about another study."""
    UNASKED = "unasked"
    """It refused the question, or the study has no UID that could be asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """Attributes and policy of a comparison."""

    tags: frozenset[int]
    """The attributes."""
    policy: UpdatePolicy
    """dcmAttributeUpdatePolicy of the rule."""

    @classmethod
    def of(cls, return_keys: Iterable[int], kept: Iterable[int], policy: UpdatePolicy) -> Measure:
        """Measure by the return keys that the index has; for others the stored value is not known."""
        return cls(tags=frozenset(return_keys) & frozenset(kept) - _NEVER_COMPARED, policy=policy)

    def among(self, tags: Iterable[int]) -> Measure:
        """The measure with only these attributes."""
        return replace(self, tags=self.tags & frozenset(tags))


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A study and its outcome."""

    outcome: Outcome
    attributes: tuple[str, ...] = ()
    """Names of those that differ (see `name_of`), in the order of tags."""
    differences: tuple[Difference, ...] = ()
    """The same with values, within sequences too: patient data."""


def name_of(tag: int) -> str:
    """The keyword of an attribute, eight hexadecimal digits where there is none."""
    return keyword_for_tag(tag) or f"{tag:08X}"


def compare(archived: Dataset, answer: LeadingAnswer, measure: Measure) -> Compared:
    """The outcome for a study with the attributes ``archived``."""
    if answer is None:
        return Compared(outcome=Outcome.UNKNOWN)
    if isinstance(answer, LeadingUnavailable):
        is_answered = isinstance(answer, LeadingMismatch | LeadingUnreadable)
        return Compared(outcome=Outcome.UNUSABLE if is_answered else Outcome.UNASKED)
    try:
        planned = plan_update_with_identifier_groups(archived, answer, measure.policy, only=measure.tags)
    except CoercionFailed:
        return Compared(outcome=Outcome.UNUSABLE)
    before, after = Dataset(), Dataset()
    changed: list[int] = []
    for change in planned:
        tag = change.tag
        # A group may change other attributes too; an empty attribute instead of an absent one is no difference.
        if tag not in measure.tags or (is_empty(archived.get(tag)) and is_empty(change.element)):
            continue
        changed.append(tag)
        if tag in archived:
            before[tag] = archived[tag]
        if change.element is not None:
            after[tag] = change.element
    if not changed:
        return Compared(outcome=Outcome.CURRENT)
    return Compared(
        outcome=Outcome.STALE,
        attributes=tuple(map(name_of, changed)),
        differences=tuple(differences(before, after)),
    )
