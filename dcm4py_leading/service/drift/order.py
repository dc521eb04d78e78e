"""Order for a comparison: AE, leading archive, first date, rates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from dcm4py_leading.coercion.rules import CompiledRule
from dcm4py_leading.coercion.steps.step import LeadingStep
from dcm4py_leading.errors import DriftRefused
from dcm4py_leading.model.coercion import UpdatePolicy
from dcm4py_leading.model.device import ApplicationEntity, Device
from dcm4py_leading.model.values import AETitle
from dcm4py_leading.service.drift.comparison import Measure
from dcm4py_leading.service.drift.state import Subject

RATE, ELSEWHERE_RATE = 2.0, 1.0
"""C-FINDs a second where nobody says otherwise: to the leading archive, and to the archives behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftOrder:
    """Order for a comparison: of what, at which rates, and where the outcome goes."""

    local_ae: ApplicationEntity
    leading: AETitle
    policy: UpdatePolicy
    since: date | None = None
    """The earliest Study Date; None: all studies, those without one too."""
    rate: float = RATE
    """C-FINDs a second to the leading archive, at most."""
    elsewhere_rate: float = ELSEWHERE_RATE
    """C-FINDs a second to each archive that the AE stands in front of, at most."""
    csv_file: Path | None = None
    has_values: bool = False
    """With values in the CSV file: patient data."""
    state_file: Path | None = None
    is_new: bool = False
    """Begin anew where there is a state, too."""

    def subject(self, measure: Measure, archives: Iterable[str]) -> Subject:
        """Subject that a state file must be about; ``archives`` are those that are walked."""
        return {
            "ae": self.local_ae.ae_title,
            "archives": "\\".join(archives),
            "leading": self.leading,
            "policy": measure.policy.value,
            "attributes": " ".join(f"{tag:08X}" for tag in sorted(measure.tags)),
            "since": None if self.since is None else self.since.isoformat(),
            "csv": None if self.csv_file is None else str(self.csv_file.absolute()),
            "values": self.has_values,
        }


def ae_of(device: Device, text: str) -> ApplicationEntity:
    """The AE of the device. Raises DriftRefused."""
    title = _title(text)
    aes = {ae.ae_title: ae for ae in device.application_entities}
    if title not in aes:
        raise DriftRefused(f"the device has no {title}, but {', '.join(sorted(aes))}")
    return aes[title]


def leading_archives(rules: Sequence[CompiledRule]) -> dict[AETitle, UpdatePolicy]:
    """The leading archives that rules name, and by which policy the first rule of each changes an object."""
    steps = [step for rule in rules for step in rule.steps if isinstance(step, LeadingStep)]
    return {step.leading_cfind_scp: step.policy for step in reversed(steps)}


def leading_of(rules: Sequence[CompiledRule], text: str | None, ae: str) -> tuple[AETitle, UpdatePolicy]:
    """The archive to be asked, and by which policy its answer would change an object. Raises DriftRefused."""
    policies = leading_archives(rules)
    if text is not None:
        title = _title(text)
        return title, policies.get(title, UpdatePolicy.MERGE)
    if len(policies) != 1:
        named = f"name {', '.join(sorted(policies))}" if policies else "name no leading archive"
        raise DriftRefused(f"say which leading archive is to be asked; the rules of {ae} {named}")
    return next(iter(policies.items()))


def _title(text: str) -> AETitle:
    try:
        return AETitle(text)
    except ValueError as err:
        raise DriftRefused(f"AE title: {err}") from err
