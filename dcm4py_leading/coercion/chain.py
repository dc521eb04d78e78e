"""Coercing one data set: the steps one after the other, pure but for questions that the caller answers."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

from pydicom import Dataset

from dcm4py_leading.coercion.changes import Change, apply
from dcm4py_leading.coercion.question import LeadingAnswer, LeadingQuestion
from dcm4py_leading.coercion.select import Selection
from dcm4py_leading.coercion.steps import STUDY_INSTANCE_UID, LeadingStep
from dcm4py_leading.errors import LeadingUnavailable
from dcm4py_leading.model.values import UID

__all__ = ["Coerced", "LeadingAnswer", "LeadingQuestion", "coercion", "questions", "run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coerced:
    """A data set after its coercion."""

    dataset: Dataset
    changes: tuple[Change, ...]
    remarks: tuple[str, ...] = ()
    """What could not be done as the rules say, and why; names AE titles, never values."""


def coercion(ds: Dataset, selection: Selection) -> Generator[LeadingQuestion, LeadingAnswer, Coerced]:
    """Carry out the selected steps on ``ds``, which is the caller's own copy and is changed.

    Yields what has to be asked and expects to be sent the answer. Each step sees what those before it changed. Where
    the leading archive gives no answer, a legacy rule goes on without. Raises SubOperationFailed.
    """
    done: list[Change] = []
    remarks: list[str] = []
    for step in selection.steps:
        changes: list[Change] = []
        if isinstance(step, LeadingStep):
            uid = _study_instance_uid(ds)
            answer = (yield step.question(uid)) if uid is not None else None
            if isinstance(answer, Dataset):
                changes = step.changes(ds, answer)
            else:
                remarks.append(_remark(step, uid, answer))
        else:
            changes = step.changes(ds, selection.context)
        apply(ds, changes)
        done += changes
    return Coerced(dataset=ds, changes=tuple(done), remarks=tuple(remarks))


def questions(selection: Selection, study_instance_uid: UID) -> tuple[LeadingQuestion, ...]:
    """What the coercion of an object of this study will ask, to be asked before the first object."""
    return tuple(step.question(study_instance_uid) for step in selection.steps if isinstance(step, LeadingStep))


def run(
    chain: Generator[LeadingQuestion, LeadingAnswer, Coerced], answer: Callable[[LeadingQuestion], LeadingAnswer]
) -> Coerced:
    """Drive a `coercion` to its end with ``answer``, which returns LeadingUnavailable rather than raising it."""
    try:
        question = next(chain)
        while True:
            question = chain.send(answer(question))
    except StopIteration as end:
        coerced: Coerced = end.value
        return coerced


def _study_instance_uid(ds: Dataset) -> UID | None:
    element = ds.get(STUDY_INSTANCE_UID)
    try:
        return UID(str(element.value)) if element is not None and element.value else None
    except ValueError:
        return None


def _remark(step: LeadingStep, uid: UID | None, answer: LeadingUnavailable | None) -> str:
    if uid is None:
        return f"{step.leading_cfind_scp} not asked: the data set has no Study Instance UID"
    if answer is None:
        return f"{step.leading_cfind_scp} does not know the study"
    return str(answer)
