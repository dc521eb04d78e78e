import os

import pytest

from dcm4py_leading.config.ldif.source import LdifSource
from dcm4py_leading.errors import ConfigInvalid, ConfigUnavailable
from tests.fixtures.trees import AE, CONNECTION, DEVICE, DEVICES

TREE = f"""version: 1

dn: {DEVICE}
objectClass: dicomDevice
objectClass: dcmArchiveDevice
dicomDeviceName: dcm4chee-arc
dicomInstalled: TRUE
dcmLeadingCFindSCPQueryCacheStaleTimeout: PT5M

dn: {CONNECTION}
objectClass: dicomNetworkConnection
cn: dicom
dicomHostname: localhost
dicomPort: 11112

dn: {AE}
objectClass: dicomNetworkAE
dicomAETitle: DCM4CHEE
dicomNetworkConnectionReference: {CONNECTION}
dicomAssociationInitiator: TRUE
dicomAssociationAcceptor: TRUE

dn: cn=CT,{AE}
objectClass: dicomTransferCapability
cn: CT
dicomSOPClass: 1.2.840.10008.5.1.4.1.1.2
dicomTransferRole: SCP
dicomTransferSyntax: 1.2.840.10008.1.2
"""


@pytest.fixture
def source(tmp_path):
    """Make a source from LDIF texts, one file each."""

    def make(*texts):
        paths = []
        for number, text in enumerate(texts):
            paths.append(tmp_path / f"{number}.ldif")
            paths[-1].write_text(text)
        return LdifSource(paths)

    return make


def problems(source):
    with pytest.raises(ConfigInvalid) as caught:
        source.entries()
    return caught.value.problems


def change(dn, *lines):
    return f"dn: {dn}\nchangetype: modify\n" + "\n".join(lines) + "\n-\n"


def device(source):
    return source.read_device("dcm4chee-arc")[0]


def test_device_comes_with_everything_below_it(source):
    entries = source(TREE, f"dn: dicomDeviceName=other,{DEVICES}\nobjectClass: dicomDevice\n").read_device(
        "dcm4chee-arc"
    )
    assert [entry.dn for entry in entries] == [DEVICE, CONNECTION, AE, f"cn=CT,{AE}"]


def test_device_name_is_compared_without_case(source):
    assert source(TREE).read_device("DCM4CHEE-ARC")


def test_unknown_device_has_no_entries(source):
    assert source(TREE).read_device("other") == ()


def test_ae_comes_with_its_device_but_no_capabilities(source):
    assert [entry.dn for entry in source(TREE).read_ae("DCM4CHEE")] == [DEVICE, CONNECTION, AE]


def test_ae_title_is_compared_with_case(source):
    assert source(TREE).read_ae("dcm4chee") == ()


def test_ae_in_the_unique_titles_registry_alone_does_not_exist(source):
    registry = "cn=Unique AE Titles Registry,cn=DICOM Configuration,dc=dcm4che,dc=org"
    entry = f"dn: dicomAETitle=GHOST,{registry}\nobjectClass: dicomUniqueAETitle\ndicomAETitle: GHOST\n"
    assert source(TREE, entry).read_ae("GHOST") == ()


def test_changes_apply_in_order(source):
    directory = source(
        TREE,
        change(DEVICE, "replace: dcmLeadingCFindSCPQueryCacheSize", "dcmLeadingCFindSCPQueryCacheSize: 50"),
        change(DEVICE.upper(), "replace: dcmleadingcfindscpquerycachesize", "dcmleadingcfindscpquerycachesize: 60"),
        change(DEVICE, "delete: dcmLeadingCFindSCPQueryCacheStaleTimeout"),
        f"dn: cn=CT,{AE}\nchangetype: delete\n",
        f"dn: cn=lead,{DEVICE}\nchangetype: add\nobjectClass: dcmArchiveAttributeCoercion\ncn: lead\n",
    )
    assert device(directory).values("dcmLeadingCFindSCPQueryCacheSize") == ("60",)
    assert device(directory).values("dcmLeadingCFindSCPQueryCacheStaleTimeout") == ()
    assert [entry.dn for entry in directory.read_device("dcm4chee-arc")][-1] == f"cn=lead,{DEVICE}"
    assert len(directory.entries()) == 4


