"""What a Problem tells: everything that is needed to mend it, and no secret."""

from __future__ import annotations

import pytest

from dcm4py_leading.errors import Problem


@pytest.mark.parametrize(
    ("attribute", "value", "shown"),
    [
        ("dcmURI", "https://me:s3cret@host/x", "https://me:***@host/x"),
        ("dcmProperty", "password=s3cret", "password=***"),
        ("dcmProperty", "s3.api-key=s3cret", "s3.api-key=***"),
        ("dcmProperty", "store.pin=s3cret", "store.pin=***"),
        ("dcmKeyStorePin", "s3cret", "***"),
    ],
)
def test_a_problem_tells_no_secret(attribute: str, value: str, shown: str) -> None:
    problem = Problem(dn="cn=x", attribute=attribute, value=value, reason=f"{value}: not as it should be")
    assert problem.value == shown
    assert problem.reason == f"{shown}: not as it should be"
    assert "s3cret" not in str(problem) + repr(problem)


def test_a_problem_tells_other_values_as_they_are() -> None:
    problem = Problem(dn="cn=x", attribute="dcmProperty", value="Pinned=a@b:c", reason="it is Pinned=a@b:c")
    assert (problem.value, problem.reason) == ("Pinned=a@b:c", "it is Pinned=a@b:c")
    assert Problem(dn="cn=x", attribute="dicomPort", value="", reason="is empty").value == ""
