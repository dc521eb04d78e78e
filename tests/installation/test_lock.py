"""Requirements of setup.cfg: all that is imported, with the versions and digests that deploy/ has."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts.lock import BUILD_LOCK, CONSTRAINTS, LOCK, ROOT, requirements


def constraints() -> dict[str, str]:
    """Version by name."""
    lines = (line for line in CONSTRAINTS.read_text("utf-8").splitlines() if not line.startswith("#"))
    return {name: version for name, _, version in (line.partition("==") for line in lines)}


@pytest.mark.parametrize("requirement", requirements(), ids=lambda requirement: requirement.name)
def test_every_requirement_has_bounds_and_a_version_within_them(requirement: Requirement) -> None:
    assert sorted(bound.operator for bound in requirement.specifier) == ["<", ">="]
    version = constraints().get(canonicalize_name(requirement.name))
    assert version is not None, "run scripts/lock.py"
    assert requirement.specifier.contains(version), "run scripts/lock.py"


def locked(path: Path) -> dict[str, tuple[str, int]]:
    """Version and number of digests, by name, of a requirements file with digests."""
    text = re.sub(r"#.*\n", "", path.read_text("utf-8"))
    entries = re.findall(r"^(\S+)==(\S+)[^\\\n]*((?: \\\n    --hash=sha256:[0-9a-f]{64})*)$", text, re.MULTILINE)
    assert len(entries) == text.count("==")
    return {name: (version, digests.count("--hash")) for name, version, digests in entries}


def test_lock_file_has_the_versions_of_the_constraints_with_digests() -> None:
    lock = locked(LOCK)
    assert {name: version for name, (version, _) in lock.items()} == constraints(), "run scripts/lock.py"
    assert all(digests for _, digests in lock.values())


def test_lock_of_the_build_has_digests() -> None:
    lock = locked(BUILD_LOCK)
    assert {"setuptools", "cyclonedx-bom"} <= set(lock)
    assert all(digests for _, digests in lock.values())


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
