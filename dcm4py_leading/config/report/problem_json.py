"""A problem of the configuration as JSON."""

from __future__ import annotations

from dcm4py_leading.errors import Problem


def problem_json(problem: Problem) -> dict[str, str | None]:
    """A problem as JSON, the same in ``check --json`` and in answers over HTTP."""
    return {
        "severity": problem.severity.value,
        "dn": problem.dn,
        "attribute": problem.attribute,
        "value": problem.value,
        "reason": problem.reason,
    }
