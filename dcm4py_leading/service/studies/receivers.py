"""AEs for which a rule of a leading archive has the last word about a study."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from pydicom import Dataset

from dcm4py_leading.coercion.context import CoercionContext
from dcm4py_leading.coercion.rules import CompiledRule
from dcm4py_leading.coercion.select import select_rules
from dcm4py_leading.coercion.steps.step import LeadingStep
from dcm4py_leading.dataset.normal import first_text
from dcm4py_leading.errors import CoercionFailed
from dcm4py_leading.model.coercion import Dimse, UpdatePolicy
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import TransferRole
from dcm4py_leading.service.runtime import Runtime

_SOP_CLASS_UID = 0x00080016
_OVERRIDING = (UpdatePolicy.MERGE, UpdatePolicy.OVERWRITE)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadingReceivers:
    """AEs to which a rule delivers the values of a leading archive."""

    rule: str
    """Its cn."""
    leading_cfind_scp: str
    receivers: tuple[str, ...]

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The value that passed between processes."""
        return cls(**{**value, "receivers": tuple(value["receivers"])})


def delivery_rules(runtime: Runtime, ae: ApplicationEntity) -> list[CompiledRule]:
    """The rules for what an AE of ours sends."""
    message = (Dimse.C_STORE_RQ, TransferRole.SCP)
    return [rule for rule in runtime.rules[ae.ae_title] if (rule.rule.dimse, rule.rule.transfer_role) == message]


def leading_steps(rules: Iterable[CompiledRule]) -> Iterator[tuple[CompiledRule, LeadingStep]]:
    """The rules that ask a leading archive, with the step that does."""
    for rule in rules:
        for step in rule.steps:
            if isinstance(step, LeadingStep):
                yield rule, step


def leading_receivers(
    runtime: Runtime,
    ae: ApplicationEntity,
    attributes: Dataset,
    receivers: Sequence[str],
    *,
    changed: frozenset[int] | None = None,
) -> tuple[LeadingReceivers, ...]:
    """Groups of ``receivers``, for the first object of a study with these attributes.

    With ``changed``, only for rules that take one of these attributes from the leading archive. A rule whose conditions
    cannot be evaluated counts as not applicable.
    """
    rules = delivery_rules(runtime, ae)
    if not any(leading_steps(rules)):
        return ()
    sending = runtime.peer_of(ae.ae_title)
    found: dict[tuple[str, str], list[str]] = {}
    for receiver in receivers:
        context = CoercionContext(
            dimse=Dimse.C_STORE_RQ,
            transfer_role=TransferRole.SCP,
            sop_class=first_text(attributes, _SOP_CLASS_UID) or "",
            sending=sending,
            receiving=runtime.peer_of(receiver),
        )
        try:
            selection = select_rules(rules, context, attributes, compat_5_35=runtime.options.compat_5_35)
        except CoercionFailed:
            continue
        for rule, step in leading_steps(selection.applied):
            if step.policy in _OVERRIDING and _concerns(step, changed):
                found.setdefault((rule.rule.cn, step.leading_cfind_scp), []).append(receiver)
    return tuple(
        LeadingReceivers(rule=rule, leading_cfind_scp=scp, receivers=tuple(titles))
        for (rule, scp), titles in found.items()
    )


def _concerns(step: LeadingStep, changed: frozenset[int] | None) -> bool:
    return changed is None or step.return_keys is None or not changed.isdisjoint(step.return_keys)
