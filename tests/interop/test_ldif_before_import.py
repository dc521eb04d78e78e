"""What lint, fix and diff say of a file, and what ldapmodify then does with it on a real slapd."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dcm4py_leading.__main__ import main
from dcm4py_leading.config.ldap.source import LdapSource
from dcm4py_leading.config.ldif.fix import fix_ldif
from dcm4py_leading.config.ldif.records import parse_ldif
from dcm4py_leading.forecast import lint_alone
from tests.fixtures.ldif import seed_ldif
from tests.fixtures.quickstart import short_quickstart
from tests.fixtures.slapd import BASE_DN, Slapd, SlapdFactory, Upstream

pytestmark = pytest.mark.peers

ARCHIVE = f"dicomDeviceName=dcm4chee-arc,cn=Devices,cn=DICOM Configuration,{BASE_DN}"
RULE = f"cn=Leading DCMQRSCP,{ARCHIVE}"
REGISTRY = f"cn=Unique AE Titles Registry,cn=DICOM Configuration,{BASE_DN}"
STALE_TIMEOUT = "dcmLeadingCFindSCPQueryCacheStaleTimeout"
ALREADY_EXISTS = 68

NEW_RULE = f"""dn: {RULE}
changetype: add
objectClass: dcmArchiveAttributeCoercion
cn: Leading DCMQRSCP
dcmDIMSE: C_STORE_RQ
dicomTransferRole: SCP
"""


@pytest.fixture
def stock(slapd_factory: SlapdFactory, upstream: Upstream) -> Slapd:
    return slapd_factory(schema=upstream.schema, content=upstream.stock_content)


@pytest.fixture
def short(slapd_factory: SlapdFactory, upstream: Upstream) -> Slapd:
    """The short tree under dcm4chee's schema, of which lint reads all each time."""
    slapd = slapd_factory(schema=upstream.schema, content=[short_quickstart()])
    done = slapd.ldapmodify(change(ARCHIVE, f"replace: {STALE_TIMEOUT}\n{STALE_TIMEOUT}: PT5M"))
    assert done.returncode == 0, done.stderr
    return slapd


def run(slapd: Slapd, command: str, tmp_path: Path, text: str) -> Result:
    path = tmp_path / "change.ldif"
    path.write_text(text, "utf-8")
    return CliRunner().invoke(
        main,
        ["ldif", command, str(path), "--json", "--ldap-url", f"{slapd.url}/{BASE_DN}", "--bind-dn", slapd.bind_dn],
        env={"DCM4PY_BIND_PASSWORD": slapd.password},
    )


def change(dn: str, *modifications: str) -> str:
    return f"dn: {dn}\nchangetype: modify\n" + "".join(f"{lines}\n-\n" for lines in modifications)


@pytest.mark.parametrize("indented", [False, True])
@pytest.mark.ldap("dcmLeadingCFindSCPQueryCacheStaleTimeout")
def test_seed_is_refused_as_lint_says_and_taken_after_fix(stock: Slapd, tmp_path: Path, indented: bool) -> None:
    text = seed_ldif(indented=indented)
    told = json.loads(run(stock, "lint", tmp_path, text).stdout)
    assert {5, 14, 21} <= {found["line"] for found in told if found["severity"] == "ERROR"}
    stock.ldapmodify(text)  # indented it does nothing, and says it succeeded
    assert "dcmleadingcfindscpquerycachesize" not in stock.entry(ARCHIVE)

    taken = stock.ldapmodify(fix_ldif(text).text)

    assert taken.returncode == 0, taken.stderr
    assert stock.entry(ARCHIVE)["dcmleadingcfindscpquerycachesize"] == ["50"]
    assert stock.entry(RULE)["dcmleadingcfindscp"] == ["QRSCP"]


def test_modify_records_of_the_fixed_seed_are_taken_twice(stock: Slapd) -> None:
    text = fix_ldif(seed_ldif()).text
    modifications = "\n\n".join(record for record in text.split("\n\n") if "changetype: modify" in record) + "\n"

    for _ in range(2):
        taken = stock.ldapmodify(modifications)
        assert taken.returncode == 0, taken.stderr

    assert stock.ldapmodify(text).returncode == 0
    assert stock.ldapmodify(text).returncode == ALREADY_EXISTS


