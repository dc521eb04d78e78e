"""Outcomes of coercion of the matches of a C-FIND, remembered: the same elements and answers give the same outcome.

Remembered are bytes and who changed them, so that a match that comes again is not decoded. The leading archives are
asked for each page all the same; an answer that is another object makes the coercion be done again.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from dcm4py_leading.bounded_cache import BoundedCache
from dcm4py_leading.coercion.chain import Answer, ExecutedStep
from dcm4py_leading.coercion.question import LeadingQuestion
from dcm4py_leading.coercion.select import Selection
from dcm4py_leading.errors import DependencyError
from dcm4py_leading.model.bounds import COERCED_MATCHES


@dataclass(frozen=True, slots=True)
class CachedCoercion:
    """The outcome."""

    selection: Selection
    asked: tuple[LeadingQuestion, ...]
    answers: tuple[Answer, ...]
    """Of the leading archives; kept, so that no other object has their identity."""
    executed: tuple[ExecutedStep, ...]
    edited: Mapping[int, bytes | None]
    """Each element that may be touched, as it is afterwards."""

    @property
    def length(self) -> int:
        """Octets of the elements."""
        return sum(len(element) for element in self.edited.values() if element is not None)

    @property
    def is_answered(self) -> bool:
        """True if each question had an answer. Else it is not remembered: it would keep alive what failed."""
        return not any(isinstance(answer, DependencyError) for answer in self.answers)

    def is_by(self, answers: tuple[Answer, ...]) -> bool:
        """True if it came from these very answers."""
        return len(answers) == len(self.answers) and all(
            one is other for one, other in zip(answers, self.answers, strict=True)
        )


@dataclass(frozen=True, slots=True)
class CachedFindAnswer:
    """The encoded answer that a match became."""

    coercion: CachedCoercion
    encoded: bytes


CoercionMemo = BoundedCache[bytes, CachedCoercion]
"""By whose messages they are, and the elements that the coercion may look at or change."""
AnswerMemo = BoundedCache[Hashable, CachedFindAnswer]
"""By all that an answer is made of: its form, whose messages, and the bytes of the match.

An answer holds while `CachedCoercion.is_by` does.
"""


def coercion_memo() -> CoercionMemo:
    """An empty memory of coercions."""
    return BoundedCache(COERCED_MATCHES)


def answer_memo() -> AnswerMemo:
    """An empty memory of answers."""
    return BoundedCache(COERCED_MATCHES)
