"""Attributes of the index that are merged into an object when it is sent.

The dcmAttributeUpdatePolicy of the filter decides which attributes of patient, study and series are merged, as it did
when the object was stored: SUPPLEMENT adds missing attributes, MERGE and OVERWRITE replace the object's values by the
latest ones, PRESERVE (the default) changes nothing. Attributes of the instance are the object's own. If the patient in
the index is another person, nothing is merged.

Values that an administrator edited are merged under every policy; see `archive.index.edits`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from pydicom import Dataset

from dcm4py_leading.archive.index.attributes import decode
from dcm4py_leading.archive.index.edits import carry_edits, edited_tags, states_of
from dcm4py_leading.archive.index.identity import are_different_patients
from dcm4py_leading.archive.index.indexed_attributes import AttributeExtractor
from dcm4py_leading.archive.index.keys import LEVELS
from dcm4py_leading.coercion.changes import Change
from dcm4py_leading.coercion.original_attributes import ORIGINAL_ATTRIBUTES_SEQUENCE
from dcm4py_leading.coercion.update import plan_update_with_identifier_groups
from dcm4py_leading.model.coercion import UpdatePolicy
from dcm4py_leading.model.values import Level

_NOTHING = b""


class IndexAttributes:
    """Attributes of the index that a configuration merges into objects."""

    def __init__(self, keeper: AttributeExtractor) -> None:
        self._two_people = partial(are_different_patients, policy=keeper.policy_of_corrections)
        self._policies = {
            level: policy
            for level in LEVELS
            if level is not Level.IMAGE and (policy := keeper.update_policy(level)) is not UpdatePolicy.PRESERVE
        }
        below: frozenset[int] = frozenset()
        self._tags: dict[Level, frozenset[int]] = {}
        for level in reversed(LEVELS):
            self._tags[level] = keeper.tags[level] - below  # attributes of a lower level belong to the object itself
            below |= keeper.tags[level]
        self._editable = frozenset(
            level for level in (Level.PATIENT, Level.STUDY) if ORIGINAL_ATTRIBUTES_SEQUENCE not in keeper.tags[level]
        )
        self._last: tuple[tuple[bytes, ...], tuple[bytes, ...]] = (), ()

    def that_count(self, attributes: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """Attributes of an instance in the index, of the levels that may change an object."""
        upper = attributes[:-1]
        known, counted = self._last
        if upper != known:  # usually of the same series as the last ones
            counted = (*map(self._counted, LEVELS, upper), _NOTHING)
            self._last = upper, counted
        return counted

    def _counted(self, level: Level, encoded: bytes) -> bytes:
        return encoded if level in self._policies or self._is_edited(level, encoded) else _NOTHING

    def _is_edited(self, level: Level, encoded: bytes) -> bool:
        return level in self._editable and not edited_tags(encoded).isdisjoint(self._tags[level])

    def carry_edits(self, ds: Dataset, encoded: Sequence[bytes], apply: Callable[[list[Change]], None]) -> None:
        """Merge edited values into ``ds``; ``encoded`` are the attributes of its entities, from the top down.

        ``apply`` makes the changes.
        """
        for level, attributes in zip(LEVELS, encoded, strict=True):
            if not self._is_edited(level, attributes):
                continue
            if level is Level.PATIENT and all(self._two_people(state, ds) for state in states_of(decode(attributes))):
                continue
            carry_edits(ds, attributes, self._tags[level], apply)

    def update(self, ds: Dataset, attributes: Dataset, apply: Callable[[list[Change]], None]) -> None:
        """Merge the index's ``attributes`` into ``ds``, an object or the relevant part of it.

        ``apply`` makes the changes, level by level.
        """
        for level, policy in self._policies.items():
            if level is Level.PATIENT and self._two_people(attributes, ds):
                continue
            apply(plan_update_with_identifier_groups(ds, attributes, policy, only=self._tags[level]))
