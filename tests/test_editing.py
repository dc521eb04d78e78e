"""The editor over real directories and files: what is planned, saved, and refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dcm4py_leading.composition.site import Site
from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.following.difference import Kind as DifferenceKind
from dcm4py_leading.config.ldap.source import LdapSource
from dcm4py_leading.config.ldif.source import LdifSource
from dcm4py_leading.config.ldif.text import to_ldif
from dcm4py_leading.config.writing.state import etag
from dcm4py_leading.editing import editor_of
from dcm4py_leading.errors import ReadOnlyDirectory, Severity, WriteConflict, WriteRefused
from tests.fixtures.directories import SERVERS, SHORT
from tests.fixtures.quickstart import short_quickstart
from tests.fixtures.slapd import OUR_LDIF, OUR_SCHEMA
from tests.fixtures.trees import DEVICE, DEVICES, TREE

NAME = "dcm4chee-arc"
TIMEOUT = "dcmLeadingCFindSCPQueryCacheStaleTimeout"
SIZE = "dcmLeadingCFindSCPQueryCacheSize"
RULE = f"cn=Another,{DEVICE}"


def ldap_site(server, tmp_path, **arguments):
    source = LdapSource(
        [f"{server.url}/{server.base_dn}"], **{"bind_dn": server.bind_dn, "password": server.password, **arguments}
    )
    return Site(source=source, device_name=NAME, properties={}, data_dir=tmp_path)


def with_values(entries, dn, **attributes):
    """The entries, one of which has these values instead of its own."""
    key = Entry(dn, {}).key
    return [
        Entry.of(found.dn, {**found.attributes, **{name.lower(): values for name, values in attributes.items()}})
        if found.key == key
        else found
        for found in entries
    ]


def new_rule(dn=RULE, **attributes):
    return Entry.of(
        dn,
        {
            "objectClass": ["dcmArchiveAttributeCoercion"],
            "cn": [dn.partition(",")[0].removeprefix("cn=")],
            "dcmDIMSE": ["C_STORE_RQ"],
            "dicomTransferRole": ["SCP"],
            "dcmLeadingCFindSCP": ["QRSCP"],
            **attributes,
        },
    )


@pytest.fixture(params=[*SERVERS, "ldif"])
def editor(request, tmp_path):
    """An editor of the quickstart, which is left as it was."""
    if request.param == "ldif":
        path = tmp_path / "quickstart.ldif"
        path.write_text(short_quickstart(), "utf-8")
        site = Site(
            source=LdifSource([path]), device_name=NAME, properties={}, data_dir=tmp_path, is_ldif_writable=True
        )
        yield editor_of(site)
        return
    server = request.getfixturevalue("directory_of")(request.param, SHORT)
    found = editor_of(ldap_site(server, tmp_path))
    before = found.entries(NAME)
    yield found
    found.save(replace(found.plan(NAME, before), preview=found.plan(NAME, found.entries(NAME)).preview))
    assert etag(found.entries(NAME)) == etag(before)


def test_change_is_planned_and_saved(editor):
    before = editor.entries(NAME)
    plan = editor.plan(NAME, with_values(before, DEVICE, **{TIMEOUT: ["PT1M"], SIZE: ["7"]}), base=before)
    assert (plan.problems, len(plan.changes)) == ((), 1)
    assert any(found.attribute == SIZE and found.detail.endswith("to 7") for found in plan.differences)
    assert etag(editor.entries(NAME)) == etag(before)
    editor.save(plan)
    (device,) = [found for found in editor.entries(NAME) if found.is_a("dicomDevice")]
    assert (device.values(TIMEOUT), device.values(SIZE)) == (("PT1M",), ("7",))


def test_entry_comes_and_goes(editor):
    before = editor.entries(NAME)
    editor.save(editor.plan(NAME, [*before, new_rule()], base=before))
    now = editor.entries(NAME)
    assert [found.dn for found in now if found.values("cn") == ("Another",)] != []
    editor.save(editor.plan(NAME, before, base=now))
    assert etag(editor.entries(NAME)) == etag(before)


def test_nothing_is_sent_where_nothing_differs(editor):
    before = editor.entries(NAME)
    plan = editor.plan(NAME, before, expected=etag(before))
    assert (plan.changes, plan.ldif, plan.differences, plan.problems) == ((), "", (), ())
    editor.save(plan)


def test_error_refuses_the_change(editor):
    before = editor.entries(NAME)
    plan = editor.plan(NAME, with_values(before, DEVICE, **{TIMEOUT: ["soon"]}), base=before)
    assert [problem.attribute for problem in plan.errors] == [TIMEOUT]
    with pytest.raises(WriteRefused) as refused:
        editor.save(plan)
    assert refused.value.problems == plan.errors
    assert etag(editor.entries(NAME)) == etag(before)


def test_other_tree_than_expected_is_a_conflict(editor):
    before = editor.entries(NAME)
    with pytest.raises(WriteConflict):
        editor.plan(NAME, before, expected="other")


def test_value_that_was_changed_meanwhile_is_not_overwritten(editor):
    before = editor.entries(NAME)
    plan = editor.plan(NAME, with_values(before, DEVICE, **{SIZE: ["7"]}), base=before)
    faster = editor.plan(NAME, with_values(before, DEVICE, **{SIZE: ["8"]}), base=before)
    editor.save(faster)
    with pytest.raises(WriteConflict) as conflict:
        editor.save(plan)
    old = next(found for found in before if found.is_a("dicomDevice")).values(SIZE)
    assert (conflict.value.attribute, conflict.value.expected, conflict.value.found) == (SIZE, old, ("8",))
    assert any(found.values(SIZE) == ("8",) for found in editor.entries(NAME))
    with pytest.raises(WriteConflict):
        editor.plan(NAME, with_values(before, DEVICE, **{SIZE: ["9"]}), base=before)


def test_changes_of_others_elsewhere_stay(editor):
    before = editor.entries(NAME)
    plan = editor.plan(NAME, with_values(before, DEVICE, **{SIZE: ["7"]}), base=before)
    editor.save(editor.plan(NAME, with_values(before, DEVICE, dicomStationName=["X-RAY"]), base=before))
    editor.save(plan)
    (device,) = [found for found in editor.entries(NAME) if found.is_a("dicomDevice")]
    assert (device.values("dicomStationName"), device.values(SIZE)) == (("X-RAY",), ("7",))


def test_entry_of_another_device_is_refused(editor):
    before = editor.entries(NAME)
    with pytest.raises(WriteRefused, match="neither"):
        editor.plan(NAME, [*before, new_rule(f"cn=Another,dicomDeviceName=storescp,{DEVICES}")], base=before)


def test_lists_have_all_devices_aes_and_connections(editor):
    assert {name for found in editor.devices() for name in found.values("dicomDeviceName")} >= {NAME, "storescp"}
    assert {title for found in editor.aes() for title in found.values("dicomAETitle")} >= {"DCM4CHEE", "QRSCP"}
    assert all(found.values("dicomHostname") for found in editor.connections())


def test_files_are_read_only_unless_allowed(tmp_path):
    path = tmp_path / "a.ldif"
    path.write_bytes((OUR_LDIF / "quickstart.ldif").read_bytes())
    editor = editor_of(Site(source=LdifSource([path]), device_name=NAME, properties={}, data_dir=tmp_path))
    before = editor.entries(NAME)
    assert not editor.is_writable
    plan = editor.plan(NAME, [*before, new_rule()], base=before)
    with pytest.raises(ReadOnlyDirectory, match="--ldif-writable"):
        editor.save(plan)
    assert path.read_bytes() == (OUR_LDIF / "quickstart.ldif").read_bytes()
    assert list(tmp_path.iterdir()) == [path]


SITE_SCHEMA = """
attributetype ( 1.2.3.4.5.1 NAME 'siteColour' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
objectclass ( 1.2.3.4.5.2 NAME 'sitePainted' SUP top AUXILIARY MAY siteColour )
"""


@pytest.fixture
def painted(slapd_factory, tmp_path):
    """A server whose rule has an attribute and a class of the site's own schema."""
    schema = tmp_path / "site.schema"
    schema.write_text(SITE_SCHEMA)
    server = slapd_factory(schema=[*OUR_SCHEMA, schema], content=[TREE])
    server.load(to_ldif([painted_rule("One")]))
    return server


def painted_rule(name):
    classes = ["dcmArchiveAttributeCoercion", "sitePainted"]
    return new_rule(f"cn={name},{DEVICE}", objectClass=classes, siteColour=["green"], dcmLeadingCFindSCP=["DCM4CHEE"])


def test_attribute_of_a_schema_that_we_do_not_know_is_copied_changed_and_deleted_where_it_is_in_use(painted, tmp_path):
    editor = editor_of(ldap_site(painted, tmp_path))
    before = editor.entries(NAME)
    editor.save(editor.plan(NAME, [*before, painted_rule("Two")], base=before))
    now = editor.entries(NAME)
    editor.save(editor.plan(NAME, with_values(now, f"cn=Two,{DEVICE}", siteColour=["red"]), base=now))
    assert painted.entry(f"cn=Two,{DEVICE}")["sitecolour"] == ["red"]
    now = editor.entries(NAME)
    editor.save(editor.plan(NAME, with_values(now, f"cn=Two,{DEVICE}", siteColour=[]), base=now))
    assert "sitecolour" not in painted.entry(f"cn=Two,{DEVICE}")


def test_attribute_that_no_schema_has_is_refused_where_nobody_uses_it(editor):
    before = editor.entries(NAME)
    plan = editor.plan(NAME, with_values(before, DEVICE, siteColour=["red"]), base=before)
    assert [problem.attribute for problem in plan.errors] == ["sitecolour"]


def test_warning_is_shown_and_does_not_refuse(editor):
    before = editor.entries(NAME)
    plan = editor.plan(NAME, [*before, new_rule(dcmLeadingCFindSCP=["NOBODY"])], base=before)
    assert plan.errors == ()
    assert any(problem.value == "NOBODY" for problem in plan.problems)
    editor.save(plan)


def test_error_that_is_there_already_does_not_hinder_another_change(slapd_factory, tmp_path):
    server = slapd_factory(content=[TREE])
    server.load(to_ldif([new_rule(dcmLeadingCFindSCP=["DCM4CHEE"], dcmRulePriority=["1"], dcmProperty=["nonsense"])]))
    editor = editor_of(ldap_site(server, tmp_path))
    before = editor.entries(NAME)
    plan = editor.plan(NAME, with_values(before, DEVICE, dicomStationName=["A"]), base=before)
    assert plan.problems == ()
    assert [problem.attribute for problem in plan.preview.remaining if problem.severity is Severity.ERROR] == [
        "dcmProperty"
    ]
    editor.save(plan)
    mending = editor.plan(NAME, with_values(editor.entries(NAME), RULE, dcmProperty=[]))
    assert [problem.attribute for problem in mending.preview.mended] == ["dcmProperty"]
    editor.save(mending)


def test_device_is_made_and_deleted_with_its_registered_titles(editor):
    name, dn = "new device", editor.device_dn("new device")
    wanted = [
        Entry.of(dn, {"objectClass": ["dicomDevice"], "dicomDeviceName": [name], "dicomInstalled": ["TRUE"]}),
        Entry.of(
            f"cn=dicom,{dn}",
            {"objectClass": ["dicomNetworkConnection"], "cn": ["dicom"], "dicomHostname": ["h"], "dicomPort": ["104"]},
        ),
        Entry.of(
            f"dicomAETitle=NEW,{dn}",
            {
                "objectClass": ["dicomNetworkAE"],
                "dicomAETitle": ["NEW"],
                "dicomNetworkConnectionReference": [f"cn=dicom,{dn}"],
                "dicomAssociationInitiator": ["TRUE"],
                "dicomAssociationAcceptor": ["TRUE"],
            },
        ),
    ]
    plan = editor.plan(name, wanted, base=(), registers=True)
    assert (plan.errors, len(plan.changes)) == ((), 4)
    assert any(found.kind is DifferenceKind.ADDED for found in plan.differences)
    editor.save(plan)
    assert "NEW" in titles(editor.registered_aes())
    assert etag(editor.entries(name)) == etag(wanted)
    with pytest.raises(WriteConflict):
        editor.plan(name, wanted, base=())
    editor.save(editor.plan(name, (), base=editor.entries(name), registers=True))
    assert (editor.entries(name), "NEW" in titles(editor.registered_aes())) == ((), False)


def titles(entries):
    return {title for found in entries for title in found.values("dicomAETitle")}


def test_title_goes_with_its_last_ae(editor):
    assert registry_changes_without_ae(editor) == ["delete"]
    twin = [renamed(found, "storescp", "twin") for found in editor.entries("storescp")]
    editor.save(editor.plan("twin", twin, base=(), registers=True))
    assert registry_changes_without_ae(editor) == []
    editor.save(editor.plan("twin", (), registers=True))
    assert "STORESCP" in titles(editor.registered_aes())


def renamed(found, old, new):
    """An entry of a device as an entry of another."""
    values = {found.spell(name): [value.replace(old, new) for value in found.values(name)] for name in found}
    return Entry.of(found.dn.replace(old, new), values)


def registry_changes_without_ae(editor):
    """What would become of the registry without the AE of the viewer."""
    kept = [found for found in editor.entries("storescp") if not found.is_a("dicomNetworkAE")]
    plan = editor.plan("storescp", kept, registers=True)
    return [change.kind.value for change in plan.changes if "Registry" in change.dn]


def test_change_of_another_device_tells_what_differs_there(editor):
    before = editor.entries("storescp")
    connection = next(found for found in before if found.is_a("dicomNetworkConnection"))
    plan = editor.plan("storescp", with_values(before, connection.dn, dicomPort=["4711"]), base=before)
    assert any(found.attribute == "dicomPort" for found in plan.differences)
    wrong = editor.plan("storescp", with_values(before, connection.dn, dicomPort=["99999"]), base=before)
    assert [problem.attribute for problem in wrong.errors] == ["dicomPort"]


def test_author_is_in_the_log_and_values_are_not(editor, caplog):
    before = editor.entries(NAME)
    with caplog.at_level("INFO"):
        editor.save(editor.plan(NAME, with_values(before, DEVICE, dcmKeyStorePin=["tulip"]), base=before), author="ann")
    assert f"directory changed by ann: modify {DEVICE}" in caplog.text
    assert "tulip" not in caplog.text


INSTALLED = {"dicomInstalled": ["TRUE"]}


def many_devices(number):
    """LDIF of so many devices with an AE and a connection each."""
    for count in range(number):
        dn = f"dicomDeviceName=device{count},{DEVICES}"
        yield Entry.of(dn, {"objectClass": ["dicomDevice"], "dicomDeviceName": [f"device{count}"], **INSTALLED})
        yield Entry.of(
            f"cn=dicom,{dn}", {"objectClass": ["dicomNetworkConnection"], "cn": ["dicom"], "dicomHostname": ["h"]}
        )
        yield Entry.of(
            f"dicomAETitle=AE{count},{dn}",
            {
                "objectClass": ["dicomNetworkAE"],
                "dicomAETitle": [f"AE{count}"],
                "dicomNetworkConnectionReference": [f"cn=dicom,{dn}"],
                "dicomAssociationInitiator": ["TRUE"],
                "dicomAssociationAcceptor": ["TRUE"],
            },
        )


def test_lists_of_two_thousand_devices_cost_a_few_searches(slapd_factory, tmp_path):
    devices = to_ldif(many_devices(2000))
    server = slapd_factory(content=[TREE, devices])
    editor = editor_of(ldap_site(server, tmp_path))
    own = server.served()
    own = server.served() - own
    for listed in (editor.devices, editor.aes, editor.connections):
        before = server.served()
        assert len(listed()) == 2001
        cost = server.served() - before
        # The root, and one page.
        assert (cost.searches - own.searches, cost.entries - own.entries) == (2, 2002)
    before = server.served()
    assert len(editor.entries("device1000")) == 3
    cost = server.served() - before
    assert cost.searches - own.searches == 2
