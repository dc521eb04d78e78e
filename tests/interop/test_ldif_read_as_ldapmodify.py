"""Odd LDIF: what ldapmodify makes of a file in a real slapd, the embedded directory does too, and lint agrees."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from dcm4py_leading.config.ldap.source import LdapSource
from dcm4py_leading.config.ldif.changed import directory_for
from dcm4py_leading.config.ldif.lint import lint
from dcm4py_leading.config.ldif.records import parse_ldif
from dcm4py_leading.config.ldif.source import LdifSource
from dcm4py_leading.errors import ConfigError
from dcm4py_leading.forecast import rule_problems
from tests.fixtures.quickstart import short_quickstart
from tests.fixtures.slapd import BASE_DN, Slapd, SlapdFactory

pytestmark = pytest.mark.peers

DEVICES = f"cn=Devices,cn=DICOM Configuration,{BASE_DN}"
DEVICE = f"dicomDeviceName=dcm4chee-arc,{DEVICES}"
RULE = f"""dn: cn=R,{DEVICE}
changetype: add
objectClass: dcmArchiveAttributeCoercion
cn: R
dcmDIMSE: C_STORE_RQ
dicomTransferRole: SCP
dcmLeadingCFindSCP: QRSCP
"""
DESCRIBED = f"dn: {DEVICE}\nchangetype: modify\nreplace: dicomDescription\ndicomDescription: "
HEAD = f"dn: {DEVICE}\nchangetype: modify\n"
TWO = RULE.replace(f"dn: cn=R,{DEVICE}", f"dn: cn=R+dcmDIMSE=C_STORE_RQ,{DEVICE}")

TEXTS = {
    "comment folded before what looks like a record": f"# see\n  dn: cn=R below\n{RULE}",
    "comment folded by a tab": f"# see\n\tdn: cn=R below\n{RULE}",
    "value folded before what looks like a record": f"{DESCRIBED}see the entry\n  dn: cn=other\n-\n",
    "value folded before a changetype": f"{DESCRIBED}see\n  changetype: add\n-\n",
    "value folded by a tab": f"{DESCRIBED}see\n\tbelow\n-\n",
    "value folded within a word": f"{DESCRIBED}se\n e\n-\n",
    "value folded by a line of blanks": f"{DESCRIBED}see\n   \n-\n",
    "dn folded": RULE.replace("cn=Devices", "cn=Dev\n ices"),
    "name of an attribute folded": RULE.replace("dcmDIMSE", "dcm\n DIMSE"),
    "CR LF": RULE.replace("\n", "\r\n"),
    "CR LF, folded": f"{DESCRIBED}see\n  below\n-\n".replace("\n", "\r\n"),
    "a lone CR in a value": f"{DESCRIBED}see\rbelow\n-\n",
    "a vertical tab in a value": f"{DESCRIBED}see\x0bbelow\n-\n",
    "a form feed in a value": f"{DESCRIBED}see\x0cbelow\n-\n",
    "a line separator of Unicode in a value": f"{DESCRIBED}see\u2028below\n-\n",
    "a next line of Unicode in a value": f"{DESCRIBED}see\x85below\n-\n",
    "a file separator in a value": f"{DESCRIBED}see\x1cbelow\n-\n",
    "no blank behind the colon": RULE.replace(": ", ":"),
    "several blanks behind the colon": RULE.replace(": ", ":   "),
    "a tab behind the colon": RULE.replace("cn: R", "cn:\tR"),
    "blank lines before and between": f"\n\n{RULE}\n\n\n{DESCRIBED}x\n-\n\n",
    "no end of line at the end": RULE.rstrip("\n"),
    "no '-' at the end": f"{DESCRIBED}x\n",
    "version": f"version: 1\n\n{RULE}",
    "version without a blank line": f"version: 1\n{RULE}",
    "comments within a record": RULE.replace("cn: R\n", "# a\ncn: R\n# b\n"),
    "comment between values folded": RULE.replace("cn: R\n", "# a\n b\ncn: R\n"),
    "names in other case": RULE.replace("changetype: add", "ChangeType: add").replace("dcmDIMSE", "DCMdimse"),
    "changetype in other case": RULE.replace("changetype: add", "changetype: ADD"),
    "operation in other case": DESCRIBED.replace("replace:", "Replace:") + "x\n-\n",
    "attribute in other case than the operation": DESCRIBED.replace("dicomDescription: ", "DICOMdescription: ")
    + "x\n-\n",
    "dn in base64": RULE.replace(f"dn: cn=R,{DEVICE}", f"dn:: {base64.b64encode(f'cn=R,{DEVICE}'.encode()).decode()}"),
    "value in base64": f"{DESCRIBED[:-2]}:: {base64.b64encode('ä'.encode()).decode()}\n-\n",
    "value in base64, folded": f"{DESCRIBED[:-2]}:: {base64.b64encode(b'a long description').decode()[:8]}\n "
    f"{base64.b64encode(b'a long description').decode()[8:]}\n-\n",
    "semicolons between RDNs": RULE.replace(",", ";"),
    "blanks around the separators": RULE.replace(f"dn: cn=R,{DEVICE}", f"dn: cn = R , {DEVICE.replace(',', ' , ')}"),
    "quoted RDN": RULE.replace("dn: cn=R,", 'dn: cn="R",'),
    "escaped RDN": RULE.replace("dn: cn=R,", "dn: cn=\\52,"),
    "naming attribute left out": RULE.replace("cn: R\n", ""),
    "naming attribute in other case": RULE.replace("cn: R\n", "cn: r\n"),
    "naming attribute with another value": RULE.replace("cn: R\n", "cn: S\n"),
    "naming attribute with two values": RULE.replace("cn: R\n", "cn: R\ncn: S\n"),
    "two naming attributes": TWO,
    "two naming attributes, one left out": TWO.replace("dcmDIMSE: C_STORE_RQ\n", ""),
    "renamed, old value kept": f"{RULE}\ndn: cn=R,{DEVICE}\nchangetype: modrdn\nnewrdn: cn=S\ndeleteoldrdn: 0\n",
    "renamed, old value gone": f"{RULE}\ndn: cn=R,{DEVICE}\nchangetype: modrdn\nnewrdn: cn=S\ndeleteoldrdn: 1\n",
    "renamed by another attribute": f"{RULE}\ndn: cn=R,{DEVICE}\nchangetype: modrdn\nnewrdn: dcmDIMSE=C_STORE_RQ\n"
    "deleteoldrdn: 0\n",
    "single-valued name kept": f"dn: cn=dicom,{DEVICE.replace('dcm4chee-arc', 'storescp')}\nchangetype: modrdn\n"
    "newrdn: dicomHostname=localhost\ndeleteoldrdn: 0\n",
    "device renamed, old value kept": f"dn: dicomDeviceName=storescp,{DEVICES}\nchangetype: modrdn\n"
    "newrdn: dicomDeviceName=viewer\ndeleteoldrdn: 0\n",
    "AE renamed, old value kept": f"dn: dicomAETitle=STORESCP,dicomDeviceName=storescp,{DEVICES}\nchangetype: modrdn\n"
    "newrdn: dicomAETitle=VIEWER\ndeleteoldrdn: 0\n",
    "AE renamed": f"dn: dicomAETitle=STORESCP,dicomDeviceName=storescp,{DEVICES}\nchangetype: modrdn\n"
    "newrdn: dicomAETitle=VIEWER\ndeleteoldrdn: 1\n",
    "deleteoldrdn with a word": f"{RULE}\ndn: cn=R,{DEVICE}\nchangetype: modrdn\nnewrdn: cn=S\ndeleteoldrdn: yes\n",
    "newrdn alone": f"{RULE}\ndn: cn=R,{DEVICE}\nchangetype: modrdn\nnewrdn: cn=S\n",
    "moved": f"{RULE}\ndn: cn=R,{DEVICE}\nchangetype: moddn\nnewrdn: cn=R\ndeleteoldrdn: 0\n"
    f"newsuperior: dicomAETitle=DCM4CHEE,{DEVICE}\n",
    "control that does not matter": RULE.replace("changetype", "control: 2.16.840.1.113730.3.4.2 false\nchangetype"),
    "control that is critical": RULE.replace("changetype", "control: 2.16.840.1.113730.3.4.2 true\nchangetype"),
    "control of a bad OID": RULE.replace("changetype", "control: nonsense true\nchangetype"),
    "control that no server has": RULE.replace("changetype", "control: 1.2.3.4.5 true\nchangetype"),
    "control that no server needs": RULE.replace("changetype", "control: 1.2.3.4.5 false\nchangetype"),
    "added twice": f"{RULE}\n{RULE}",
    "add of a value that is there": f"{HEAD}add: dicomDeviceName\ndicomDeviceName: dcm4chee-arc\n-\n",
    "delete of the naming value": f"{HEAD}delete: dicomDeviceName\ndicomDeviceName: dcm4chee-arc\n-\n",
    "replace of the naming value": f"{HEAD}replace: dicomDeviceName\ndicomDeviceName: other\n-\n",
    "delete of an attribute that is not there": f"{HEAD}delete: dcmCompressionThreads\n-\n",
    "increment": f"{HEAD}increment: dcmLeadingCFindSCPQueryCacheSize\ndcmLeadingCFindSCPQueryCacheSize: 5\n-\n",
    "modify without a modification": HEAD,
}


def shape(entries: Iterator[tuple[str, Mapping[str, list[str]]]]) -> list[tuple[str, list[tuple[str, list[str]]]]]:
    """Entries in a form that compares."""
    return sorted(
        (name, sorted((key.lower(), sorted(values)) for key, values in attributes.items()))
        for name, attributes in entries
    )


def in_slapd(slapd: Slapd) -> object:
    source = LdapSource([f"{slapd.url}/{BASE_DN}"])
    entries = source.read_entries(DEVICES, with_below=True)
    return shape((str(entry.key), {name: list(entry.values(name)) for name in entry}) for entry in entries)


def embedded(quickstart: Path, change: Path) -> object | None:
    """The tree with the file applied; None where it is refused."""
    try:
        entries = LdifSource([quickstart, change]).read_entries(DEVICES, with_below=True)
    except ConfigError:
        return None
    return shape((str(entry.key), {name: list(entry.values(name)) for name in entry}) for entry in entries)


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("quickstart") / "quickstart.ldif"
    file.write_text(short_quickstart(), "utf-8")
    return file


@pytest.mark.parametrize("name", TEXTS)
def test_file_is_read_as_ldapmodify_reads_it(
    slapd_factory: SlapdFactory, quickstart: Path, tmp_path: Path, name: str
) -> None:
    slapd = slapd_factory(content=[quickstart])
    text = TEXTS[name]
    change = tmp_path / "change.ldif"
    change.write_bytes(text.encode())
    file = parse_ldif(text, "change.ldif")
    source = LdapSource([f"{slapd.url}/{BASE_DN}"])
    findings = lint([file], directory_for([file], source), check_rule=rule_problems, expand=str)
    errors = [str(finding) for finding in findings if finding.is_error]
    before = in_slapd(slapd)

    done = slapd.ldapmodify(change)

    if done.returncode == 0 and in_slapd(slapd) != before:
        assert errors == [], done.stderr
        if not any(fault.is_ours for fault in file.faults):  # what ldapmodify takes, and we tell of
            assert embedded(quickstart, change) == in_slapd(slapd)
    else:
        assert errors != [], f"ldapmodify: {done.returncode} {done.stderr}"
        assert embedded(quickstart, change) is None
