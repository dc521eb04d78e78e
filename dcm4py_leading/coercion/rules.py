"""Compiling coercion rules when a configuration is loaded, so that nothing of them can fail at a request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dcm4py_leading.coercion.conditions import Condition, compile_condition
from dcm4py_leading.coercion.merge_attribute import MergeAttribute, UnsupportedFormat, compile_merge_attribute
from dcm4py_leading.coercion.schemes import LEGACY_ACTIONS, MESSAGES, SCHEMES, Message, is_offered
from dcm4py_leading.coercion.steps import LeadingStep, NullifyStep, Step
from dcm4py_leading.errors import ConfigInvalid, Problem, Severity
from dcm4py_leading.model.coercion import AnyRule, CoercionRule, CoercionRule2, Dimse
from dcm4py_leading.model.device import ApplicationEntity, Device
from dcm4py_leading.model.values import TransferRole

RETRIEVE = Message(Dimse.C_STORE_RQ, TransferRole.SCP)
"""The message whose legacy rules this version executes."""

_EXECUTED = frozenset({"dcmLeadingCFindSCP", "dcmNullifyTag", "dcmRetrieveAsReceived", "dcmMergeAttribute"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledRule:
    """A rule that is known to be right, with everything about it worked out."""

    rule: AnyRule
    conditions: tuple[Condition, ...] = ()
    steps: tuple[Step, ...] = ()
    """What it does, in order."""
    unexecuted: tuple[str, ...] = ()
    """What it demands and this version does not execute, by LDAP attribute or URI."""
    protective: bool = False
    """Whether something unexecuted keeps data from being seen: what the rule matches must not go out unchanged."""

    @property
    def needs_attributes(self) -> bool:
        """Whether it takes the data set to tell if the rule applies."""
        return any(condition.reads for condition in self.conditions)

    @property
    def needs_hosts(self) -> bool:
        """Whether it takes the host names of the peers to tell if the rule applies."""
        return any(condition.is_on_host for condition in self.conditions)

    @property
    def retrieve_as_received(self) -> bool:
        """dcmRetrieveAsReceived: the attributes of the index are not merged into the object."""
        return isinstance(self.rule, CoercionRule) and self.rule.retrieve_as_received


def rules_for(device: Device, ae: ApplicationEntity) -> tuple[CompiledRule, ...]:
    """The rules of ``ae``, compiled, in the order in which they are looked at.

    By priority, highest first; where it is the same, those of the AE before those of the device. Raises ConfigInvalid.
    """
    rules = (*ae.coercion_rules, *device.archive.coercion_rules)
    return compile_rules(sorted(rules, key=lambda rule: -rule.rule_priority))


def compile_rules(rules: Sequence[AnyRule]) -> tuple[CompiledRule, ...]:
    """Compile rules in the given order. Raises ConfigInvalid with everything that is wrong in all of them."""
    compiled: list[CompiledRule] = []
    problems: list[Problem] = []
    for rule in rules:
        compilation = _Compilation(rule)
        compiled.append(compilation.result())
        problems += compilation.problems
    if problems:
        raise ConfigInvalid(problems)
    return tuple(compiled)


def warnings(compiled: Sequence[CompiledRule]) -> list[Problem]:
    """One WARNING for each rule that is not executed in full."""
    return list(_unexecuted(compiled))


def _unexecuted(compiled: Sequence[CompiledRule]) -> Iterator[Problem]:
    for item in compiled:
        if not item.unexecuted:
            continue
        rule = item.rule
        reason = f"not executed by this version: {', '.join(item.unexecuted)}"
        if not is_offered(rule.dimse):
            reason = f"not applicable, there is no {rule.dimse.value} here: {', '.join(item.unexecuted)}"
        elif item.protective:
            reason += "; an operation that the rule matches is refused"
        yield Problem(dn=rule.dn, reason=reason, severity=Severity.WARNING)


class _Compilation:
    """One rule on its way; collects every problem instead of stopping at the first."""

    def __init__(self, rule: AnyRule) -> None:
        self._rule = rule
        self._message = Message(rule.dimse, rule.transfer_role)
        self._unexecuted: list[str] = []
        self._protective = False
        self.problems: list[Problem] = []

    def result(self) -> CompiledRule:
        if self._message not in MESSAGES:
            self._problem(
                "dicomTransferRole", self._rule.transfer_role.value, f"senseless with {self._rule.dimse.value}"
            )
        conditions = tuple(self._conditions())
        merge_attributes, unsupported = self._merge_attributes()
        steps: tuple[Step, ...] = ()
        if isinstance(self._rule, CoercionRule):
            steps = self._legacy_steps(self._rule, merge_attributes, unsupported)
        else:
            self._check_scheme(self._rule)
        return CompiledRule(
            rule=self._rule,
            conditions=conditions,
            steps=steps,
            unexecuted=tuple(self._unexecuted),
            protective=self._protective,
        )

    def _problem(self, attribute: str, value: str, reason: str) -> None:
        self.problems.append(Problem(dn=self._rule.dn, attribute=attribute, value=value, reason=reason))

    def _conditions(self) -> Iterator[Condition]:
        for text in sorted(self._rule.properties):
            try:
                yield compile_condition(text)
            except ValueError as err:
                self._problem("dcmProperty", text, str(err))

    def _merge_attributes(self) -> tuple[tuple[MergeAttribute, ...], str | None]:
        """The compiled dcmMergeAttribute values, and what is not built in one of them."""
        compiled: list[MergeAttribute] = []
        unsupported: str | None = None
        for text in self._rule.merge_attributes:
            try:
                compiled.append(compile_merge_attribute(text))
            except UnsupportedFormat as err:
                unsupported = unsupported or str(err)
            except ValueError as err:
                self._problem("dcmMergeAttribute", text, str(err))
        return tuple(compiled), unsupported

    def _legacy_steps(
        self, rule: CoercionRule, merge_attributes: tuple[MergeAttribute, ...], unsupported: str | None
    ) -> tuple[Step, ...]:
        for action in LEGACY_ACTIONS:
            if not action.is_wanted(rule):
                continue
            if self._message in MESSAGES and self._message not in action.messages:
                self._problem(action.attribute, self._message.label, "senseless for this DIMSE and role")
            is_merge = action.attribute == "dcmMergeAttribute"
            if is_merge and unsupported is not None:
                self._unexecuted.append(f"dcmMergeAttribute ({unsupported})")
            elif self._message != RETRIEVE or action.attribute not in _EXECUTED:
                self._unexecuted.append(action.attribute)
                self._protective |= self._message in action.protects
        if self._message != RETRIEVE:
            return ()
        # dcm4chee's order on retrieve: leading archive, nullify, merge attributes.
        steps: list[Step] = []
        if rule.leading_cfind_scp is not None:
            steps.append(LeadingStep(leading_cfind_scp=rule.leading_cfind_scp, policy=rule.attribute_update_policy))
        if rule.nullify_tags:
            steps.append(NullifyStep(tags=rule.nullify_tags))
        if unsupported is None:  # they belong together: all or none
            steps += merge_attributes
        return tuple(steps)

    def _check_scheme(self, rule: CoercionRule2) -> None:
        name, separator, specific = rule.uri.partition(":")
        scheme = SCHEMES.get(name)
        if not separator or scheme is None:
            self._problem("dcmURI", rule.uri, f"unknown scheme: expected one of {', '.join(s + ':' for s in SCHEMES)}")
            return
        if self._message in MESSAGES and self._message not in scheme.messages:
            self._problem("dcmURI", rule.uri, f"senseless for {self._message.label}")
        try:
            scheme.check(specific)
        except ValueError as err:
            self._problem("dcmURI", rule.uri, str(err))
        self._unexecuted.append(f"dcmURI {rule.uri}")
        self._protective = self._message in scheme.protects
