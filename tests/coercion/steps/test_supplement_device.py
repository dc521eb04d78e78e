from dataclasses import replace

import pytest
from pydicom import Dataset, dcmread

from dcm4py_leading.coercion.changes import apply
from dcm4py_leading.coercion.steps.supplement_device import SupplementDeviceStep
from dcm4py_leading.coercion.tags import AllTags
from dcm4py_leading.model.codes import Code, Issuer
from dcm4py_leading.model.coercion import Dimse
from dcm4py_leading.model.device import DeviceDescription
from tests.fixtures.datasets import sample_path
from tests.fixtures.rules import RETRIEVE, data_set

ISSUER = Issuer.parse("HOSPITAL&1.2.3&ISO")
DEVICE = DeviceDescription(
    dn="dicomDeviceName=ct",
    device_name="ct",
    manufacturer="Maker",
    manufacturer_model_name="Model",
    software_versions=("1.0", "2.0"),
    station_name="CT1",
    device_serial_number="4711",
    institution_names=("Clinic", "Other"),
    institution_addresses=("Street 1",),
    institution_codes=(Code(value="A1", scheme="99X", version="1", meaning="Clinic"),),
    institution_department_names=("Radiology",),
    issuer_of_patient_id=ISSUER,
    issuer_of_accession_number=ISSUER,
    order_placer_identifier=Issuer.parse("PLACER"),
    order_filler_identifier=Issuer.parse("FILLER"),
    issuer_of_admission_id=ISSUER,
    issuer_of_service_episode_id=ISSUER,
    issuer_of_container_identifier=ISSUER,
    issuer_of_specimen_identifier=ISSUER,
)
BARE = DeviceDescription(dn="dicomDeviceName=bare", device_name="bare")
WORKLIST = replace(RETRIEVE, dimse=Dimse.C_FIND_RQ, sop_class="1.2.840.10008.5.1.4.31")
QUERY = replace(RETRIEVE, dimse=Dimse.C_FIND_RQ, sop_class="1.2.840.10008.5.1.4.1.2.2.1")
PERFORMED = replace(RETRIEVE, dimse=Dimse.N_CREATE_RQ, sop_class="1.2.840.10008.3.1.2.3.3")


def supplemented(ds, context=RETRIEVE, device=DEVICE):
    step = SupplementDeviceStep(device=device)
    changes = step.changes(ds, context)
    assert changes is not None and step.writes is not AllTags.ALL
    assert {change.path[0] for change in changes} <= step.writes
    apply(ds, changes)
    return ds


@pytest.mark.ldap("dcmSupplementFromDeviceReference")
@pytest.mark.ldap("dicomManufacturer")
@pytest.mark.ldap("dicomManufacturerModelName")
@pytest.mark.ldap("dicomSoftwareVersion")
@pytest.mark.ldap("dicomStationName")
@pytest.mark.ldap("dicomDeviceSerialNumber")
@pytest.mark.ldap("dicomInstitutionName")
@pytest.mark.ldap("dicomInstitutionAddress")
@pytest.mark.ldap("dicomInstitutionDepartmentName")
def test_an_object_gets_what_its_device_and_institution_are():
    ds = supplemented(Dataset())
    assert (ds.Manufacturer, ds.ManufacturerModelName, ds.StationName) == ("Maker", "Model", "CT1")
    assert (ds.DeviceSerialNumber, list(ds.SoftwareVersions)) == ("4711", ["1.0", "2.0"])
    assert (ds.InstitutionName, ds.InstitutionAddress) == ("Clinic", "Street 1")
    assert ds.InstitutionalDepartmentName == "Radiology"


@pytest.mark.ldap("dicomInstitutionCode")
@pytest.mark.parametrize(
    ("code", "keyword"),
    [
        (Code(value="A1", scheme="99X", meaning="Clinic"), "CodeValue"),
        (Code(value="A" * 17, scheme="99X", meaning="Clinic"), "LongCodeValue"),
        (Code(value="urn:oid:1.2", scheme=None, meaning="Clinic"), "URNCodeValue"),
    ],
)
def test_the_code_of_the_institution_stands_where_it_fits(code, keyword):
    ds = supplemented(Dataset(), device=replace(DEVICE, institution_codes=(code,)))
    (item,) = ds.InstitutionCodeSequence
    assert item[keyword].value == code.value
    assert item.CodeMeaning == "Clinic"
    assert item.get("CodingSchemeDesignator") == code.scheme


def test_values_that_are_there_stay():
    ds = data_set(Manufacturer="Theirs", InstitutionName="Theirs", InstitutionCodeSequence=[data_set(CodeValue="X")])
    supplemented(ds)
    assert (ds.Manufacturer, ds.InstitutionName) == ("Theirs", "Theirs")
    assert ds.InstitutionCodeSequence[0].CodeValue == "X"


