"""Explanation of a coercion: rules that matched, why others did not, steps that ran, values before and after.

Made from the records of the real coercion, so it always shows what happens.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Self

from pydicom import Dataset
from pydicom.uid import UID as PydicomUID

from dcm4py_leading.coercion.chain import ExecutedStep, Question, StepOutcome
from dcm4py_leading.coercion.changes import apply
from dcm4py_leading.coercion.context import CoercionContext, Peer
from dcm4py_leading.coercion.differences import Difference, DisplayedElement, differences
from dcm4py_leading.coercion.question import LeadingAnswer, LeadingQuestion
from dcm4py_leading.coercion.rules import CompiledRule
from dcm4py_leading.coercion.select import Selection, Verdict
from dcm4py_leading.coercion.steps.step import AnyStep, AskingStep
from dcm4py_leading.errors import CoercionFailed
from dcm4py_leading.model.coercion import CoercionRule2
from dcm4py_leading.model.values import AETitle

NOT_RUN = "not run"
"""Outcome of a rule that matched, but comes after a sufficient one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedRule:
    """One rule and whether it applies."""

    cn: str
    dn: str
    is_legacy: bool
    """dcmArchiveAttributeCoercion, else dcmArchiveAttributeCoercion2."""
    priority: int
    conditions: tuple[str, ...]
    """Its dcmProperty values."""
    decided_by: str | None
    """The first thing that did not hold; None: the rule matched."""
    found: str | None = None
    """The value, or values, that it did not hold for; None where a message is not of the rule's kind."""
    hidden_upstream_by: str | None = None
    """Name of the version-2 rule because of which dcm4chee-arc 5.35 would ignore this one."""

    @property
    def matched(self) -> bool:
        """True if the rule applies."""
        return self.decided_by is None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedStep:
    """One step of a rule that applies, and its outcome."""

    rule: str
    step: str
    outcome: str
    """``applied``, ``not applied``, ``failed``, ``not run``, or ``would ask AET`` where nobody was to be asked."""
    asked: AETitle | None = None
    """AE that was asked, or would be."""
    changes: int = 0
    """Number of changes that it made."""
    remark: str | None = None


@dataclass(frozen=True, slots=True)
class ExplainedAnswer:
    """Answer of a leading archive, and how it came about (a `leading.outcome.LookupOutcome` as text)."""

    answer: LeadingAnswer
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Data sets and steps of a coercion, for callers that need more than the explanation."""

    archived: Dataset
    """The attributes by which the rules' conditions went: those of the index, where it has any."""
    delivered: Dataset
    """The data set in the end; not sent where the coercion failed."""
    executed: tuple[ExecutedStep, ...]
    answers: Mapping[Question, ExplainedAnswer]
    """Answers of the leading archives that were asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Explanation of the coercion of one data set, without delivery or storage."""

    ae_title: AETitle
    """Our AE, whose rules these are."""
    context: CoercionContext
    rules: tuple[ExplainedRule, ...]
    """In the order in which they are looked at."""
    steps: tuple[ExplainedStep, ...]
    elements: tuple[Difference, ...]
    """Differences in the end."""
    failure: str | None = None
    """Why the request would fail (dcmCoercionOnFailure RETHROW); the last step run is the one that failed."""
    notes: tuple[str, ...] = ()
    trace: Trace | None = field(default=None, compare=False, repr=False)
    """None if it came without."""

    @property
    def has_failed(self) -> bool:
        """True if any step failed."""
        return self.failure is not None or any(step.outcome == StepOutcome.FAILED.value for step in self.steps)


def explained_rules(selection: Selection, ds: Dataset | None = None) -> tuple[ExplainedRule, ...]:
    """Every verdict on ``ds``, with a mark on legacy rules that dcm4chee would ignore."""
    hiding = next((v.rule.rule.cn for v in selection.verdicts if v.matched and _is_version_2(v)), None)
    return tuple(
        ExplainedRule(
            cn=verdict.rule.rule.cn,
            dn=verdict.rule.rule.dn,
            is_legacy=not _is_version_2(verdict),
            priority=verdict.rule.rule.rule_priority,
            conditions=tuple(condition.text for condition in verdict.rule.conditions),
            decided_by=verdict.decided_by,
            found=_found(verdict, selection.context, ds),
            hidden_upstream_by=hiding if verdict.matched and not _is_version_2(verdict) else None,
        )
        for verdict in selection.verdicts
    )


