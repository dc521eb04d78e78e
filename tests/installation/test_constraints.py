"""deploy/constraints.txt has what setup.cfg wants."""

from __future__ import annotations

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts.constraints import TARGET, requirements


def constraints() -> dict[str, str]:
    """Version by name."""
    lines = (line for line in TARGET.read_text("utf-8").splitlines() if not line.startswith("#"))
    return {name: version for name, _, version in (line.partition("==") for line in lines)}


@pytest.mark.parametrize("requirement", requirements(), ids=lambda requirement: requirement.name)
def test_every_requirement_has_bounds_and_a_version_within_them(requirement: Requirement) -> None:
    assert sorted(bound.operator for bound in requirement.specifier) == ["<", ">="]
    version = constraints().get(canonicalize_name(requirement.name))
    assert version is not None, "run scripts/constraints.py"
    assert requirement.specifier.contains(version), "run scripts/constraints.py"
