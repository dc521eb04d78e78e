"""Coercion of one data set by its rules, in order. Pure: it yields questions, which the caller answers."""

from __future__ import annotations

import enum
from collections.abc import Callable, Generator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field

from pydicom import Dataset
from pydicom.dataelem import DataElement

from dcm4py_leading.coercion.changes import Change, apply
from dcm4py_leading.coercion.question import Answer, LeadingAnswer, LeadingQuestion, Question, WorklistQuestion
from dcm4py_leading.coercion.rules import CompiledRule
from dcm4py_leading.coercion.select import Selection
from dcm4py_leading.coercion.steps.step import AnyStep, AskingStep, LeadingStep
from dcm4py_leading.errors import CoercionFailed, DependencyError
from dcm4py_leading.model.coercion import OnFailure
from dcm4py_leading.model.values import UID

__all__ = [
    "Answer",
    "CoercionResult",
    "ExecutedStep",
    "LeadingAnswer",
    "LeadingQuestion",
    "Question",
    "StepOutcome",
    "WorklistQuestion",
    "coercion",
    "questions",
    "run",
]


class StepOutcome(enum.Enum):
    """Outcome of a step."""

    APPLIED = "applied"
    NOT_APPLIED = "not applied"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutedStep:
    """One executed step of a rule, for `explain` and the metrics."""

    rule: CompiledRule
    step: AnyStep
    outcome: StepOutcome
    changes: tuple[Change, ...] = ()
    remark: str | None = None
    """Why it did not apply or failed; names AE titles, never values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoercionResult:
    """A data set after its coercion."""

    dataset: Dataset
    executed: tuple[ExecutedStep, ...] = ()
    previous: Mapping[int, DataElement | None] = field(default_factory=dict)
    """The attributes at the top that were changed, as they were; None if there was none."""

    @property
    def changes(self) -> tuple[Change, ...]:
        """All changes, in order."""
        return tuple(change for done in self.executed for change in done.changes)

    @property
    def remarks(self) -> tuple[str, ...]:
        """Remarks about steps that could not be carried out, with the reasons."""
        return tuple(done.remark for done in self.executed if done.remark is not None)


def coercion(
    ds: Dataset, selection: Selection, executed: list[ExecutedStep] | None = None
) -> Generator[Question, Answer, CoercionResult]:
    """Apply the selected rules to ``ds`` in place, which must be the caller's own copy.

    Yields questions and expects the answers by `send`. Each step sees the changes of earlier steps. No rule follows an
    applied rule that is sufficient (dcmCoercionSufficient). ``executed`` receives the executed steps, also a failed
    one. Raises CoercionFailed if a rule fails and rethrows (dcmCoercionOnFailure).
    """
    executed = [] if executed is None else executed
    previous: dict[int, DataElement | None] = {}
    for rule in selection.applied:
        applied = False
        failure: OnFailure | None = None
        for step in rule.steps:
            done, failure = yield from _execute(rule, step, ds, selection)
            executed.append(done)
            if failure is OnFailure.RETHROW:
                raise CoercionFailed(f"coercion rule {rule.rule.cn}: {done.remark}")
            applied = applied or done.outcome is StepOutcome.APPLIED
            for change in done.changes:
                top = change.path[0]
                if top not in previous:
                    previous[top] = deepcopy(ds.get(top))
            apply(ds, done.changes)
        if failure is OnFailure.SUFFICIENT or (applied and rule.sufficient):
            break
    return CoercionResult(dataset=ds, executed=tuple(executed), previous=previous)


def _execute(
    rule: CompiledRule, step: AnyStep, ds: Dataset, selection: Selection
) -> Generator[Question, Answer, tuple[ExecutedStep, OnFailure | None]]:
    """Run one step without applying its changes. The second value is the consequence of a failure; None: no failure."""
    context = selection.context

    def ended(outcome: StepOutcome, remark: str | None = None) -> ExecutedStep:
        return ExecutedStep(rule=rule, step=step, outcome=outcome, remark=remark)

    try:
        if isinstance(step, AskingStep):
            question = step.question(ds, context)
            if question is None:
                return ended(StepOutcome.NOT_APPLIED, f"{step.name}: nothing to ask about"), None
            answer = yield question
            if isinstance(answer, DependencyError):
                if rule.on_unavailable is OnFailure.RETHROW:
                    raise CoercionFailed(str(answer))
                return ended(StepOutcome.FAILED, f"no answer: {answer}"), rule.on_unavailable
            changes = step.changes_from(ds, answer, context)
            unknown = "unknown there" if answer is None else None
        else:
            changes, unknown = step.changes(ds, context), None
    except CoercionFailed as err:
        failure = OnFailure.RETHROW if step.traits.is_failure_final else rule.on_failure
        return ended(StepOutcome.FAILED, str(err)), failure
    if changes is None:
        return ended(StepOutcome.NOT_APPLIED, unknown), None
    return ExecutedStep(rule=rule, step=step, outcome=StepOutcome.APPLIED, changes=tuple(changes)), None


def questions(selection: Selection, study_instance_uid: UID) -> tuple[LeadingQuestion, ...]:
    """Questions to leading archives for objects of this study, to ask before the first object."""
    return tuple(
        step.question_about(study_instance_uid)
        for rule in selection.applied
        for step in rule.steps
        if isinstance(step, LeadingStep)
    )


def run(chain: Generator[Question, Answer, CoercionResult], answer: Callable[[Question], Answer]) -> CoercionResult:
    """Run a `coercion` to its end with ``answer``, which returns errors as answers instead of raising them."""
    try:
        question = next(chain)
        while True:
            question = chain.send(answer(question))
    except StopIteration as end:
        coerced: CoercionResult = end.value
        return coerced
