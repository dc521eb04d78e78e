"""Rules in the order in which they are applied, with those that another one hides."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.web.pages.places import name_of

LEGACY = "dcmArchiveAttributeCoercion"
VERSION_2 = "dcmArchiveAttributeCoercion2"


class Hiding(enum.Enum):
    """Degrees to which one rule hides another."""

    ALWAYS = "always"
    """Whenever the later one could apply, the earlier one does."""
    SOMETIMES = "sometimes"
    IN_DCM4CHEE = "in_dcm4chee"
    """dcm4chee-arc 5.35, and this service with ``--compat 5.35``, drop a legacy rule where a version-2 rule applies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden:
    """A rule that is not evaluated if an earlier one applies."""

    by: str
    """cn of the earlier one."""
    how: Hiding


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleEntry:
    """One rule as in the directory, valid or not."""

    entry: Entry
    is_of_ae: bool

    @property
    def name(self) -> str:
        """Its cn."""
        return name_of(self.entry)

    @property
    def is_legacy(self) -> bool:
        """True for dcmArchiveAttributeCoercion."""
        return self.entry.is_a(LEGACY)

    @property
    def priority(self) -> int:
        """dcmRulePriority; 0 where it cannot be read."""
        try:
            return int(self.one("dcmRulePriority") or 0)
        except ValueError:
            return 0

    @property
    def message(self) -> tuple[str, str]:
        """DIMSE and role."""
        return self.one("dcmDIMSE"), self.one("dicomTransferRole")

    @property
    def sop_classes(self) -> frozenset[str]:
        """UIDs; empty: any."""
        return frozenset(value.strip() for value in self.entry.values("dcmSOPClass"))

    @property
    def conditions(self) -> tuple[str, ...]:
        """Its dcmProperty, in the order in which they are looked at."""
        return tuple(sorted(self.entry.values("dcmProperty")))

    @property
    def is_last(self) -> bool:
        """True for a version-2 rule after which no other is looked at (dcmCoercionSufficient)."""
        return not self.is_legacy and self.one("dcmCoercionSufficient").upper() == "TRUE"

    def one(self, attribute: str) -> str:
        """The only value of an attribute; empty where it has none."""
        return next((value.strip() for value in self.entry.values(attribute)), "")


def in_order(of_ae: Iterable[Entry], of_device: Iterable[Entry]) -> list[RuleEntry]:
    """Rules in the order in which they are applied: legacy rules before those of version 2, each by priority; where it
    is the same, an AE's before the device's.

    The same order as `coercion.rules.rules_for` and `coercion.select.Selection.applied`.
    """
    found = [
        *_sorted(RuleEntry(entry=entry, is_of_ae=True) for entry in of_ae if is_rule(entry)),
        *_sorted(RuleEntry(entry=entry, is_of_ae=False) for entry in of_device if is_rule(entry)),
    ]
    return sorted(found, key=lambda rule: (not rule.is_legacy, -rule.priority))


def is_rule(entry: Entry) -> bool:
    """True if the entry is a rule of either version."""
    return entry.is_a(LEGACY) or entry.is_a(VERSION_2)


def hidden_among(rules: Sequence[RuleEntry], beside: Sequence[RuleEntry] = ()) -> dict[str, Hidden]:
    """By DN, the rules of ``rules``, in their order, that an earlier one hides.

    Of legacy rules only the first that matches is applied; of version-2 rules none after a sufficient one. What
    dcm4chee does otherwise is told of rules that are not hidden here; there ``beside`` counts too: rules of the AEs of
    a device.
    """
    found: dict[str, Hidden] = {}
    for index, rule in enumerate(rules):
        for earlier in rules[:index]:
            if earlier.is_legacy is not rule.is_legacy or not (earlier.is_legacy or earlier.is_last):
                continue
            how = _hiding(earlier, rule)
            if how is not None and (rule.entry.dn not in found or how is Hiding.ALWAYS):
                found[rule.entry.dn] = Hidden(by=earlier.name, how=how)
            if how is Hiding.ALWAYS:
                break
    for rule in rules:
        if rule.is_legacy and rule.entry.dn not in found:
            hiding = next(
                (other for other in (*rules, *beside) if not other.is_legacy and _hiding(other, rule) is not None), None
            )
            if hiding is not None:
                found[rule.entry.dn] = Hidden(by=hiding.name, how=Hiding.IN_DCM4CHEE)
    return found


def _hiding(earlier: RuleEntry, rule: RuleEntry) -> Hiding | None:
    """None if no message can match both rules, as far as can be told."""
    if earlier.message != rule.message or _exclude(earlier, rule):
        return None
    has_all_classes = not earlier.sop_classes or (rule.sop_classes and rule.sop_classes <= earlier.sop_classes)
    # A sufficient rule ends only where its step did something.
    is_certain = earlier.is_legacy and has_all_classes and set(earlier.conditions) <= set(rule.conditions)
    return Hiding.ALWAYS if is_certain else Hiding.SOMETIMES


def _exclude(one: RuleEntry, other: RuleEntry) -> bool:
    """True if SOP classes or conditions cannot hold for both."""
    if one.sop_classes and other.sop_classes and one.sop_classes.isdisjoint(other.sop_classes):
        return True
    wanted = dict(text.split("=", 1) for text in other.conditions if "=" in text)
    for text in one.conditions:
        key, equals, value = text.partition("=")
        opposite = key.removesuffix("!") if key.endswith("!") else f"{key}!"
        if equals and wanted.get(opposite) == value:
            return True
        if equals and key in wanted and not key.endswith("!") and _are_other_titles(key, value, wanted[key]):
            return True
    return False


def _are_other_titles(key: str, value: str, other: str) -> bool:
    """True for two plain AE titles that differ."""
    is_plain = all(text.replace("_", "").replace("-", "").isalnum() for text in (value, other))
    return key.endswith("ApplicationEntityTitle") and is_plain and value != other


def _sorted(rules: Iterable[RuleEntry]) -> list[RuleEntry]:
    return sorted(rules, key=lambda rule: (-rule.priority, rule.name.casefold(), rule.name))
