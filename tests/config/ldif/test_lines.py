"""Lines of LDIF, unfolded and parsed."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcm4py_leading.config.ldif.lines import Faults, Line, logical, unfolded


def lines(text: str) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    """The logical lines, and the faults by line with the first word that tells what is wrong."""
    faults = Faults()
    found = list(unfolded(text, faults))
    return found, [(fault.line, fault.reason) for fault in faults.found]


def parsed(line: str) -> tuple[Line | None, list[str]]:
    faults = Faults()
    return logical(7, line, faults), [fault.reason for fault in faults.found]


def test_a_blank_continues_the_line_above_and_numbers_are_of_the_first() -> None:
    assert lines("dn: cn=a,\n cn=b\ncn: a\n") == ([(1, "dn: cn=a,cn=b"), (3, "cn: a"), (4, "")], [])


def test_a_record_ends_at_an_empty_line_only_and_carriage_returns_do_not_count() -> None:
    assert lines("cn: a\r\n\r\ncn: b\r\n")[0] == [(1, "cn: a"), (2, ""), (3, "cn: b"), (4, "")]


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("cn: a\n \ndn: cn=b", 2, "holds only blanks"),
        ("cn: a\n\tb", 2, "a tab does not continue"),
        ("\n b: c\n", 2, "there is no line before it to continue"),
        ("c\n n: a\n", 2, "a name is folded"),
        ("cn: a\rb\n", 1, "carriage return"),
        ("  dn: cn=a\n  cn: a\n", 1, "the text is indented"),
    ],
)
def test_what_ldapmodify_would_read_otherwise_is_a_fault_of_its_line(text: str, line: int, reason: str) -> None:
    ((found, told),) = lines(text)[1]
    assert found == line
    assert reason in told


def test_an_indented_record_is_read_as_it_was_meant() -> None:
    assert lines("  dn: cn=a\n  cn: a\n")[0] == [(1, "dn: cn=a"), (2, "cn: a"), (3, "")]


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("cn: a", "cn", "a"),
        ("cn:a ", "cn", "a "),
        ("cn:", "cn", ""),
        ("userCertificate;binary:: AP8=", "userCertificate;binary", "\0\\xff"),
        ("-", "-", ""),
        ("- ", "-", " "),
    ],
)
def test_a_line_is_a_name_and_a_value(line: str, name: str, value: str) -> None:
    assert parsed(line) == (Line(7, name, value), [])


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_any_value_comes_back_from_base64(value: str) -> None:
    found, faults = parsed(f"cn:: {base64.b64encode(value.encode()).decode()}")
    assert (found, faults) == (Line(7, "cn", value), [])


def test_a_remark_is_no_line() -> None:
    assert parsed("# cn: a") == (None, [])


@pytest.mark.parametrize(("line", "reason"), [("cn a", "expected 'attribute: value'"), ("cn:: !", "expected base64")])
def test_a_line_that_cannot_be_read_is_a_fault(line: str, reason: str) -> None:
    found, (told,) = parsed(line)
    assert found is None
    assert reason in told


def test_a_value_from_a_url_is_not_read() -> None:
    faults = Faults()
    assert logical(7, "cn:< file:///etc/passwd", faults) == Line(7, "cn", "file:///etc/passwd")
    (fault,) = faults.found
    assert (fault.line, fault.is_ours) == (7, True)
    assert "values from a URL are not read" in fault.reason


def test_a_name_is_compared_without_its_case() -> None:
    assert Line(1, "ChangeType", "add").named("changetype")
