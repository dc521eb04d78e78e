"""Lists of devices and AEs, attribute sets and filters, the registry: what is told, and what query parameters leave."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fixtures.configured import ARC, OWN
from tests.fixtures.trees import DEVICE, DEVICES

MORE = f"""
dn: dicomDeviceName=CT 1,{DEVICES}
objectClass: dicomDevice
dicomDeviceName: CT 1
dicomDescription: CT [1] (new)
dicomManufacturer: Maker
dicomManufacturerModelName: Model
dicomSoftwareVersion: 1.0
dicomSoftwareVersion: 1.1
dicomStationName: CTROOM
dicomInstitutionName: Clinic
dicomInstitutionDepartmentName: Radiology
dicomPrimaryDeviceType: CT
dicomInstalled: FALSE

dn: cn=dicom,dicomDeviceName=CT 1,{DEVICES}
objectClass: dicomNetworkConnection
cn: dicom
dicomHostname: ct1
dicomPort: 104
dicomTLSCipherSuite: TLS_AES_128_GCM_SHA256

dn: dicomAETitle=CT1,dicomDeviceName=CT 1,{DEVICES}
objectClass: dicomNetworkAE
objectClass: dcmNetworkAE
dicomAETitle: CT1
dcmOtherAETitle: CT1OLD
dicomApplicationCluster: modalities
dicomNetworkConnectionReference: CN=dicom, dicomDeviceName=ct 1,{DEVICES}
dicomAssociationInitiator: TRUE
dicomAssociationAcceptor: FALSE

dn: dcmAttributeSetID=other+dcmAttributeSetType=QIDO_RS,{DEVICE}
objectClass: dcmAttributeSet
dcmAttributeSetID: other
dcmAttributeSetType: QIDO_RS
dcmAttributeSetNumber: 2
dcmTag: 00100010
dcmProperty: key=value
dcmProperty: token=s3cret
dcmProperty: id=never

dn: dcmAttributeSetID=first+dcmAttributeSetType=QIDO_RS,{DEVICE}
objectClass: dcmAttributeSet
dcmAttributeSetID: first
dcmAttributeSetType: QIDO_RS
dcmAttributeSetNumber: 1
dcmAttributeSetTitle: First
dicomDescription: The first
dcmTag: 00100010

