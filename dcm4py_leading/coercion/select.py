"""Selection of the rules that apply to a message, and for each other rule the reason why it does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom import Dataset

from dcm4py_leading.coercion.context import CoercionContext, Peer
from dcm4py_leading.coercion.rules import CompiledRule
from dcm4py_leading.errors import CoercionFailed
from dcm4py_leading.model.coercion import CoercionRule, CoercionRule2

__all__ = ["CoercionContext", "Peer", "Selection", "Verdict", "select_rules"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Verdict on one rule: it applies, or the reason why not."""

    rule: CompiledRule
    decided_by: str | None = None
    """The first thing that did not hold; None: the rule applies."""

    @property
    def matched(self) -> bool:
        """True if the rule applies."""
        return self.decided_by is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Rules selected for one message: the verdicts on all rules, in order of evaluation."""

    context: CoercionContext
    verdicts: tuple[Verdict, ...] = ()

    @property
    def applied(self) -> tuple[CompiledRule, ...]:
        """The legacy rule that applies, if there is one, then every version-2 rule that applies, by priority."""
        matched = [verdict.rule for verdict in self.verdicts if verdict.matched]
        return tuple(sorted(matched, key=lambda rule: not isinstance(rule.rule, CoercionRule)))

    @property
    def retrieve_as_received(self) -> bool:
        """True if attributes of the index are not merged into the object."""
        return any(step.traits.omits_indexed for rule in self.applied for step in rule.steps)


def select_rules(
    rules: Sequence[CompiledRule], context: CoercionContext, ds: Dataset, *, compat_5_35: bool = False
) -> Selection:
    """The rules that apply to a message with ``ds``, out of ``rules`` in their order (`rules.rules_for`).

    Selects the first matching legacy rule, and all matching version-2 rules. ``compat_5_35``: as in dcm4chee-arc 5.35,
    no legacy rule if a version-2 rule matches. Raises CoercionFailed, with the rule, if a condition cannot be
    evaluated.
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
    if compat_5_35:
        verdicts = _without_hidden(verdicts)
    return Selection(context=context, verdicts=tuple(verdicts))


def _without_hidden(verdicts: Sequence[Verdict]) -> list[Verdict]:
    hiding = next((v.rule for v in verdicts if v.matched and isinstance(v.rule.rule, CoercionRule2)), None)
    if hiding is None:
        return list(verdicts)
    decided_by = f"--compat 5.35: version-2 rule {hiding.rule.cn} matches"
    return [
        Verdict(rule=v.rule, decided_by=decided_by) if v.matched and isinstance(v.rule.rule, CoercionRule) else v
        for v in verdicts
    ]


def _decided_by(compiled: CompiledRule, context: CoercionContext, ds: Dataset) -> str | None:
    rule = compiled.rule
    if rule.dimse is not context.dimse:
        return f"dcmDIMSE={rule.dimse.value}"
    if rule.transfer_role is not context.transfer_role:
        return f"dicomTransferRole={rule.transfer_role.value}"
    if rule.sop_classes and context.sop_class not in rule.sop_classes:
        return f"dcmSOPClass={' '.join(sorted(rule.sop_classes))}"
    try:
        for condition in compiled.conditions:
            if not condition.holds(context, ds):
                return f"dcmProperty={condition.text}"
    except CoercionFailed as err:
        raise CoercionFailed(f"rule {rule.cn}: {err}") from err
    return None