def test_removal_of_an_attribute_that_is_not_there_is_taken_after_fix(stock: Slapd) -> None:
    removal = change(ARCHIVE, "delete: dcmLeadingCFindSCPQueryCacheSize")
    assert stock.ldapmodify(removal).returncode != 0
    assert stock.ldapmodify(fix_ldif(removal).text).returncode == 0


@pytest.mark.parametrize(
    "text",
    [
        NEW_RULE + "dcmLeadingCFindSPC: A\n",
        NEW_RULE.replace("Coercion\n", "Coersion\n"),
        NEW_RULE.replace("dicomTransferRole: SCP\n", ""),
        NEW_RULE.replace("Coercion\n", "Coercion2\n") + "dcmURI: merge-attrs:\ndcmLeadingCFindSCP: A\n",
        NEW_RULE + "dicomHostname: h\n",
        NEW_RULE + "dcmLeadingCFindSCP: A\ndcmLeadingCFindSCP: B\n",
        NEW_RULE + "dcmRetrieveAsReceived: true\n",
        NEW_RULE + "dcmRulePriority: 007\n",
        NEW_RULE + "dcmRulePriority: 7 \n",
        NEW_RULE + "dcmSOPClass: CTImageStorage\n",
        NEW_RULE + "dcmLeadingCFindSCP: ä\n",
        NEW_RULE + "dcmSupplementFromDeviceReference: nowhere\n",
        NEW_RULE + "dcmProperty: SendingHostname=a\ndcmProperty: SendingHostname=a\n",
        NEW_RULE + "createTimestamp: 20260101000000Z\n",
        NEW_RULE + "objectClass: dcmStorage\ndcmStorageID: a\ndcmURI: file:/a\n",
        NEW_RULE.replace("objectClass: dcmArchiveAttributeCoercion", "objectClass: dcmDevice"),
        NEW_RULE.replace("cn=Leading DCMQRSCP,", "cn=Leading DCMQRSCP,cn=none,"),
        NEW_RULE.replace("dn: cn=", "dn: nosuch="),
        NEW_RULE + "-\n",
        NEW_RULE + "garbage\n",
        NEW_RULE.replace("changetype: add", "changetype: add "),
        change(ARCHIVE, f"add: {STALE_TIMEOUT}\n{STALE_TIMEOUT}: PT9M"),
        change(ARCHIVE, "delete: dcmLeadingCFindSCPQueryCacheSize"),
        change(ARCHIVE, "delete: dcmRetrieveAET\ndcmRetrieveAET: NOBODY"),
        change(ARCHIVE, "delete: dicomInstalled"),
        change(ARCHIVE, "replace: dicomDescription \ndicomDescription: a"),
        change(ARCHIVE, "replace: dicomDescription\ndicomDescription: a").replace("-\n", "- \n"),
        change(f"cn=none,{ARCHIVE}", "replace: dicomDescription\ndicomDescription: a"),
        f"dn: {ARCHIVE}\nchangetype: delete\n",
        f"dn: dicomAETitle=STORESCP,{REGISTRY}\nchangetype: modrdn\nnewrdn: dicomAETitle=DCM4CHEE\ndeleteoldrdn: 1\n",
        f"dn: {RULE}\nchangetype: modrdn\nnewrdn: cn=a\ndeleteoldrdn: 1\n",
        f"dn: dicomAETitle=STORESCP,{REGISTRY}\nchangetype: add\nobjectClass: dicomUniqueAETitle\n",
        f"dn: dicomAETitle=X,cn=none,{REGISTRY}\nchangetype: add\nobjectClass: dicomUniqueAETitle\n",
    ],
)
def test_slapd_refuses_what_lint_calls_an_error(short: Slapd, tmp_path: Path, text: str) -> None:
    result = run(short, "lint", tmp_path, text)
    assert result.exit_code == 1, result.output
    assert short.ldapmodify(text).returncode != 0


