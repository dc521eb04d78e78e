"""The least that must change, and what it is as LDIF."""

import pytest

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.ldif.directory import Directory
from dcm4py_leading.config.ldif.records import parse_ldif
from dcm4py_leading.config.writing.applied import applied
from dcm4py_leading.config.writing.changes import Kind, changes_between
from dcm4py_leading.config.writing.state import etag
from dcm4py_leading.config.writing.text import ldif_of, shown_ldif_of
from dcm4py_leading.errors import WriteRefused
from tests.fixtures.trees import AE, CONNECTION, DEVICE, entry

RULE = f"cn=leading,{DEVICE}"


def device(**attributes):
    return entry(DEVICE, "dicomDevice dcmArchiveDevice", dicomDeviceName="dcm4chee-arc", **attributes)


def rule(dn=RULE, cn="leading", **attributes):
    return entry(dn, "dcmArchiveAttributeCoercion", cn=cn, **attributes)


def test_equal_entries_need_no_change():
    old = device(dicomInstalled="TRUE", dicomSoftwareVersion=["1", "2"])
    new = Entry.of(
        DEVICE.replace("dicomDeviceName", "DICOMDEVICENAME"),
        {
            "OBJECTCLASS": ["dcmarchivedevice", "dicomDevice"],
            "dicomdevicename": ["dcm4chee-arc"],
            "dicomInstalled": ["TRUE"],
            "dicomSoftwareVersion": ["2", "1"],
        },
    )
    assert changes_between([old], [new]) == ()
    assert etag([old]) == etag([new])


def test_reference_that_is_spelt_otherwise_is_no_change():
    old = entry(AE, "dicomNetworkAE", dicomAETitle="DCM4CHEE", dicomNetworkConnectionReference=CONNECTION)
    new = entry(
        AE, "dicomNetworkAE", dicomAETitle="DCM4CHEE", dicomNetworkConnectionReference=CONNECTION.replace(",", ", ")
    )
    assert changes_between([old], [new]) == ()


def test_only_values_that_differ_are_named():
    old = device(dicomSoftwareVersion=["1", "2"], dicomStationName="A", dicomDescription="as it was")
    new = device(dicomSoftwareVersion=["2", "3"], dicomStationName="B", dicomDescription="as it was")
    assert ldif_of(changes_between([old], [new])) == (
        f"dn: {DEVICE}\nchangetype: modify\n"
        "delete: dicomSoftwareVersion\ndicomSoftwareVersion: 1\n-\n"
        "add: dicomSoftwareVersion\ndicomSoftwareVersion: 3\n-\n"
        "delete: dicomStationName\ndicomStationName: A\n-\n"
        "add: dicomStationName\ndicomStationName: B\n-\n"
    )


def test_value_that_was_absent_is_added_and_not_replaced():
    (change,) = changes_between([device()], [device(dicomStationName="A")])
    assert ldif_of([change]).endswith("modify\nadd: dicomStationName\ndicomStationName: A\n-\n")


def test_attribute_not_named_in_the_change_stays():
    old = Entry.of(DEVICE, {"objectClass": ["dicomDevice"], "dicomDeviceName": ["dcm4chee-arc"], "siteVendor": ["x"]})
    new = Entry.of(DEVICE, {**old.attributes, "dicomStationName": ["A"]})
    assert "siteVendor" not in ldif_of(changes_between([old], [new])).lower()


def test_other_spelling_of_a_text_is_a_change_though_the_schema_ignores_case():
    (change,) = changes_between([device(dicomDescription="archive")], [device(dicomDescription="Archive")])
    assert (change.attributes[0].removed, change.attributes[0].added) == (("archive",), ("Archive",))


def test_parents_and_connections_come_first_and_go_last():
    connection = entry(CONNECTION, "dicomNetworkConnection", cn="dicom", dicomHostname="localhost")
    ae = entry(AE, "dicomNetworkAE", dicomAETitle="DCM4CHEE", dicomNetworkConnectionReference=CONNECTION)
    child = rule(f"cn=leading,{AE}")
    come = changes_between([], [child, ae, connection, device()])
    assert [change.dn for change in come] == [DEVICE, CONNECTION, AE, child.dn]
    assert {change.kind for change in come} == {Kind.ADD}
    gone = changes_between([device(), connection, child, ae], [])
    assert [change.dn for change in gone] == [child.dn, AE, CONNECTION, DEVICE]
    assert {change.kind for change in gone} == {Kind.DELETE}


def test_entries_are_added_before_those_that_refer_to_them_are_modified_and_deleted_after():
    other = f"cn=other,{DEVICE}"
    changes = changes_between(
        [device(), rule()], [device(dicomStationName="A"), rule(other, cn="other", dcmRulePriority="1")]
    )
    assert [(change.kind, change.dn) for change in changes] == [
        (Kind.ADD, other),
        (Kind.MODIFY, DEVICE),
        (Kind.DELETE, RULE),
    ]


