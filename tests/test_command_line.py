"""The command line as a contract: options, environment, what goes where, exit codes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dcm4py_leading import __version__
from dcm4py_leading.__main__ import main
from tests.fixtures.ports import free_port
from tests.fixtures.slapd import OUR_LDIF

QUICKSTART = str(OUR_LDIF / "quickstart.ldif")
LEADING = str(OUR_LDIF / "leading-cfind-scp.ldif")


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(main, arguments, env=environment)


def test_version() -> None:
    assert __version__ in run("--version").stdout


def test_a_good_tree_is_exit_0() -> None:
    result = run("check", "--ldif", QUICKSTART, "--ldif", LEADING)
    assert result.exit_code == 0, result.output
    assert "dcm4chee-arc" in result.stdout


def test_options_can_come_from_the_environment() -> None:
    assert run("check", DCM4PY_LDIF=os.pathsep.join((QUICKSTART, LEADING))).exit_code == 0
    missing = run("check", DCM4PY_LDIF=QUICKSTART, DCM4PY_DEVICE="nobody")
    assert missing.exit_code == 1
    assert "nobody" in missing.output


def test_every_problem_is_told_at_once_with_exit_1(tmp_path: Path) -> None:
    change = tmp_path / "bad.ldif"
    change.write_text(
        Path(LEADING)
        .read_text()
        .replace("PT5M", "P1M")
        .replace("dcmDIMSE: C_STORE_RQ", "dcmDIMSE: C_STORE")
        .replace("Size: 50", "Size: many")
    )
    result = run("check", "--ldif", QUICKSTART, "--ldif", str(change), "--json")
    assert result.exit_code == 1
    problems = {(p["severity"], p["attribute"], p["value"]) for p in json.loads(result.stdout)}
    assert problems >= {
        ("ERROR", "dcmLeadingCFindSCPQueryCacheStaleTimeout", "P1M"),
        ("ERROR", "dcmLeadingCFindSCPQueryCacheSize", "many"),
        ("ERROR", "dcmDIMSE", "C_STORE"),
    }
    text = run("check", "--ldif", QUICKSTART, "--ldif", str(change))
    assert "dicomDeviceName=dcm4chee-arc" in text.stdout


NOT_BUILT = """\
dn: dicomDeviceName=dcm4chee-arc,cn=Devices,cn=DICOM Configuration,dc=dcm4che,dc=org
changetype: modify
replace: dcmFwdMppsDestination
dcmFwdMppsDestination: QRSCP
-
"""


def test_an_attribute_that_does_nothing_here_is_named_by_check(tmp_path: Path) -> None:
    change = tmp_path / "mpps.ldif"
    change.write_text(NOT_BUILT)
    source = ("--ldif", QUICKSTART, "--ldif", str(change))
    told = run("check", *source)
    assert told.exit_code == 0
    (line,) = (line for line in told.stdout.splitlines() if "dcmFwdMppsDestination" in line)
    assert line.startswith("INFO not acted on, attributes of dicomDevice: ")
    assert "dcmFwdMppsDestination" not in run("check", "--ldif", QUICKSTART).stdout


def test_every_attribute_of_the_tree_is_listed_with_what_becomes_of_it(tmp_path: Path) -> None:
    change = tmp_path / "mpps.ldif"
    change.write_text(NOT_BUILT)
    source = ("--ldif", QUICKSTART, "--ldif", str(change), "--ldif", LEADING)
    listed = json.loads(run("check", "--attributes", "--json", *source).stdout)
    found = {(row["objectClass"], row["attribute"]): (row["status"], row["entries"]) for row in listed}
    assert found["dicomDevice", "dcmFwdMppsDestination"] == ("no", 1)
    assert found["dcmArchiveAttributeCoercion", "dcmLeadingCFindSCP"] == ("yes", 1)
    text = run("check", "--attributes", *source).stdout.splitlines()
    assert len(text) == len(listed)
    assert "no: dicomDevice dcmFwdMppsDestination, 1 entry" in text


@pytest.mark.ldap("dcmStoragePathFormat")
@pytest.mark.ldap("dcmDigestAlgorithm")
@pytest.mark.parametrize(
    ("attribute", "value"), [("dcmStoragePathFormat", "{now,moonphase}"), ("dcmDigestAlgorithm", "CRC")]
)
def test_a_storage_that_cannot_be_opened_is_told_by_check(tmp_path: Path, attribute: str, value: str) -> None:
    change = tmp_path / "bad.ldif"
    change.write_text(
        "dn: dcmStorageID=fs1,dicomDeviceName=dcm4chee-arc,cn=Devices,cn=DICOM Configuration,dc=dcm4che,dc=org\n"
        f"changetype: modify\nreplace: {attribute}\n{attribute}: {value}\n-\n"
    )
    result = run("check", "--ldif", QUICKSTART, "--ldif", str(change), "--json")
    assert result.exit_code == 1
    assert (attribute, value) in [(p["attribute"], p["value"]) for p in json.loads(result.stdout)]


@pytest.mark.parametrize(
    "arguments",
    [
        ("check",),
        ("check", "--ldif", QUICKSTART, "--ldap-url", "ldap://localhost/dc=dcm4che,dc=org"),
        ("check", "--ldif", QUICKSTART, "--property", "novalue"),
        ("check", "--ldap-url", "http://localhost/dc=dcm4che,dc=org"),
        ("check", "--ldap-url", "ldap://localhost/dc=dcm4che,dc=org", "--sasl-external"),
        ("check", "--ldap-url", "ldapi:///dc=dcm4che,dc=org", "--sasl-external"),
        ("check", "--ldap-url", "ldaps://localhost/dc=dcm4che,dc=org", "--client-key", QUICKSTART),
        ("check", "--ldif", "no-such-file.ldif"),
        ("serve", "--ldif", QUICKSTART, "--http", "8080x"),
        ("nonsense",),
    ],
)
def test_wrong_usage_is_exit_2(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_a_directory_that_cannot_be_reached_is_exit_3() -> None:
    result = run("check", "--ldap-url", f"ldap://127.0.0.1:{free_port()}/dc=dcm4che,dc=org")
    assert result.exit_code == 3
    assert "127.0.0.1" in result.stderr


@pytest.mark.parametrize("command", ["reload", "status"])
def test_a_service_that_cannot_be_reached_is_exit_3(command: str) -> None:
    assert run(command, "--http", f"http://127.0.0.1:{free_port()}").exit_code == 3


def test_show_resolves_defaults_and_inheritance() -> None:
    result = run("show", "--ldif", QUICKSTART, "--ldif", LEADING, "--json")
    assert result.exit_code == 0
    effective = json.loads(result.stdout)
    assert effective["dcmLeadingCFindSCPQueryCacheStaleTimeout"] == "PT5M"
    assert effective["dcmLeadingCFindSCPQueryCacheSize"] == 50
    (ae,) = effective["dicomNetworkAE"]
    assert ae["dcmOverwritePolicy"] == "SAME_SOURCE"  # of the device
    assert ae["dcmQueryMaxNumberOfResults"] == 0  # the default
    (rule,) = effective["dcmArchiveAttributeCoercion"]
    assert (rule["dcmLeadingCFindSCP"], rule["dcmAttributeUpdatePolicy"]) == ("QRSCP", "MERGE")


def test_serve_with_a_bad_tree_does_not_start(tmp_path: Path) -> None:
    change = tmp_path / "bad.ldif"
    change.write_text(Path(LEADING).read_text().replace("PT5M", "soon"))
    options = ("--ldif", QUICKSTART, "--ldif", str(change), "--data-dir", str(tmp_path / "data"))
    result = run("serve", *options, "--http", "127.0.0.1:0")
    assert result.exit_code == 1
    assert "dcmLeadingCFindSCPQueryCacheStaleTimeout" in result.stderr


def test_the_bind_password_is_never_shown(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("S3CRET-PASSWORD\n")
    url = f"ldap://127.0.0.1:{free_port()}/dc=dcm4che,dc=org"
    result = run("check", "--ldap-url", url, "--bind-dn", "cn=admin", "--bind-password-file", str(password))
    assert result.exit_code == 3
    assert "S3CRET" not in result.output


def test_check_does_not_call_our_own_leading_query_unserved() -> None:
    told = run("check", "--ldif", QUICKSTART, "--ldif", LEADING).stdout
    assert "FIND SCU" not in told
    proxy = run("check", "--ldif", str(OUR_LDIF / "proxy.ldif"), "--device", "dcm4py-leading").stdout
    assert "not served" not in proxy
    assert "are refused" not in proxy
