"""Attributes of the index in an object that leaves.

An object says itself what is true of it. Of what the index keeps for its patient, study and series it takes what the
dcmAttributeUpdatePolicy of the filter says, as the index did when the object came: SUPPLEMENT fills in what it lacks,
MERGE and OVERWRITE put the latest value in place of its own, PRESERVE, which is the default, changes nothing. What is
kept of the instance is the object's own. And of a patient who is somebody else it takes nothing at all.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pydicom import Dataset

from dcm4py_leading.archive.identity import are_two_people
from dcm4py_leading.archive.index import IndexedInstance
from dcm4py_leading.archive.kept import Keeper
from dcm4py_leading.archive.keys import LEVELS
from dcm4py_leading.coercion.changes import Change
from dcm4py_leading.coercion.update import plan_update_with_identifier_groups
from dcm4py_leading.model.coercion import UpdatePolicy
from dcm4py_leading.model.values import Level

_NOTHING = b""


class KeptAttributes:
    """Attributes that a configuration lets the index put into objects."""

    def __init__(self, keeper: Keeper) -> None:
        self._two_people = partial(are_two_people, policy=keeper.policy_of_corrections)
        self._policies = {
            level: policy
            for level in LEVELS
            if level is not Level.IMAGE and (policy := keeper.update_policy(level)) is not UpdatePolicy.PRESERVE
        }
        below: frozenset[int] = frozenset()
        self._tags: dict[Level, frozenset[int]] = {}
        for level in reversed(LEVELS):
            self._tags[level] = keeper.tags[level] - below  # what is kept nearer to the object is that object's own
            below |= keeper.tags[level]

    def that_count(self, instance: IndexedInstance) -> IndexedInstance:
        """The instance with the attributes of those levels alone that may change an object."""
        attributes = instance.encoded_attributes
        counted = tuple(
            encoded if level in self._policies else _NOTHING for level, encoded in zip(LEVELS, attributes, strict=True)
        )
        return instance._replace(encoded_attributes=counted)

    def update(self, ds: Dataset, attributes: Dataset, apply: Callable[[list[Change]], None]) -> None:
        """Change ``ds``, an object or the part of it that counts, as the index's ``attributes`` want it.

        ``apply`` makes the changes, level by level.
        """
        for level, policy in self._policies.items():
            if level is Level.PATIENT and self._two_people(attributes, ds):
                continue
            apply(plan_update_with_identifier_groups(ds, attributes, policy, only=self._tags[level]))