def _found(verdict: Verdict, context: CoercionContext, ds: Dataset | None) -> str | None:
    if verdict.decided_by is None or ds is None:
        return None
    if verdict.decided_by.startswith("dcmSOPClass="):
        return "unknown" if context.sop_class == "" else context.sop_class
    for condition in verdict.rule.conditions:
        if verdict.decided_by == f"dcmProperty={condition.text}":
            return condition.found_in(context, ds)
    return None


def _is_version_2(verdict: Verdict) -> bool:
    return isinstance(verdict.rule.rule, CoercionRule2)


def explained_steps(
    selection: Selection,
    start: Dataset,
    executed: Sequence[ExecutedStep],
    *,
    withheld: Collection[Question] = (),
    has_failed: bool = False,
) -> tuple[ExplainedStep, ...]:
    """The executed steps on ``start``, which is not changed, and the rules that were not reached.

    ``withheld`` are questions that were not asked; with ``has_failed`` the last step made the request fail.
    """
    ran = {id(done.rule) for done in executed}
    # A rule without steps is for a message that is not supported here.
    missed = [rule for rule in selection.applied if rule.steps and id(rule) not in ran]
    why = "a rule before it failed the request" if has_failed else "a rule before it was sufficient"
    return (
        *_ran(start, executed, selection.context, withheld),
        *(_not_run(rule, why) for rule in missed),
    )


def _ran(
    start: Dataset, executed: Sequence[ExecutedStep], context: CoercionContext, withheld: Collection[Question]
) -> Iterator[ExplainedStep]:
    at = deepcopy(start)
    for done in executed:
        # The data set is in the state in which the step ran, so this is the question that it asked.
        question = _question(done.step, at, context)
        asked = None if question is None else _whom(question)
        is_withheld = question is not None and question in withheld
        yield ExplainedStep(
            rule=done.rule.rule.cn,
            step=done.step.name,
            outcome=f"would ask {asked}" if is_withheld else done.outcome.value,
            asked=asked,
            changes=len(done.changes),
            remark=None if is_withheld else done.remark,
        )
        apply(at, done.changes)


def _question(step: AnyStep, ds: Dataset, context: CoercionContext) -> Question | None:
    if not isinstance(step, AskingStep):
        return None
    try:
        return step.question(ds, context)
    except CoercionFailed:
        return None


def _not_run(rule: CompiledRule, why: str) -> ExplainedStep:
    return ExplainedStep(
        rule=rule.rule.cn,
        step=" ".join(step.name for step in rule.steps),
        outcome=NOT_RUN,
        remark=why,
    )


def _whom(question: Question) -> AETitle:
    return question.leading_cfind_scp if isinstance(question, LeadingQuestion) else question.worklist_scp


def explained_elements(before: Dataset, after: Dataset) -> tuple[Difference, ...]:
    """Differences of the final data set, element by element."""
    return tuple(differences(before, after))


def to_json(explanation: Explanation) -> dict[str, object]:
    """The explanation as one JSON object."""
    context = explanation.context
    return {
        "aeTitle": explanation.ae_title,
        "message": {
            "dimse": context.dimse.value,
            "role": context.transfer_role.value,
            "sopClass": context.sop_class,
            "sending": _peer_json(context.sending),
            "receiving": _peer_json(context.receiving),
        },
        "rules": [
            {
                "cn": rule.cn,
                "dn": rule.dn,
                "objectClass": _object_class(rule),
                "priority": rule.priority,
                "conditions": list(rule.conditions),
                "matched": rule.matched,
                "decidedBy": rule.decided_by,
                **({} if rule.found is None else {"found": rule.found}),
                "ignoredUpstreamBecauseOf": rule.hidden_upstream_by,
            }
            for rule in explanation.rules
        ],
        "steps": [
            {
                "rule": step.rule,
                "step": step.step,
                "outcome": step.outcome,
                "asked": step.asked,
                "changes": step.changes,
                "remark": step.remark,
            }
            for step in explanation.steps
        ],
        "elements": [
            {
                "path": element.path,
                "tag": f"{element.tag:08X}",
                "keyword": element.keyword,
                "before": None if element.before is None else dict(element.before.json),
                "after": None if element.after is None else dict(element.after.json),
            }
            for element in explanation.elements
        ],
        "failure": explanation.failure,
        "notes": list(explanation.notes),
    }


