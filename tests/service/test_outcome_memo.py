"""What became of objects before holds as long as each question has the very answer that it had."""

from __future__ import annotations

from pydicom import Dataset

from dcm4py_leading.coercion.question import Answer, LeadingQuestion, Question
from dcm4py_leading.model.bounds import COERCED_OBJECTS
from dcm4py_leading.model.values import UID, AETitle
from dcm4py_leading.service.outcome_memo import CachedOutcome, CoercedElements, outcome_memo

ELEMENTS = CoercedElements(((1, b"ab"), (2, None)), (), False)
QUESTIONS = [LeadingQuestion(AETitle("LEAD"), UID(f"1.2.{number}")) for number in range(2)]


def test_an_outcome_holds_for_the_very_answers_only() -> None:
    known, unknown = Dataset(), None
    outcome = CachedOutcome(ELEMENTS, tuple(zip(QUESTIONS, (known, unknown), strict=True)))

    def holds(*answers: Answer) -> bool:
        now: dict[Question, Answer] = dict(zip(QUESTIONS, answers, strict=True))
        return outcome.holds(now.__getitem__)

    assert holds(known, unknown)
    assert not holds(Dataset(), unknown)
    assert not holds(known, Dataset())
    assert not holds(unknown, unknown)


def test_an_outcome_without_questions_holds() -> None:
    answers: dict[Question, Answer] = {}
    assert CachedOutcome(ELEMENTS, ()).holds(answers.__getitem__)


def test_outcomes_are_bounded_in_number() -> None:
    memo, outcome = outcome_memo(), CachedOutcome(ELEMENTS, ())
    assert outcome.elements.length == 2
    for number in range(COERCED_OBJECTS + 1):
        memo.put(number, outcome)
    assert [memo.get(number) is outcome for number in (0, 1, COERCED_OBJECTS)] == [False, True, True]
