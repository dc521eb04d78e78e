import pytest

from dcm4py_leading.config.report.inventory import Present, Status, inventory, shortcomings, some
from tests.fixtures import trees


def found(*entries):
    return {(one.object_class, one.attribute): (one.status, one.entries) for one in inventory(entries)}


def test_an_attribute_that_is_read_is_acted_on():
    assert found(trees.device(dcmAECacheStaleTimeout="PT5M"))["dicomDevice", "dcmAECacheStaleTimeout"] == (
        Status.YES,
        1,
    )


def test_an_attribute_that_dcm4chee_reads_and_we_do_not_is_told_with_how_many_entries_have_it():
    listed = found(trees.ae("A", dcmFwdMppsDestination="X"), trees.ae("B", dcmFwdMppsDestination="Y"), trees.ae("C"))
    assert listed["dicomNetworkAE", "dcmFwdMppsDestination"] == (Status.NO, 2)


@pytest.mark.ldap("dcmRetrieveTimeout")
def test_partly_supported_attribute_names_the_missing_part():
    (partial,) = (one for one in inventory([trees.device(dcmShowPatientInfoInSystemLog="HASH_NAME")]) if one.remark)
    assert (partial.status, partial.attribute) == (Status.PARTIAL, "dcmShowPatientInfoInSystemLog")
    assert "no patient information is logged" in str(partial)


def test_the_same_attribute_counts_by_the_class_of_its_entry():
    listed = found(trees.rule(dcmURI="x.xsl"), trees.entry(f"cn=e,{trees.DEVICE}", "dcmExporter", cn="e", dcmURI="x:"))
    assert listed["dcmArchiveAttributeCoercion", "dcmURI"] == (Status.YES, 1)
    assert listed["dcmExporter", None] == (Status.NO, 1)
    assert ("dcmExporter", "dcmURI") not in listed


def test_rule_names_the_replacement_of_a_removed_attribute():
    listed = inventory([trees.rule(dcmHostname="modality")])
    (one,) = (one for one in listed if one.status is Status.NO)
    assert "SendingHostname" in one.remark


@pytest.mark.ldap("dcmEntity")
@pytest.mark.ldap("dcmAttributeSetType")
def test_filters_and_sets_of_services_that_are_not_built_are_kinds_of_their_own():
    mpps = trees.entry(f"dcmEntity=MPPS,{trees.DEVICE}", "dcmAttributeFilter", dcmEntity="MPPS ", dcmTag="00100010")
    qido = trees.entry(
        f"dcmAttributeSetID=a+dcmAttributeSetType=QIDO_RS,{trees.DEVICE}",
        "dcmAttributeSet",
        dcmAttributeSetID="a",
        dcmAttributeSetType="QIDO_RS",
        dcmTag="00100010",
    )
    assert found(mpps, qido) == {
        ("dcmAttributeFilter dcmEntity=MPPS", None): (Status.NO, 1),
        ("dcmAttributeSet dcmAttributeSetType=QIDO_RS", None): (Status.NO, 1),
    }


def test_attributes_of_any_directory_are_not_listed():
    plain = trees.entry(trees.DEVICE, "top dicomDevice", dicomDeviceName="x", entryUUID="1", description="y")
    assert {attribute for _, attribute in found(plain)} == {"dicomDeviceName"}


@pytest.mark.ldap("dcmShareTransferCapabilitiesFromAETitle")
def test_attributes_read_by_the_loader_are_acted_on():
    listed = found(trees.ae(dcmShareTransferCapabilitiesFromAETitle="OTHER"))
    assert listed["dicomNetworkAE", "dcmShareTransferCapabilitiesFromAETitle"] == (Status.YES, 1)


def test_long_list_of_names_is_shortened_unless_all_are_wanted():
    many = [f"dcm{number}" for number in range(1, 43)]
    assert some(many, is_full=False) == "dcm1, dcm2, dcm3 and 39 more"
    assert some(many, is_full=True) == ", ".join(many)
    assert some(many[:4], is_full=False) == "dcm1, dcm2, dcm3, dcm4"


def test_unsupported_attributes_are_listed_one_line_per_kind_of_entry():
    def present(status, kind, attribute, entries=1, remark=""):
        return Present(status=status, object_class=kind, attribute=attribute, entries=entries, remark=remark)

    listed = [
        present(Status.NO, "dcmQueue", None, 11),
        present(Status.NO, "dicomDevice", "dcmA"),
        present(Status.NO, "dicomDevice", "dcmB"),
        present(Status.PARTIAL, "dicomNetworkAE", "dcmC", 2, "half of it"),
        present(Status.YES, "dicomDevice", "dcmD"),
    ]
    assert list(shortcomings(listed)) == [
        "partial: dicomNetworkAE dcmC, 2 entries: half of it",
        "not acted on, entries of: dcmQueue (11)",
        "not acted on, attributes of dicomDevice: dcmA, dcmB",
    ]