def _object_class(rule: ExplainedRule) -> str:
    return "dcmArchiveAttributeCoercion" if rule.is_legacy else "dcmArchiveAttributeCoercion2"


def _peer_json(peer: Peer) -> dict[str, str | None]:
    return {"aeTitle": peer.ae_title, "host": peer.host}


def to_text(explanation: Explanation) -> str:
    """The explanation for a terminal."""
    context = explanation.context
    lines = [
        f"{context.dimse.value}, the other system as {context.transfer_role.value}, "
        + _sop_class_text(context.sop_class),
        f"from {_peer_text(context.sending)} to {_peer_text(context.receiving)}; rules of AE {explanation.ae_title}",
        *(f"note: {note}" for note in explanation.notes),
        "",
        "RULES",
        *_table([_rule_cells(rule) for rule in explanation.rules] or [("none",)]),
    ]
    lines += ["", "STEPS", *_table([_step_cells(step) for step in explanation.steps] or [("none",)])]
    if explanation.failure is not None:
        return "\n".join([*lines, "", f"FAILED: {explanation.failure}"])
    lines += [
        "",
        "ELEMENTS",
        *_table([_element_cells(element) for element in explanation.elements] or [("unchanged",)]),
    ]
    return "\n".join(lines)


def _sop_class_text(uid: str) -> str:
    return f"{PydicomUID(uid).name} ({uid})" if uid else "objects of unknown SOP class"


def _peer_text(peer: Peer) -> str:
    return f"{peer.ae_title or '(unknown AE)'} on {peer.host or '(unknown host)'}"


def _rule_cells(rule: ExplainedRule) -> tuple[str, ...]:
    if rule.decided_by is not None:
        why = rule.decided_by if rule.found is None else f"{rule.decided_by}, but it is {rule.found}"
    else:
        why = ", ".join(f"dcmProperty={text}" for text in rule.conditions) or "has no dcmProperty"
    if rule.hidden_upstream_by is not None:
        why += f"; dcm4chee-arc 5.35 ignores it, because version-2 rule {rule.hidden_upstream_by} matches"
    version = "legacy" if rule.is_legacy else "version 2"
    return ("matched" if rule.matched else "not matched", rule.cn, version, f"priority {rule.priority}", why)


def _step_cells(step: ExplainedStep) -> tuple[str, ...]:
    told = [f"asked {step.asked}"] if step.asked is not None and not step.outcome.startswith("would") else []
    if step.outcome == StepOutcome.APPLIED.value:
        told.append(f"{step.changes} change{'s' * (step.changes != 1)}")
    if step.remark is not None:
        told.append(step.remark)
    return (step.rule, step.step, step.outcome, "; ".join(told))


def _element_cells(element: Difference) -> tuple[str, ...]:
    tag = f"({element.tag >> 16:04X},{element.tag & 0xFFFF:04X})"
    return (tag, element.path, _value_text(element.before), "->", _value_text(element.after))


def _value_text(shown: DisplayedElement | None) -> str:
    return "(absent)" if shown is None else shown.text


_WIDEST = 64


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Rows in columns; wide cells are not cut."""
    widths = [min(_WIDEST, max(map(len, column))) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedExplanation:
    """An explanation in both forms; another process may have made it."""

    as_json: Mapping[str, object]
    as_text: str
    has_failed: bool

    @classmethod
    def of(cls, explanation: Explanation) -> Self:
        """The explanation, rendered."""
        return cls(as_json=to_json(explanation), as_text=to_text(explanation), has_failed=explanation.has_failed)
