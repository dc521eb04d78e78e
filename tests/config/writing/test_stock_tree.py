"""Read, edited and written: what the edit is not about is the same on the server, whatever it is."""

from __future__ import annotations

import pytest

from dcm4py_leading.composition.site import Site
from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.ldap.source import LdapSource
from dcm4py_leading.editing import editor_of
from tests.fixtures.directories import SERVERS
from tests.fixtures.directory import BASE_DN
from tests.fixtures.trees import DEVICE, DEVICES

pytestmark = pytest.mark.peers

EDITED = {
    "dicomDevice": {"dicomDescription": ["edited"], "dcmLeadingCFindSCPQueryCacheSize": ["77"]},
    "dicomNetworkAE": {"dicomDescription": ["edited"]},
    "dcmArchiveAttributeCoercion": {"dcmRulePriority": ["77"]},
    "dcmArchiveAttributeCoercion2": {"dcmRulePriority": ["77"]},
}
"""By class, one attribute of each that the stock tree has otherwise or not at all."""
RULES = f"""
dn: cn=old,{DEVICE}
objectClass: dcmArchiveAttributeCoercion
cn: old
dcmDIMSE: C_STORE_RQ
dicomTransferRole: SCP
dcmSOPClass: 1.2.840.10008.5.1.4.1.1.2
dcmProperty: SendingApplicationEntityTitle=A B
dcmProperty: PatientName=\\xe4.*
dcmMergeAttribute: 00100010=x
dcmNullifyTag: 00104000

dn: cn=new,dicomAETitle=DCM4CHEE,{DEVICE}
objectClass: dcmArchiveAttributeCoercion2
cn: new
dcmDIMSE: C_STORE_RQ
dicomTransferRole: SCP
dcmURI: merge-attrs:
dcmMergeAttribute: 00100010=x
dcmCoercionOnFailure: SKIP
"""


def told(server):
    """Everything below the devices, values sorted, since a server may tell them in any order."""
    found = server.ldapsearch(base=DEVICES)
    return {entry.pop("dn")[0]: {name: sorted(values) for name, values in entry.items()} for entry in found}


def edits_of(entry):
    return {name: value for kind, values in EDITED.items() if entry.is_a(kind) for name, value in values.items()}


@pytest.fixture(params=SERVERS)
def server(request, directory_of):
    """A server with dcm4chee's stock tree, and rules that it lacks."""
    found = directory_of(request.param, "stock")
    before = told(found)
    found.load(RULES)
    yield found
    for dn in told(found).keys() - before.keys():
        found.ldapmodify(f"dn: {dn}\nchangetype: delete\n")
    assert told(found) == before


def test_every_attribute_of_device_aes_and_rules_survives(server, tmp_path):
    source = LdapSource([f"{server.url}/{BASE_DN}"], bind_dn=server.bind_dn, password=server.password)
    editor = editor_of(Site(source=source, device_name="dcm4chee-arc", properties={}, data_dir=tmp_path))
    before, base = told(server), editor.entries("dcm4chee-arc")
    wanted = [
        Entry.of(entry.dn, {**entry.attributes, **{name.lower(): value for name, value in edits_of(entry).items()}})
        for entry in base
    ]

    plan = editor.plan("dcm4chee-arc", wanted, base=base)
    assert told(server) == before
    assert plan.errors == ()
    editor.save(plan)

    expected = {
        dn: {**values, **{name.lower(): edited for name, edited in edits_of(Entry.of(dn, values)).items()}}
        if dn.lower().endswith(DEVICE.lower())
        else values
        for dn, values in before.items()
    }
    assert told(server) == expected
    assert sum(expected[dn] != before[dn] for dn in before) >= 7

    editor.save(editor.plan("dcm4chee-arc", base))
    assert told(server) == before