def test_single_value_is_deleted_by_value(source):
    directory = source(TREE, change(DEVICE, "add: dcmRetrieveAET", "dcmRetrieveAET: A", "dcmRetrieveAET: B"))
    assert device(directory).values("dcmRetrieveAET") == ("A", "B")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            change(
                DEVICE,
                "add: dcmLeadingCFindSCPQueryCacheStaleTimeout",
                "dcmLeadingCFindSCPQueryCacheStaleTimeout: PT5M",
            ),
            "the value is there already",
        ),
        (
            change(
                DEVICE,
                "add: dcmLeadingCFindSCPQueryCacheStaleTimeout",
                "dcmLeadingCFindSCPQueryCacheStaleTimeout: PT9M",
            ),
            "takes one value and has 'PT5M'; use replace",
        ),
        (change(DEVICE, "delete: dcmRetrieveAET"), "has no such attribute"),
        (change(DEVICE, "delete: objectClass", "objectClass: dcmDevice"), "has no such value"),
        (change(f"cn=x,{DEVICE}", "delete: cn"), "there is no such entry, so add it first"),
        (f"dn: {DEVICE}\nobjectClass: dicomDevice\n", "exists already"),
        (f"dn: cn=a,dicomDeviceName=b,{DEVICES}\nobjectClass: top\n", "above it does not exist"),
        (f"dn: cn=a,{DEVICE}\ncn: a\n", "objectClass: is required"),
        (f"dn: cn=b,{DEVICE}\nchangetype: delete\n", "no such entry"),
        (f"dn: {AE}\nchangetype: delete\n", "has others below it"),
    ],
)
def test_change_that_a_server_refuses_is_refused_with_entry_file_and_line(source, text, reason):
    (problem,) = problems(source(TREE, text))
    assert reason in str(problem)
    assert "1.ldif, line " in problem.reason


def test_missing_parent_is_told_once(source):
    missing = f"dicomDeviceName=b,{DEVICES}"
    text = "".join(f"dn: cn={number},{missing}\nobjectClass: top\n\n" for number in range(9))
    assert len(problems(source(text))) == 1


def test_entries_above_the_devices_may_be_absent_or_come_later(source):
    root = "cn=DICOM Configuration,dc=dcm4che,dc=org"
    text = f"dn: {root}\nobjectClass: dicomConfigurationRoot\ncn: DICOM Configuration\n"
    assert len(source(TREE, text).entries()) == 5


def test_faults_of_all_files_are_told_before_anything_is_applied(source):
    found = problems(source("dn: cn=a\ncn a\nsn: b\n", "dn: cn=b\ncn b\nsn: b\n"))
    assert ["0.ldif" in found[0].dn, "1.ldif" in found[1].dn] == [True, True]


def test_edited_file_counts_at_the_next_read(source, tmp_path):
    directory = source(TREE)
    assert directory.read_ae("DCM4CHEE")
    path = tmp_path / "0.ldif"
    path.write_text(TREE.replace("dicomAETitle: DCM4CHEE", "dicomAETitle: OTHER"))
    os.utime(path, ns=(1, 1))
    assert directory.read_ae("OTHER")


def test_removed_file_is_unavailable(source, tmp_path):
    directory = source(TREE)
    (tmp_path / "0.ldif").unlink()
    with pytest.raises(ConfigUnavailable, match=r"0\.ldif: No such file"):
        directory.read_ae("DCM4CHEE")


def test_upstreams_stock_files_build_its_1514_entries(upstream):
    assert len(LdifSource(upstream.stock_content).entries()) == 1514


def test_refused_value_of_an_attribute_that_we_do_not_read_is_not_shown(source):
    pin = change(DEVICE, "add: dcmKeyStorePin", "dcmKeyStorePin: s3cret")
    (problem,) = problems(source(TREE, pin, pin))
    assert problem.attribute == "dcmKeyStorePin"
    assert "s3cret" not in str(problem)


def test_entry_has_the_attribute_that_names_it_as_on_a_server(source):
    text = f"dn: cn=Second,{DEVICE}\nobjectClass: dicomNetworkConnection\ndicomHostname: h\n"
    assert source(TREE, text).entries()[-1].values("cn") == ("Second",)


def rename(dn, new_rdn, *more, delete_old=1):
    return "\n".join(
        [f"dn: {dn}", "changetype: modrdn", f"newrdn: {new_rdn}", f"deleteoldrdn: {delete_old}", *more, ""]
    )


def test_renamed_entry_takes_what_is_below_along(source):
    directory = source(TREE, rename(DEVICE, "dicomDeviceName=arc"))
    assert directory.read_device("dcm4chee-arc") == ()
    entries = directory.read_device("ARC")
    assert entries[0].values("dicomDeviceName") == ("arc",)
    assert len(entries) == len(source(TREE).read_device("dcm4chee-arc"))
    assert all(entry.dn.endswith(f"dicomDeviceName=arc,{DEVICES}") for entry in entries)


def test_old_name_stays_a_value_where_it_is_not_deleted(source):
    (entry,) = source(TREE, rename(CONNECTION, "cn=second", delete_old=0)).read_entries(
        f"cn=second,{DEVICE}", with_below=True
    )
    assert entry.values("cn") == ("dicom", "second")


def test_entry_moves_below_another(source):
    moved = rename(CONNECTION, "cn=dicom", f"newsuperior: {AE}")
    assert len(source(TREE, moved).read_entries(f"cn=dicom,{AE}", with_below=False)) == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (rename(f"cn=none,{DEVICE}", "cn=a"), "there is no such entry"),
        (
            rename(CONNECTION, "cn=dicom", f"newsuperior: cn=none,{DEVICE}"),
            "the entry above the new name does not exist",
        ),
        (rename(CONNECTION, "dicomAETitle=DCM4CHEE"), "the new name is taken"),
    ],
)
def test_renaming_that_a_server_refuses_is_refused(source, text, reason):
    (problem,) = problems(source(TREE, text))
    assert reason in str(problem)
