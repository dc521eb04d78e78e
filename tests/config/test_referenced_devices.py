import pytest

from dcm4py_leading.config.loader import load_device, load_device_description
from dcm4py_leading.config.referenced_devices import describe_references
from dcm4py_leading.errors import ConfigUnavailable
from dcm4py_leading.model.codes import Code, Issuer
from tests.fixtures import trees
from tests.fixtures.trees import DEVICES, EntrySource

CT = f"dicomDeviceName=ct,{DEVICES}"


def ct(**attributes):
    return trees.entry(CT, "dicomDevice", dicomDeviceName="ct", dicomInstalled="TRUE", **attributes)


def described(*rules, others=()):
    entries = [trees.device(), trees.connection(), trees.ae(), *rules]
    device, problems = load_device(entries, "dcm4chee-arc")
    assert problems == [] and device is not None
    return describe_references(device, EntrySource([*entries, *others]))


def rule(name="sup", reference=CT, below=trees.DEVICE):
    return trees.rule2(name, below, dcmURI="sup-from-dev:", dcmSupplementFromDeviceReference=reference)


@pytest.mark.ldap("dcmSupplementFromDeviceReference")
@pytest.mark.ldap("dicomDeviceName")
def test_a_device_is_described_by_its_own_entry():
    devices, problems = described(rule(), others=[ct(dicomManufacturer="Maker", dicomStationName="CT1")])
    assert problems == []
    assert devices[CT].device_name == "ct"
    assert (devices[CT].manufacturer, devices[CT].station_name) == ("Maker", "CT1")


def test_rules_of_device_and_ae_may_name_one_device_in_any_spelling():
    other = f"DICOMDEVICENAME=CT, {DEVICES}"
    devices, problems = described(rule(), rule("ae", other, trees.AE), others=[ct(dicomManufacturer="Maker")])
    assert problems == []
    assert devices.keys() == {CT, other}
    assert devices[CT] == devices[other]


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        (f"dicomDeviceName=none,{DEVICES}", "the directory has no such dicomDevice"),
        ("dicomDeviceName=ct,cn=elsewhere", "the directory has no such dicomDevice"),
        (f"cn=ct,{DEVICES}", "expected the DN of a dicomDevice"),
    ],
)
def test_a_reference_that_leads_nowhere_is_a_problem_of_each_rule(reference, reason):
    devices, problems = described(rule("one", reference), rule("two", reference), others=[ct()])
    assert devices == {}
    assert [problem.dn.partition(",")[0] for problem in problems] == ["cn=one", "cn=two"]
    assert {problem.reason for problem in problems} == {reason}
    assert {problem.attribute for problem in problems} == {"dcmSupplementFromDeviceReference"}


@pytest.mark.ldap("dicomIssuerOfPatientID")
@pytest.mark.ldap("dicomInstitutionCode")
@pytest.mark.parametrize(
    ("attribute", "value"),
    [("dicomIssuerOfPatientID", "HOSPITAL&1.2.3"), ("dicomInstitutionCode", "clinic")],
)
def test_a_device_with_an_error_is_a_problem_of_its_entry_told_once(attribute, value):
    devices, (problem,) = described(rule("one"), rule("two"), others=[ct(**{attribute: value})])
    assert devices == {}
    assert (problem.dn, problem.attribute, problem.value) == (CT, attribute, value)


def test_a_directory_that_is_down_is_not_a_missing_device():
    class Down(EntrySource):
        def read_device(self, device_name):
            raise ConfigUnavailable("no server")

    device, _ = load_device([trees.device(), trees.connection(), trees.ae(), rule()], "dcm4chee-arc")
    assert device is not None
    with pytest.raises(ConfigUnavailable):
        describe_references(device, Down([]))


def test_without_references_nothing_is_read():
    class Unread(EntrySource):
        def read_device(self, device_name):
            raise AssertionError(device_name)

    device, _ = load_device([trees.device(), trees.connection(), trees.ae()], "dcm4chee-arc")
    assert device is not None
    assert describe_references(device, Unread([])) == ({}, [])


def test_values_of_a_description():
    entry = ct(
        dicomInstitutionName=["Clinic", "Annex"],
        dicomInstitutionCode='(A1, 99X, "Clinic")',
        dicomIssuerOfAccessionNumber="&1.2.3&ISO",
        dicomSoftwareVersion=["2.0", "1.0"],
    )
    device, problems = load_device_description([entry], CT)
    assert problems == [] and device is not None
    assert device.institution_names == ("Clinic", "Annex")
    assert device.institution_codes == (Code(value="A1", scheme="99X", meaning="Clinic"),)
    assert device.issuer_of_accession_number == Issuer.parse("&1.2.3&ISO")
    assert device.software_versions == ("2.0", "1.0")


def test_an_entry_of_another_class_is_no_device():
    assert load_device_description([trees.entry(CT, "organizationalRole", cn="ct")], CT) == (None, [])