def test_class_top_is_no_difference_since_some_servers_add_it():
    old = Entry.of(DEVICE, {"objectClass": ["top", "dicomDevice"], "dicomDeviceName": ["dcm4chee-arc"]})
    new = Entry.of(DEVICE, {"objectClass": ["dicomDevice"], "dicomDeviceName": ["dcm4chee-arc"]})
    assert (changes_between([old], [new]), changes_between([new], [old])) == ((), ())
    assert etag([old]) == etag([new])


def test_naming_attribute_cannot_be_changed():
    with pytest.raises(WriteRefused, match="leading is in the entry's name") as refused:
        changes_between([rule()], [rule(cn="other")])
    assert refused.value.problems[0].attribute == "cn"


def test_new_entry_gets_the_value_of_its_name():
    (change,) = changes_between([], [Entry.of(RULE, {"objectClass": ["dcmArchiveAttributeCoercion"]})])
    assert ldif_of([change]).endswith("objectClass: dcmArchiveAttributeCoercion\ncn: leading\n")


def test_value_that_stands_twice_is_refused():
    with pytest.raises(WriteRefused, match="twice"):
        changes_between([device()], [device(dicomDescription=["a", "A"])])


@pytest.mark.parametrize("name", ["cn: x\ndescription", "a b", "", "ä", "-x", "cn;"])
def test_unknown_attribute_name_is_refused(name):
    with pytest.raises(WriteRefused, match="no name of an attribute"):
        changes_between([rule()], [rule(**{name: ["x"]})])


@pytest.mark.parametrize("name", ["description", "userCertificate;binary", "1.2.3", "x-y;lang-de;x-1"])
def test_name_of_an_attribute_may_be_any_of_the_standard(name):
    (change,) = changes_between([rule()], [rule(**{name: ["x"]})])
    assert change.attributes[0].attribute == name


def test_entry_that_stands_twice_is_refused():
    with pytest.raises(WriteRefused, match="twice"):
        changes_between([], [rule(), rule()])


@pytest.mark.parametrize("value", [" begins with a blank", "ends with one ", "Umlaut Ä", ":colon", "two\nlines", "<x"])
def test_any_text_goes_through_ldif(value):
    changes = changes_between([device(dicomDescription="plain")], [device(dicomDescription=value)])
    directory = Directory([device(dicomDescription="plain")])
    file = parse_ldif(ldif_of(changes), "a.ldif")
    assert (file.problems, directory.apply(file)) == ((), [])
    assert next(iter(directory)).values("dicomDescription") == (value,)


def test_octets_go_through_ldif():
    octets = "\\x00\\xff".replace("\\x00", "\0")
    changes = changes_between([device()], [device(**{"userCertificate;binary": octets})])
    assert "userCertificate;binary:: AP8=\n" in ldif_of(changes)


def test_text_that_looks_like_octets_stays_text():
    changes = changes_between([rule()], [rule(dcmProperty="PatientName=\\xe9.*")])
    assert "dcmProperty: PatientName=\\xe9.*\n" in ldif_of(changes)


def test_secrets_are_not_shown():
    old = device(dcmKeyStorePin="tulip", dicomStationName="A")
    new = device(dcmKeyStorePin="rose", dicomStationName="B")
    changes = changes_between([old], [new])
    assert "rose" in ldif_of(changes)
    shown = shown_ldif_of(changes)
    assert "rose" not in shown and "tulip" not in shown
    assert "dcmKeyStorePin: ***" in shown and "dicomStationName: B" in shown


def test_secret_that_did_not_change_is_not_sent():
    changes = changes_between([device(dcmKeyStorePin="tulip")], [device(dcmKeyStorePin="tulip", dicomStationName="B")])
    assert "tulip" not in ldif_of(changes)


def test_secret_in_an_option_of_a_storage_is_not_shown():
    dn = f"dcmStorageID=fs1,{DEVICE}"
    new = entry(dn, "dcmStorage", dcmStorageID="fs1", dcmProperty=["password=tulip", "x=y"])
    shown = shown_ldif_of(changes_between([], [new]))
    assert "tulip" not in shown
    assert "dcmProperty: password=***" in shown and "dcmProperty: x=y" in shown


def test_changes_lead_to_what_is_wanted_and_back():
    old = [device(dicomSoftwareVersion=["1", "2"]), rule(dcmRulePriority="1")]
    new = [device(dicomSoftwareVersion=["2"], dicomStationName="A"), rule(f"cn=x,{DEVICE}", cn="x")]
    changes = changes_between(old, new)
    assert etag(applied(old, changes)) == etag(new)
    assert etag(applied(new, [change.reversed() for change in reversed(changes)])) == etag(old)


def test_tag_does_not_tell_secrets():
    assert etag([device(dcmKeyStorePin="tulip")]) == etag([device(dcmKeyStorePin="rose")])
    assert etag([device(dicomStationName="A")]) != etag([device(dicomStationName="B")])
