from __future__ import annotations

from dcm4py_leading.config.report.problem_json import problem_json
from dcm4py_leading.errors import Problem, Severity


def test_problem_without_a_value_has_null_there() -> None:
    problem = Problem(dn="cn=x", attribute="dcmTag", value=None, reason="is missing", severity=Severity.WARNING)
    assert problem_json(problem) == {
        "severity": "WARNING",
        "dn": "cn=x",
        "attribute": "dcmTag",
        "value": None,
        "reason": "is missing",
    }
