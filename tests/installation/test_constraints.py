"""What setup.cfg requires is all that is imported, and deploy/constraints.txt has it."""

from __future__ import annotations

import ast
import sys
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts.constraints import ROOT, TARGET, requirements


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


def imported() -> set[str]:
    """The top-level names of all modules that the package imports, those in functions included."""
    names: set[str] = set()
    for path in (ROOT / "dcm4py_leading").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module is not None and not node.level:
                names.add(node.module.partition(".")[0])
    return names


def test_every_module_that_is_imported_is_of_a_requirement() -> None:
    required = {canonicalize_name(requirement.name) for requirement in requirements()}
    # Those of pylibjpeg's extras.
    extras = {extra for requirement in requirements() for extra in requirement.extras}
    required |= {canonicalize_name(f"pylibjpeg-{extra}") for extra in extras}
    owners = packages_distributions()
    foreign = imported() - sys.stdlib_module_names - {"dcm4py_leading"}
    assert foreign
    missing = {name for name in foreign if not {canonicalize_name(owner) for owner in owners.get(name, ())} & required}
    assert missing == set()