dn: dcmAttributeSetID=off+dcmAttributeSetType=QIDO_RS,{DEVICE}
objectClass: dcmAttributeSet
dcmAttributeSetID: off
dcmAttributeSetType: QIDO_RS
dicomInstalled: FALSE
dcmTag: 00100010
"""
CT = {
    "dicomDeviceName": "CT 1",
    "dicomDescription": "CT [1] (new)",
    "dicomManufacturer": "Maker",
    "dicomManufacturerModelName": "Model",
    "dicomSoftwareVersion": ["1.0", "1.1"],
    "dicomStationName": "CTROOM",
    "dicomInstitutionName": ["Clinic"],
    "dicomInstitutionDepartmentName": ["Radiology"],
    "dicomPrimaryDeviceType": ["CT"],
    "dicomInstalled": False,
    "hasArcDevExt": False,
}
CT_AE = {
    "dicomDeviceName": "CT 1",
    "dicomAETitle": "CT1",
    "dcmOtherAETitle": ["CT1OLD"],
    "dicomAssociationInitiator": True,
    "dicomAssociationAcceptor": False,
    "dicomApplicationCluster": ["modalities"],
    "dicomNetworkConnection": [
        {
            "cn": "dicom",
            "dicomHostname": "ct1",
            "dicomPort": 104,
            "dicomTLSCipherSuite": ["TLS_AES_128_GCM_SHA256"],
        }
    ],
}


@pytest.fixture(autouse=True)
def more(ldif_files: list[Path]) -> None:
    with ldif_files[0].open("a") as file:
        file.write(MORE)


def names(rest: httpx.Client, path: str, member: str, **parameters: Any) -> list[str]:
    answer = rest.get(f"{ARC}/{path}", params=parameters)
    assert answer.status_code == 200
    return [found[member] for found in answer.json()]


def test_devices_are_told_with_what_is_filled_and_sorted_by_name(rest: httpx.Client) -> None:
    told = rest.get(f"{ARC}/devices").json()
    assert [found["dicomDeviceName"] for found in told] == ["CT 1", OWN, "dcmqrscp", "storescp"]
    assert told[0] == CT
    assert (told[1]["hasArcDevExt"], told[1]["dicomInstalled"]) == (True, True)


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({"dicomDeviceName": "ct 1"}, True),
        ({"dicomDeviceName": "ct"}, False),
        ({"dicomDeviceName": "*T*1"}, True),
        ({"dicomDeviceName": "CT*11"}, False),
        ({"dicomDescription": "CT [1]*"}, True),
        ({"dicomDescription": "CT ?1*"}, False),
        ({"dicomManufacturer": "m*"}, True),
        ({"dicomSoftwareVersion": "1.1"}, True),
        ({"dicomSoftwareVersion": ["9", "1.0"]}, True),
        ({"dicomSoftwareVersion": "1"}, False),
        ({"dicomPrimaryDeviceType": "CT"}, True),
        ({"dicomPrimaryDeviceType": "ct"}, False),
        ({"dicomInstitutionName": "*", "dicomStationName": "CTROOM"}, True),
        ({"dicomInstitutionName": "Clinic", "dicomStationName": "MRROOM"}, False),
        ({"dicomInstalled": "false"}, True),
        ({"dicomInstalled": "true"}, False),
        ({"hasArcDevExt": "false"}, True),
        ({"hasArcDevExt": "true"}, False),
        ({"dicomDeviceName": ""}, True),
    ],
)
def test_devices_are_filtered(rest: httpx.Client, parameters: dict[str, Any], found: bool) -> None:
    assert ("CT 1" in names(rest, "devices", "dicomDeviceName", **parameters)) is found


def test_many_wildcards_cost_no_time(rest: httpx.Client) -> None:
    assert names(rest, "devices", "dicomDeviceName", dicomDescription="*e" * 3000 + "x") == []


@pytest.mark.parametrize(("path", "name"), [("devices", "dicomInstalled"), ("aes", "dicomAssociationAcceptor")])
def test_filter_other_than_true_or_false_is_400(rest: httpx.Client, path: str, name: str) -> None:
    assert rest.get(f"{ARC}/{path}", params={name: "maybe"}).status_code == 400


def test_aes_are_told_with_their_connections_and_sorted_by_title(rest: httpx.Client) -> None:
    told = rest.get(f"{ARC}/aes").json()
    assert [found["dicomAETitle"] for found in told] == ["CT1", "DCM4CHEE", "QRSCP", "STORESCP"]
    assert told[0] == CT_AE


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({"dicomDeviceName": "CT*"}, True),
        ({"dicomDeviceName": "dcm*"}, False),
        ({"dicomAETitle": "CT1"}, True),
        ({"dicomAETitle": "ct1"}, False),
        ({"dicomAssociationAcceptor": "false"}, True),
        ({"dicomAssociationInitiator": "false"}, False),
        ({"dicomApplicationCluster": "mod*"}, True),
    ],
)
def test_aes_are_filtered(rest: httpx.Client, parameters: dict[str, Any], found: bool) -> None:
    assert ("CT1" in names(rest, "aes", "dicomAETitle", **parameters)) is found


def test_own_aes_and_own_name(rest: httpx.Client) -> None:
    assert names(rest, "aets", "dicomAETitle") == ["DCM4CHEE"]
    assert rest.get(f"{ARC}/devicename").json() == {"dicomDeviceName": OWN}


def test_attribute_sets_of_a_type_are_told_by_number_without_tags(rest: httpx.Client) -> None:
    assert rest.get(f"{ARC}/attribute-set/QIDO_RS").json() == [
        {"type": "QIDO_RS", "id": "first", "title": "First", "description": "The first"},
        {"type": "QIDO_RS", "id": "other", "key": "value", "token": "***"},
    ]
    assert rest.get(f"{ARC}/attribute-set/WADO_RS").json() == []
    assert rest.get(f"{ARC}/attribute-set/NONE").status_code == 404


def test_an_attribute_filter_is_told_with_its_policy_unless_it_is_the_default(rest: httpx.Client) -> None:
    told = rest.get(f"{ARC}/attribute-filter/Study").json()
    assert (told["dcmEntity"], told["dcmAttributeUpdatePolicy"]) == ("Study", "SUPPLEMENT")
    assert "0020000D" in told["dcmTag"]
    assert "dcmAttributeUpdatePolicy" not in rest.get(f"{ARC}/attribute-filter/Instance").json()
    assert rest.get(f"{ARC}/attribute-filter/Nothing").status_code == 404


def test_titles_are_registered_once_and_removed_once(rest: httpx.Client) -> None:
    path = f"{ARC}/unique/aets/MY%20AE"
    assert [rest.post(path).status_code, rest.post(path).status_code] == [204, 409]
    assert "MY AE" in rest.get(f"{ARC}/unique/aets").json()
    assert [rest.delete(path).status_code, rest.delete(path).status_code] == [204, 404]
    assert "MY AE" not in rest.get(f"{ARC}/unique/aets").json()


def test_the_registry_has_no_dry_run_and_changes_nothing_then(rest: httpx.Client) -> None:
    before = rest.get(f"{ARC}/unique/aets").json()
    for method, title in (("POST", "MY%20AE"), ("DELETE", before[0])):
        assert rest.request(method, f"{ARC}/unique/aets/{title}?dry-run").status_code == 400
    assert rest.get(f"{ARC}/unique/aets").json() == before


@pytest.mark.parametrize("title", ["SEVENTEEN_LETTERS", "%20", "A%5CB"])
def test_invalid_ae_title_is_not_registered(rest: httpx.Client, title: str) -> None:
    assert rest.post(f"{ARC}/unique/aets/{title}").status_code == 400
