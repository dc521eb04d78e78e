"""Which rules apply to a message, and for each other rule what decided against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom import Dataset

from dcm4py_leading.coercion.context import Context, Peer
from dcm4py_leading.coercion.rules import CompiledRule
from dcm4py_leading.coercion.steps import Step
from dcm4py_leading.errors import CoercionNotExecuted
from dcm4py_leading.model.coercion import CoercionRule

__all__ = ["Context", "Peer", "Selection", "Verdict", "select_rules"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether one rule applies."""

    rule: CompiledRule
    decided_by: str | None = None
    """The first thing that did not hold; None: the rule applies."""

    @property
    def matched(self) -> bool:
        """Whether the rule applies."""
        return self.decided_by is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The outcome for one message: verdicts on all rules, in the order in which they were looked at."""

    context: Context
    verdicts: tuple[Verdict, ...] = ()

    @property
    def applied(self) -> tuple[CompiledRule, ...]:
        """The legacy rule that applies, if there is one, then every version-2 rule that applies."""
        matched = [verdict.rule for verdict in self.verdicts if verdict.matched]
        return tuple(sorted(matched, key=lambda rule: not isinstance(rule.rule, CoercionRule)))

    @property
    def steps(self) -> tuple[Step, ...]:
        """What is done, in order."""
        return tuple(step for rule in self.applied for step in rule.steps)

    @property
    def retrieve_as_received(self) -> bool:
        """Whether the attributes of the index stay out of the object."""
        return any(rule.retrieve_as_received for rule in self.applied)

    def require_executed(self) -> None:
        """Raise CoercionNotExecuted when a rule applies that protects data in a way that is not built yet."""
        for rule in self.applied:
            if rule.protective:
                raise CoercionNotExecuted(
                    f"coercion rule {rule.rule.cn} demands what this version does not execute: "
                    f"{', '.join(rule.unexecuted)} ({rule.rule.dn})"
                )


def select_rules(rules: Sequence[CompiledRule], context: Context, ds: Dataset) -> Selection:
    """The rules that apply to a message with ``ds``, out of ``rules`` in their order (`rules.rules_for`).

    Of the legacy rules the first that matches, of the version-2 rules all.
    """
    verdicts: list[Verdict] = []
    first_legacy: CompiledRule | None = None
    for rule in rules:
        decided_by = _decided_by(rule, context, ds)
        if decided_by is None and isinstance(rule.rule, CoercionRule):
            if first_legacy is None:
                first_legacy = rule
            else:
                decided_by = f"legacy rule {first_legacy.rule.cn} comes first"
        verdicts.append(Verdict(rule=rule, decided_by=decided_by))
    return Selection(context=context, verdicts=tuple(verdicts))


def _decided_by(compiled: CompiledRule, context: Context, ds: Dataset) -> str | None:
    rule = compiled.rule
    if rule.dimse is not context.dimse:
        return f"dcmDIMSE={rule.dimse.value}"
    if rule.transfer_role is not context.transfer_role:
        return f"dicomTransferRole={rule.transfer_role.value}"
    if rule.sop_classes and context.sop_class not in rule.sop_classes:
        return f"dcmSOPClass={' '.join(sorted(rule.sop_classes))}"
    for condition in compiled.conditions:
        if not condition.holds(context, ds):
            return f"dcmProperty={condition.text}"
    return None
