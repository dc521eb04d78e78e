"""The command line as a contract: options, environment, what goes where, exit codes."""

from __future__ import annotations

import json
import os
import socket
import threading
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from dcm4py_leading import __version__
from dcm4py_leading.__main__ import main
from dcm4py_leading.model.options import SETTINGS
from tests.fixtures.ports import free_port
from tests.fixtures.slapd import OUR_LDIF, Upstream

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
    whole = told.stdout.replace("\n     ", " ").splitlines()
    (line,) = (line for line in whole if "dcmFwdMppsDestination" in line)
    assert line.startswith("INFO not acted on, attributes of dicomDevice: ")
    assert max(map(len, told.stdout.splitlines())) <= 120
    assert "dcmFwdMppsDestination" not in run("check", "--ldif", QUICKSTART).stdout


def test_check_on_the_stock_tree_has_short_lines_and_all_names_where_wanted(upstream: Upstream) -> None:
    source = [word for path in upstream.stock_content for word in ("--ldif", str(path))]
    told = run("check", *source)
    assert told.exit_code == 0
    info = [line for line in told.stdout.splitlines() if not line.startswith("WARNING")]
    assert max(map(len, info)) <= 120
    assert info[-2] == "INFO check --full names them all"
    assert "dcmAudit2JsonFhirTemplateURI" in told.stdout
    assert "dcmWadoSupportedSRClasses" not in told.stdout
    full = run("check", "--full", *source).stdout
    assert " more" not in full
    assert "dcmWadoSupportedSRClasses" in full


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
def test_check_reports_storage_that_cannot_be_opened(tmp_path: Path, attribute: str, value: str) -> None:
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


# What an administrator types, and reads.


def test_command_line_goes_before_the_environment() -> None:
    url = f"ldap://127.0.0.1:{free_port()}/dc=dcm4che,dc=org"
    assert run("check", "--ldif", QUICKSTART, DCM4PY_LDAP_URL=url).exit_code == 0
    assert run("check", "--ldap-url", url, DCM4PY_LDIF=QUICKSTART).exit_code == 3


def test_two_sources_are_told_with_where_they_are_from() -> None:
    result = run("check", DCM4PY_LDIF=QUICKSTART, DCM4PY_LDAP_URL="ldap://localhost/dc=dcm4che,dc=org")
    assert result.exit_code == 2
    assert "--ldap-url (by DCM4PY_LDAP_URL in the environment)" in result.stderr


main.load()
COMMANDS = [
    *([name] for name, found in main.commands.items() if not isinstance(found, click.Group)),
    *(
        [name, below]
        for name, group in main.commands.items()
        if isinstance(group, click.Group)
        for below in group.commands
    ),
]


@pytest.mark.parametrize("command", COMMANDS, ids="-".join)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_has_own_options_first_then_source_exit_codes_and_examples(command: list[str], option: str) -> None:
    told = run(*command, option)
    assert told.exit_code == 0
    assert "Exit codes: 0 good; 1 problems found" in told.stdout
    if "--ldap-url" in told.stdout:
        own, _, source = told.stdout.partition("\nSOURCE, where the configuration is")
        assert "--help" in own and "--ldap-url" in source
        assert "Examples:\n  dcm4py-leading" in source or command == ["ldif", "fix"]


@pytest.mark.parametrize("group", [[], ["ldif"], ["cache"]])
def test_list_of_commands_is_not_cut(group: list[str]) -> None:
    lines = run(*group, "-h").stdout.partition("Commands:")[2].splitlines()
    assert [line for line in lines if line.endswith("...")] == []


def test_settings_are_named_in_the_help() -> None:
    told = "".join(run("serve", "-h").stdout.split())
    for name in SETTINGS:
        assert name in told


