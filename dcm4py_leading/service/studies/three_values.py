"""Values of each attribute of a study: in the archive, in the leading archive, and as delivered to an AE."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from dcm4py_leading.leading.outcome import LookupOutcome
from dcm4py_leading.service.studies.receivers import LeadingReceivers


class ValueSource(enum.Enum):
    """Source of the delivered value of an attribute."""

    ARCHIVE = "archive"
    """From the index; or it is the same there and in the stored object."""
    EDIT = "edit"
    """From the index, where it was edited."""
    OBJECT = "object"
    """From the stored object: the policy of the attribute filter leaves it its own."""
    RULE = "rule"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadingArchive:
    """Answer of one leading archive about the study."""

    ae_title: str
    outcome: str
    """A `leading.outcome.LookupOutcome`."""
    failure: str
    """Why there is no answer; empty if there is one."""
    is_known: bool
    """True if it has the study."""
    rule: str
    """Name of the rule that asks it on the way to the receiver; else of the first that names it."""
    is_applied: bool
    """True if that rule applies to what the receiver gets."""

    @property
    def is_last_known(self) -> bool:
        """True if it gives no answer now, and this is its last known answer."""
        return self.outcome == LookupOutcome.STALE_SERVED.value


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeValues:
    """One attribute; values are texts for display, None if absent."""

    tag: int
    keyword: str
    level: str
    """PATIENT or STUDY."""
    archived: str | None
    leading: tuple[str | None, ...]
    """In the order of `ThreeValues.leading`."""
    is_stale: tuple[bool, ...]
    """Likewise: True if the leading archive would change what the archive has."""
    delivered: str | None
    decider: ValueSource
    rule: str = ""
    """The rule that decided, and of a leading archive its AE title."""
    step: str = ""
    asked: str = ""
    overridden_by: str = ""
    """AE title of the leading archive that has the last word, so that an edit here does not reach the receiver."""
    overriding_rule: str = ""
    edited_at: str = ""
    """DT of the last edit here; empty if it was not edited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsideredRule:
    """A rule for delivered objects, and the condition that decided if it applies."""

    cn: str
    decided_by: str
    """The first thing that did not hold; empty where the rule applies."""
    found: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreeValues:
    """Values of a study in the archive, in leading archives, and as delivered to one AE."""

    ae_title: str
    receiver: str
    is_stored_here: bool
    patient_name: str
    leading: tuple[LeadingArchive, ...]
    attributes: tuple[AttributeValues, ...]
    rules: tuple[ConsideredRule, ...]
    led: tuple[LeadingReceivers, ...]
    failure: str
    """Why the receiver gets nothing; empty if it does."""
    notes: tuple[str, ...]

    def to_json(self) -> Any:
        """As JSON, for other processes."""
        told = asdict(self)
        for attribute in told["attributes"]:
            attribute["decider"] = attribute["decider"].value
        return told

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The value of which `to_json` made that."""
        attributes = [
            AttributeValues(
                **{
                    **one,
                    "leading": tuple(one["leading"]),
                    "is_stale": tuple(one["is_stale"]),
                    "decider": ValueSource(one["decider"]),
                }
            )
            for one in value["attributes"]
        ]
        return cls(
            **{
                **value,
                "leading": tuple(LeadingArchive(**one) for one in value["leading"]),
                "attributes": tuple(attributes),
                "rules": tuple(ConsideredRule(**one) for one in value["rules"]),
                "led": tuple(map(LeadingReceivers.from_json, value["led"])),
                "notes": tuple(value["notes"]),
            }
        )