@pytest.mark.parametrize(
    "text",
    [
        NEW_RULE + "dcmLeadingCFindSCP: STORESCP\n",
        NEW_RULE.replace("Coercion\n", "Coercion2\n") + "dcmURI: leading-arc:STORESCP\n",
        NEW_RULE.replace("cn: Leading DCMQRSCP\n", "").replace("Coercion\n", "coercion\n"),
        change(ARCHIVE, "replace: dcmLeadingCFindSCPQueryCacheSize", "add: dcmIanDelay\ndcmIanDelay: PT1M"),
        change(ARCHIVE, "add: dcmRetrieveAET\ndcmRetrieveAET: A\ndcmRetrieveAET: B"),
        f"dn: dicomAETitle=X,{REGISTRY}\nchangetype: add\nobjectClass: dicomUniqueAETitle\ndicomAETitle: X\n",
        f"dn: dcmQueueName=x,{ARCHIVE}\nchangetype: add\nobjectClass: dcmQueue\ndcmQueueName: x\ndicomDescription: q\n",
        f"dn: dicomAETitle=STORESCP,{REGISTRY}\nchangetype: delete\n",
        NEW_RULE
        + f"\ndn: {RULE}\nchangetype: modrdn\nnewrdn: cn=Leading\ndeleteoldrdn: 1\n\n"
        + change(f"cn=Leading,{ARCHIVE}", "replace: dcmRulePriority\ndcmRulePriority: 1"),
    ],
)
def test_slapd_takes_what_lint_lets_pass(short: Slapd, tmp_path: Path, text: str) -> None:
    result = run(short, "lint", tmp_path, text)
    assert result.exit_code == 0, result.output
    taken = short.ldapmodify(text)
    assert taken.returncode == 0, taken.stderr


def test_diff_tells_of_a_live_tree_what_then_comes_true(stock: Slapd, tmp_path: Path) -> None:
    text = fix_ldif(seed_ldif()).text
    told = json.loads(run(stock, "diff", tmp_path, text).stdout)
    lines = [found["text"] for found in told["differences"]]
    assert "device dcm4chee-arc: dcmLeadingCFindSCPQueryCacheSize from 10 to 50" in lines
    assert any(line.startswith("rule Leading DCMQRSCP of device dcm4chee-arc: added") for line in lines)
    assert any("has no dicomNetworkAE of this title" in found["reason"] for found in told["problems"])

    stock.ldapmodify(text)

    modifications = change(ARCHIVE, "replace: dcmLeadingCFindSCPQueryCacheSize\ndcmLeadingCFindSCPQueryCacheSize: 50")
    assert json.loads(run(stock, "diff", tmp_path, modifications).stdout)["differences"] == []


def test_single_entries_are_read_with_and_without_what_is_below(stock: Slapd) -> None:
    source = LdapSource([f"{stock.url}/{BASE_DN}"])
    below = source.read_entries(
        f"dicomDeviceName=storescp,cn=Devices,cn=DICOM Configuration,{BASE_DN}", with_below=True
    )
    assert len(below) > 2
    (registry,) = source.read_entries(REGISTRY, with_below=False)
    assert registry.is_a("dicomUniqueAETitlesRegistryRoot")
    assert source.read_entries(f"cn=none,{ARCHIVE}", with_below=True) == ()


def test_fixed_stock_content_needs_no_ldapadd(slapd_factory: SlapdFactory, upstream: Upstream) -> None:
    empty = slapd_factory(schema=upstream.schema)
    for path in upstream.stock_content:
        fixed = fix_ldif(path.read_text("utf-8"))
        assert (fixed.left_out, fixed.unrepeatable) == ((), ())
        taken = empty.ldapmodify(fixed.text)
        assert taken.returncode == 0, taken.stderr
    assert len(empty.ldapsearch("dn")) == 1514


def test_stock_content_is_called_good_as_slapd_calls_it(upstream: Upstream) -> None:
    files = [parse_ldif(path.read_text("utf-8"), path.name) for path in upstream.stock_content]
    assert [str(found) for found in lint_alone(files) if found.is_error] == []