@pytest.mark.parametrize(
    "arguments",
    [
        ("serve", "--ldif", QUICKSTART, "--http", "localhost:99999"),
        ("status", "--http", "localhost:99999"),
        ("reload", "--http", "http://localhost:80x"),
        ("serve", "--ldif", QUICKSTART, "--watch=abc"),
        ("serve", "--ldif", QUICKSTART, "--watch=0"),
    ],
)
def test_wrong_number_is_wrong_usage_in_words(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert "valid float range" not in result.stderr
    assert any(word in result.stderr for word in ("65535", "seconds above 0"))


def test_missing_device_names_those_that_are_there() -> None:
    result = run("check", "--ldif", QUICKSTART, "--device", "dcm4chee")
    assert result.exit_code == 1
    assert "dcm4chee-arc, dcmqrscp, storescp: choose one with --device" in result.stdout


def test_missing_password_says_how_to_give_it() -> None:
    result = run("check", "--ldap-url", "ldap://localhost/dc=dcm4che,dc=org", "--bind-dn", "cn=admin")
    assert result.exit_code == 2
    assert "--bind-password-file or DCM4PY_BIND_PASSWORD" in result.stderr


@pytest.mark.parametrize("files", [[QUICKSTART, LEADING], [str(OUR_LDIF / "proxy.ldif")]])
def test_show_is_one_screen(files: list[str]) -> None:
    device = "dcm4py-leading" if files[0].endswith("proxy.ldif") else "dcm4chee-arc"
    sources = [word for file in files for word in ("--ldif", file)]
    lines = run("show", *sources, "--device", device).stdout.splitlines()
    assert len(lines) <= 50
    assert [line.partition(",")[0] for line in lines if line.isupper() or line.startswith("RULES")] == [
        "PORTS",
        "AES",
        "RULES",
        "STORAGES",
        "LEADING CACHE",
    ]
    assert "  leading archive: QRSCP" in lines


def test_show_tells_what_counts() -> None:
    told = run("show", "--ldif", QUICKSTART, "--ldif", LEADING).stdout
    for text in (
        "listens on 127.0.0.1:11112",
        "DCM4CHEE         on port 11112; stores in fs1",
        "Leading DCMQRSCP  C_STORE_RQ SCP: attributes of leading archive QRSCP",
        "if ReceivingApplicationEntityTitle=STORESCP",
        "50 studies, asked again after PT5M",
    ):
        assert text in told


def test_port_in_use_is_told_once_and_nothing_is_made(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        tree = tmp_path / "tree.ldif"
        tree.write_text(Path(QUICKSTART).read_text().replace("dicomPort: 11112\n", f"dicomPort: {port}\n"))
        data_dir = tmp_path / "data"
        result = run("serve", "--ldif", str(tree), "--data-dir", str(data_dir), "--http", "127.0.0.1:0")
    assert result.exit_code == 1
    assert result.stderr.count("Address already in use") == 1
    assert f"ss -ltnp sport = :{port} tells by which program" in result.stderr
    assert "attempting to bind" not in result.stderr
    assert not list(data_dir.glob("index.sqlite*"))


def test_http_port_in_use_is_told_before_anything_is_made(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        http = f"127.0.0.1:{taken.getsockname()[1]}"
        result = run("serve", "--ldif", QUICKSTART, "--data-dir", str(tmp_path / "data"), "--http", http)
    assert result.exit_code == 1
    assert f"cannot listen on {http} for HTTP: Address already in use" in result.stderr
    assert not (tmp_path / "data").exists()


def test_port_without_tls_is_told_in_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain:

        def answer() -> None:
            accepted, _ = plain.accept()
            with accepted:
                accepted.recv(100)
                accepted.sendall(b"this is no TLS, whatever else it may be\r\n")

        answering = threading.Thread(target=answer)
        answering.start()
        result = run("check", "--ldap-url", f"ldaps://127.0.0.1:{plain.getsockname()[1]}/dc=dcm4che,dc=org")
        answering.join(30)
    assert result.exit_code == 3
    assert "cannot make TLS: the port does not speak TLS" in result.stderr
    assert "',)" not in result.stderr
