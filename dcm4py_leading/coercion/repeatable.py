"""Test if a step does the same to the same, so that its outcome may be remembered."""

from __future__ import annotations

from dcm4py_leading.coercion.steps.issuer import SupplementIssuerStep
from dcm4py_leading.coercion.steps.merge_attribute import MergeAttributesStep
from dcm4py_leading.coercion.steps.step import AnyStep


def is_repeatable(step: AnyStep) -> bool:
    """False where a format gives something else each time; ``{now}`` counts as the same within one request."""
    if isinstance(step, MergeAttributesStep):
        return not any(merge.format is not None and merge.format.is_random for merge in step.merges)
    return not (isinstance(step, SupplementIssuerStep) and step.format.is_random)
