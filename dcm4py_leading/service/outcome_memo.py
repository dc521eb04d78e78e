"""Cache of coercion outcomes of objects, shared by retrieves.

Equal elements, coerced by the same rules for the same peers with the same answers, have the same outcome, so nothing
has to be decoded. The leading archives are still asked on each retrieve; a new answer object invalidates the outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

from dcm4py_leading.bounded_cache import BoundedCache
from dcm4py_leading.coercion.question import Answer, Question
from dcm4py_leading.dataset.splice import Edits
from dcm4py_leading.model.bounds import COERCED_OBJECTS
from dcm4py_leading.service.counts import Key

QuestionsAndAnswers = tuple[tuple[Question, Answer], ...]
"""Questions that were asked, and the answers; kept, so that no other object has their identity."""


@dataclass(frozen=True, slots=True)
class CoercedElements:
    """Elements of an object after index and rules were applied."""

    edits: Edits
    counted: tuple[Key, ...]
    """The steps that were carried out, as they are counted."""
    changes_character_set: bool

    @property
    def length(self) -> int:
        """Octets of the new elements."""
        return sum(len(element) for _, element in self.edits if element is not None)


@dataclass(frozen=True, slots=True)
class CachedOutcome:
    """The outcome of an earlier retrieve."""

    elements: CoercedElements
    asked: QuestionsAndAnswers

    def holds(self, answer: Callable[[Question], Answer]) -> bool:
        """True if each question still has the same answer object."""
        return all(answer(question) is known for question, known in self.asked)


OutcomeMemo = BoundedCache[Hashable, CachedOutcome]
"""By which coercion it is: by which rules, for whom, and all elements that it may look at or change."""


def outcome_memo() -> OutcomeMemo:
    """An empty memory of outcomes."""
    return BoundedCache(COERCED_OBJECTS)
