"""The outcome of a trial as the page shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dcm4py_leading.coercion.chain import StepOutcome
from dcm4py_leading.coercion.explain import NOT_RUN
from dcm4py_leading.config.dn import dn_key
from dcm4py_leading.config.entry import Entry
from dcm4py_leading.service.studies.found import element_text
from dcm4py_leading.service.trying.trial import TrialResult
from dcm4py_leading.web.pages.places import below, entry_address, name_of

Json = Any
"""A JSON value."""

_OUTCOMES = {
    StepOutcome.APPLIED.value: "applied",
    StepOutcome.NOT_APPLIED.value: "not_applied",
    StepOutcome.FAILED.value: "failed",
    NOT_RUN: "not_run",
}
_WITHHELD = "withheld"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepView:
    """One step of a rule."""

    step: str
    outcome: str
    """Key of a text, such as ``applied``."""
    asked: str
    changes: int
    remark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleView:
    """One rule, in the order in which they are looked at."""

    name: str
    address: str
    """Page of the rule; empty for the one that is not saved."""
    is_unsaved: bool
    is_legacy: bool
    priority: int
    is_matched: bool
    conditions: tuple[str, ...]
    decided_by: str
    """The first condition that did not hold."""
    found: str
    hidden_upstream_by: str
    steps: tuple[StepView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A value, or a note in its place."""

    kind: str
    """``text``, or the key of a text: ``absent``, ``empty``, ``items``, ``bytes``."""
    text: str = ""
    count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementView:
    """An element before and after."""

    tag: str
    path: str
    before: Cell
    after: Cell
    change: str
    """Key of a text: ``changed``, ``added``, ``removed``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """All that the page shows of a trial."""

    rules: tuple[RuleView, ...]
    elements: tuple[ElementView, ...]
    unchanged: tuple[tuple[str, str, Cell], ...]
    """Tag, path and value."""
    notes: tuple[str, ...]
    failure: str
    has_failed: bool
    message: Mapping[str, Json]

    @property
    def matched(self) -> int:
        """Number of rules that apply."""
        return sum(rule.is_matched for rule in self.rules)


def outcomes_of(tried: TrialResult, device: Entry, unsaved: Entry | None) -> Outcomes:
    """View of a trial; ``device`` is ours, ``unsaved`` the rule that is not saved."""
    told = tried.explanation
    return Outcomes(
        rules=tuple(_rule(rule, told["steps"], device, unsaved) for rule in told["rules"]),
        elements=tuple(_element(element) for element in told["elements"]),
        unchanged=tuple((_tag(one["tag"]), one["path"], cell_of(one["value"])) for one in tried.unchanged),
        notes=tuple(told["notes"]),
        failure=told["failure"] or "",
        has_failed=tried.has_failed,
        message=told["message"],
    )


def _rule(
    rule: Mapping[str, Json], steps: Iterable[Mapping[str, Json]], device: Entry, unsaved: Entry | None
) -> RuleView:
    is_unsaved = unsaved is not None and dn_key(rule["dn"]) == unsaved.key
    address = entry_address(name_of(device), below(Entry(rule["dn"], {}), device))
    return RuleView(
        name=rule["cn"],
        address="" if is_unsaved else address,
        is_unsaved=is_unsaved,
        is_legacy=rule["objectClass"] == "dcmArchiveAttributeCoercion",
        priority=rule["priority"],
        is_matched=rule["matched"],
        conditions=tuple(rule["conditions"]),
        decided_by=(rule["decidedBy"] or "").removeprefix("dcmProperty="),
        found=rule.get("found", ""),
        hidden_upstream_by=rule["ignoredUpstreamBecauseOf"] or "",
        steps=_steps(rule, steps) if rule["matched"] else (),
    )


def _steps(rule: Mapping[str, Json], steps: Iterable[Mapping[str, Json]]) -> tuple[StepView, ...]:
    return tuple(
        StepView(
            step=step["step"],
            outcome=_OUTCOMES.get(step["outcome"], _WITHHELD),
            asked=step["asked"] or "",
            changes=step["changes"],
            remark=step["remark"] or "",
        )
        for step in steps
        if step["rule"] == rule["cn"]
    )


def _element(element: Mapping[str, Json]) -> ElementView:
    before, after = element["before"], element["after"]
    change = "added" if before is None else "removed" if after is None else "changed"
    return ElementView(
        tag=_tag(element["tag"]), path=element["path"], before=cell_of(before), after=cell_of(after), change=change
    )


def cell_of(shown: Mapping[str, Json] | None) -> Cell:
    """A value as `coercion.differences.DisplayedElement.json` has it."""
    if shown is None:
        return Cell(kind="absent")
    for kind, key in (("items", "items"), ("bytes", "length")):
        if key in shown:
            return Cell(kind=kind, count=shown[key])
    text = element_text(shown)
    return Cell(kind="text", text=text) if text else Cell(kind="empty")


def _tag(digits: str) -> str:
    return f"({digits[:4]},{digits[4:]})"


def titles_of_device(entries: Sequence[Entry], device: Entry) -> list[str]:
    """AE titles of a device."""
    return sorted(
        title
        for entry in entries
        if entry.is_a("dicomNetworkAE") and entry.key[1:] == device.key
        for title in entry.values("dicomAETitle")[:1]
    )