def test_a_real_object_keeps_every_value():
    ds = dcmread(sample_path("CT_small.dcm"))
    before = {element.tag: element.value for element in ds if element.value not in (None, "")}
    supplemented(ds)
    assert {tag: ds[tag].value for tag in before} == before
    assert ds.IssuerOfPatientID == "HOSPITAL"


@pytest.mark.ldap("dicomIssuerOfPatientID")
@pytest.mark.parametrize("context", [RETRIEVE, QUERY, WORKLIST, PERFORMED])
def test_a_patient_id_gets_its_issuer(context):
    ds = supplemented(data_set(PatientID="4711"), context)
    assert ds.IssuerOfPatientID == "HOSPITAL"
    (item,) = ds.IssuerOfPatientIDQualifiersSequence
    assert (item.UniversalEntityID, item.UniversalEntityIDType) == ("1.2.3", "ISO")


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"PatientID": ""},
        {"PatientID": "1", "IssuerOfPatientID": "X"},
        {"PatientID": "1", "IssuerOfPatientIDQualifiersSequence": [data_set(UniversalEntityID="9")]},
    ],
)
def test_no_issuer_without_an_id_or_beside_another_issuer(values):
    ds = data_set(**values)
    before = Dataset()
    before.update(ds)
    supplemented(ds, QUERY)
    assert ds == before


@pytest.mark.ldap("dicomIssuerOfAccessionNumber")
@pytest.mark.ldap("dicomIssuerOfAdmissionID")
@pytest.mark.ldap("dicomIssuerOfServiceEpisodeID")
@pytest.mark.ldap("dicomIssuerOfContainerIdentifier")
@pytest.mark.ldap("dicomIssuerOfSpecimenIdentifier")
@pytest.mark.parametrize(
    ("identifier", "sequence"),
    [
        ("AccessionNumber", "IssuerOfAccessionNumberSequence"),
        ("AdmissionID", "IssuerOfAdmissionIDSequence"),
        ("ServiceEpisodeID", "IssuerOfServiceEpisodeIDSequence"),
        ("ContainerIdentifier", "IssuerOfTheContainerIdentifierSequence"),
        ("SpecimenIdentifier", "IssuerOfTheSpecimenIdentifierSequence"),
    ],
)
def test_identifiers_get_their_issuers(identifier, sequence):
    ds = supplemented(data_set(**{identifier: "1"}))
    (item,) = ds[sequence].value
    assert (item.LocalNamespaceEntityID, item.UniversalEntityID) == ("HOSPITAL", "1.2.3")
    assert sequence not in supplemented(data_set(**{identifier: ""}))
    assert list(supplemented(data_set(**{identifier: "1", sequence: [Dataset()]}))[sequence].value) == [Dataset()]


@pytest.mark.ldap("dicomOrderPlacerIdentifier")
@pytest.mark.ldap("dicomOrderFillerIdentifier")
@pytest.mark.parametrize(
    ("context", "sequence"),
    [
        (RETRIEVE, "RequestAttributesSequence"),
        (QUERY, "RequestAttributesSequence"),
        (PERFORMED, "ScheduledStepAttributesSequence"),
    ],
)
def test_each_request_gets_the_issuers_of_its_order_numbers(context, sequence):
    def request(number):
        return data_set(
            AccessionNumber=number,
            PlacerOrderNumberImagingServiceRequest=number,
            FillerOrderNumberImagingServiceRequest=number,
        )

    ds = supplemented(data_set(**{sequence: [request("1"), request(""), request("2")]}), context)
    first, second, third = ds[sequence].value
    for item in (first, third):
        assert item.OrderPlacerIdentifierSequence[0].LocalNamespaceEntityID == "PLACER"
        assert item.OrderFillerIdentifierSequence[0].LocalNamespaceEntityID == "FILLER"
        assert item.IssuerOfAccessionNumberSequence[0].LocalNamespaceEntityID == "HOSPITAL"
    assert second == request("")


def test_order_numbers_of_a_worklist_item_stand_at_the_top():
    ds = supplemented(data_set(PlacerOrderNumberImagingServiceRequest="1"), WORKLIST)
    assert ds.OrderPlacerIdentifierSequence[0].LocalNamespaceEntityID == "PLACER"


@pytest.mark.parametrize("context", [QUERY, WORKLIST, PERFORMED])
def test_only_objects_get_what_the_device_is(context):
    assert supplemented(Dataset(), context) == Dataset()


def test_a_device_that_says_nothing_changes_nothing_and_is_applied():
    step = SupplementDeviceStep(device=BARE)
    assert step.changes(data_set(PatientID="1", AccessionNumber="2"), RETRIEVE) == []


def test_a_description_in_another_script_changes_the_character_set():
    ds = supplemented(data_set(SpecificCharacterSet="ISO_IR 100"), device=replace(BARE, institution_names=("Κλινική",)))
    assert (ds.InstitutionName, ds.SpecificCharacterSet) == ("Κλινική", "ISO_IR 192")
