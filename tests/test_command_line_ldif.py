"""``dcm4py-leading ldif`` as a contract: what goes where, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dcm4py_leading.__main__ import main
from tests.fixtures.ldif import seed_ldif
from tests.fixtures.ports import free_port
from tests.fixtures.slapd import OUR_LDIF

QUICKSTART = str(OUR_LDIF / "quickstart.ldif")
LEADING = str(OUR_LDIF / "leading-cfind-scp.ldif")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["ldif", *arguments])


@pytest.fixture
def seed(tmp_path: Path) -> str:
    path = tmp_path / "seed.ldif"
    path.write_text(seed_ldif())
    return str(path)


@pytest.mark.parametrize("path", sorted(OUR_LDIF.rglob("*.ldif")), ids=lambda path: path.name)
def test_every_file_of_ours_is_without_fault(path: Path) -> None:
    result = run("lint", str(path))
    assert result.exit_code == 0, result.output


def test_lint_of_a_good_change_says_so_in_one_line() -> None:
    result = run("lint", LEADING)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "no faults in 2 records\n")
    assert run("lint", LEADING, "--json").output == "[]\n"


@pytest.mark.parametrize("command", [("lint", "-"), ("fix", "-"), ("diff", "-", "--ldif", QUICKSTART)])
def test_text_can_come_from_standard_input(command: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, ["ldif", *command], input=seed_ldif())
    assert result.exit_code == (0 if command[0] == "fix" else 1)
    assert "standard input, " in result.output


def test_condition_of_a_modify_record_is_looked_at_without_a_source() -> None:
    text = "dn: cn=R,dicomDeviceName=d\nchangetype: modify\nadd: dcmProperty\ndcmProperty: ReceivingAETitle=X\n-\n"
    result = CliRunner().invoke(main, ["ldif", "lint", "-"], input=text)
    assert result.exit_code == 1
    assert "did you mean ReceivingApplicationEntityTitle?" in result.stdout


def test_lint_of_a_bad_change_is_exit_1_with_record_and_line(seed: str) -> None:
    result = run("lint", seed)
    assert result.exit_code == 1
    assert f"{seed}, record 3, line 21: ERROR '-' ends a modification" in result.stdout


def test_lint_as_json(seed: str) -> None:
    found = json.loads(run("lint", seed, "--json").stdout)
    assert found[-1].items() >= {"file": seed, "record": 3, "line": 21, "severity": "ERROR"}.items()
    assert found[-1]["dn"].startswith("cn=Leading DCMQRSCP,")


def test_lint_with_a_source_knows_the_tree(seed: str) -> None:
    found = json.loads(run("lint", seed, "--ldif", QUICKSTART, "--ldif", LEADING, "--json").stdout)
    assert {5, 11, 14, 21} <= {finding["line"] for finding in found if finding["severity"] == "ERROR"}


def test_warnings_alone_are_exit_0() -> None:
    result = run("lint", QUICKSTART)
    assert result.exit_code == 0
    assert "WARNING" in result.stdout


def test_diff_tells_what_changes() -> None:
    result = run("diff", LEADING, "--ldif", QUICKSTART)
    assert result.exit_code == 0
    assert "rule Leading DCMQRSCP of device dcm4chee-arc: added" in result.stdout


def test_diff_as_json() -> None:
    told = json.loads(run("diff", LEADING, "--ldif", QUICKSTART, "--json").stdout)
    assert (told["problems"], told["mended"], told["isComparable"]) == ([], [], True)
    assert {"dcmArchiveAttributeCoercion", "dicomDevice"} <= {found["objectClass"] for found in told["differences"]}


def test_diff_of_what_cannot_be_imported_is_exit_1(seed: str) -> None:
    assert run("diff", seed, "--ldif", QUICKSTART).exit_code == 1


def test_fix_prints_the_text_and_says_on_stderr_what_it_did(seed: str) -> None:
    result = run("fix", seed)
    assert result.exit_code == 0
    assert result.stdout.endswith("dcmLeadingCFindSCP: QRSCP\n\n")
    assert f"{seed}, line 4: mended: add: dcmLeadingCFindSCPQueryCacheStaleTimeout takes one value" in result.stderr


def test_fix_of_a_good_change_says_nothing() -> None:
    result = run("fix", LEADING)
    assert (result.exit_code, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("dn: cn=a\nchangetype: modify\n\ngarbage\n", "line 1: made a comment"),
        ("dn: cn=a\ndcmNoSuch: 1\n", "line 2: not mended: dcmNoSuch"),
    ],
)
def test_fix_that_leaves_something_is_exit_1_and_names_the_line_of_the_file(
    tmp_path: Path, text: str, told: str
) -> None:
    path = tmp_path / "a.ldif"
    path.write_text(text)
    result = run("fix", str(path))
    assert result.exit_code == 1
    assert told in result.stderr


def test_fix_of_another_encoding_prints_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.ldif"
    path.write_bytes("dn: cn=ä\n".encode("latin-1"))
    result = run("fix", str(path))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "expected UTF-8" in result.stderr


@pytest.mark.parametrize("arguments", [("lint",), ("lint", "nowhere.ldif"), ("diff", LEADING), ("diff",), ("fix",)])
def test_wrong_usage_is_exit_2(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


@pytest.mark.parametrize("command", ["lint", "diff"])
def test_unreachable_directory_is_exit_3(command: str) -> None:
    assert run(command, LEADING, "--ldap-url", f"ldap://127.0.0.1:{free_port()}/dc=dcm4che,dc=org").exit_code == 3


def test_fix_says_what_was_done_and_not_what_to_do() -> None:
    indented = "".join(f"    {line}\n" if line else "\n" for line in seed_ldif().splitlines())
    told = CliRunner().invoke(main, ["ldif", "fix", "-"], input=indented).stderr
    assert "indentation removed" in told and "line removed" in told
    for text in (": remove ", "make it", "put '"):
        assert text not in told
