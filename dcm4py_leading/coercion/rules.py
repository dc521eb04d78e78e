"""Compilation of coercion rules when a configuration is loaded, so that errors are found before any request."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from dcm4py_leading.coercion.conditions import Condition, compile_condition
from dcm4py_leading.coercion.schemes import (
    LEGACY_ACTIONS,
    MESSAGES,
    SCHEMES,
    Environment,
    InvalidValues,
    MessageType,
    is_offered,
)
from dcm4py_leading.coercion.steps.step import AnyStep
from dcm4py_leading.errors import ConfigInvalid, Problem, Severity
from dcm4py_leading.model.coercion import AnyRule, CoercionRule, CoercionRule2, OnFailure
from dcm4py_leading.model.device import ApplicationEntity, Device


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledRule:
    """A rule that has been checked and compiled."""

    rule: AnyRule
    conditions: tuple[Condition, ...] = ()
    steps: tuple[AnyStep, ...] = ()
    """Steps of the rule, in order."""

    @property
    def sufficient(self) -> bool:
        """dcmCoercionSufficient: no rule follows after this one was applied. Always False for a legacy rule."""
        return isinstance(self.rule, CoercionRule2) and self.rule.coercion_sufficient

    @property
    def on_failure(self) -> OnFailure:
        """dcmCoercionOnFailure: consequence of a failed step. A legacy rule always rethrows."""
        return self.rule.coercion_on_failure if isinstance(self.rule, CoercionRule2) else OnFailure.RETHROW

    @property
    def on_unavailable(self) -> OnFailure:
        """Consequence of a question without answer. A legacy rule continues without it."""
        return self.rule.coercion_on_failure if isinstance(self.rule, CoercionRule2) else OnFailure.CONTINUE

    @property
    def is_timeless(self) -> bool:
        """True if the result depends only on message, elements and answers, not on the current time."""
        return all(condition.is_timeless for condition in self.conditions) and all(
            step.traits.is_timeless for step in self.steps
        )

    @property
    def needs_attributes(self) -> bool:
        """True if the data set is needed to tell if the rule applies."""
        return any(condition.reads for condition in self.conditions)

    @property
    def needs_hosts(self) -> bool:
        """True if the host names of the peers are needed to tell if the rule applies."""
        return any(condition.is_on_host for condition in self.conditions)


def rules_for(device: Device, ae: ApplicationEntity, environment: Environment) -> tuple[CompiledRule, ...]:
    """The compiled rules of ``ae``, in order of evaluation.

    By priority, highest first; with equal priority, rules of the AE before those of the device. Raises ConfigInvalid.
    """
    rules = (*ae.coercion_rules, *device.archive.coercion_rules)
    return compile_rules(sorted(rules, key=lambda rule: -rule.rule_priority), environment)


def compile_rules(rules: Sequence[AnyRule], environment: Environment) -> tuple[CompiledRule, ...]:
    """Compile rules in the given order. Raises ConfigInvalid with all their errors.

    For messages that this service does not support, only the conditions are checked; these rules have no steps.
    """
    compiled: list[CompiledRule] = []
    problems: list[Problem] = []
    for rule in rules:
        compilation = _Compilation(rule, environment)
        compiled.append(compilation.result())
        problems += compilation.problems
    if problems:
        raise ConfigInvalid(problems)
    return tuple(compiled)


def warnings(compiled: Sequence[CompiledRule]) -> list[Problem]:
    """One WARNING for each rule for a message that this service does not support."""
    return [
        Problem(
            dn=item.rule.dn,
            attribute="dcmDIMSE",
            value=item.rule.dimse.value,
            reason="not applicable: there is no such service here",
            severity=Severity.WARNING,
        )
        for item in compiled
        if not is_offered(item.rule.dimse)
    ]


class _Compilation:
    """Compilation of one rule; collects all problems instead of stopping at the first."""

    def __init__(self, rule: AnyRule, environment: Environment) -> None:
        self._rule = rule
        self._environment = environment
        self._message = MessageType(rule.dimse, rule.transfer_role)
        self.problems: list[Problem] = []

    def result(self) -> CompiledRule:
        rule = self._rule
        if self._message not in MESSAGES:
            self._problem("dicomTransferRole", rule.transfer_role.value, f"senseless with {rule.dimse.value}")
        conditions = tuple(self._conditions())
        steps = self._legacy_steps(rule) if isinstance(rule, CoercionRule) else self._scheme_step(rule)
        return CompiledRule(rule=rule, conditions=conditions, steps=tuple(steps))

    def _problem(self, attribute: str, value: str, reason: str) -> None:
        self.problems.append(Problem(dn=self._rule.dn, attribute=attribute, value=value, reason=reason))

    def _conditions(self) -> Iterator[Condition]:
        for text in sorted(self._rule.properties):
            try:
                yield compile_condition(text)
            except ValueError as err:
                self._problem("dcmProperty", text, str(err))

    def _legacy_steps(self, rule: CoercionRule) -> Iterator[AnyStep]:
        for action in LEGACY_ACTIONS:
            value = action.value(rule)
            if value is None:
                continue
            if self._message in MESSAGES and self._message not in action.messages:
                self._problem(action.attribute, value, f"senseless for {self._message.label}")
            elif is_offered(rule.dimse):
                yield from self._built(action.attribute, value, partial(action.build, rule, self._environment))

    def _scheme_step(self, rule: CoercionRule2) -> Iterator[AnyStep]:
        name, separator, specific = rule.uri.partition(":")
        scheme = SCHEMES.get(name)
        if not separator or scheme is None:
            self._problem("dcmURI", rule.uri, f"unknown scheme: expected one of {', '.join(s + ':' for s in SCHEMES)}")
        elif self._message in MESSAGES and self._message not in scheme.messages:
            self._problem("dcmURI", rule.uri, f"senseless for {self._message.label}")
        elif is_offered(rule.dimse):
            yield from self._built("dcmURI", rule.uri, partial(scheme.build, rule, specific, self._environment))

    def _built(self, attribute: str, value: str, build: Callable[[], AnyStep]) -> Iterator[AnyStep]:
        try:
            yield build()
        except InvalidValues as err:
            for wrong, reason in err.wrong:
                self._problem(err.attribute, wrong, reason)
        except ValueError as err:
            self._problem(attribute, value, str(err))
