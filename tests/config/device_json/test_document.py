"""A device's document: what is told, what is left out, and in which form."""

import json

import pytest

from dcm4py_leading.config.device_json import document
from dcm4py_leading.config.device_json.fields import fields_of
from dcm4py_leading.config.device_json.shapes import DEVICE, ObjectShape
from dcm4py_leading.config.device_json.values import Json
from dcm4py_leading.config.entry import Entry
from tests.fixtures.trees import AE, DEVICES, ae, connection, device, entry, rule, rule2, storage


def test_a_device_is_told_in_dcm4chees_form() -> None:
    entries = (
        device(
            dicomPrimaryDeviceType=["ARCHIVE"],
            dcmLeadingCFindSCPQueryCacheStaleTimeout="PT7M",
            dcmLeadingCFindSCPQueryCacheSize="50",
            dcmFuzzyAlgorithmClass="org.dcm4che3.soundex.ESoundex",
        ),
        connection(dcmTCPConnectTimeout="5000"),
        ae(dcmOtherAETitle=["OLDPACS"]),
        rule("mine", dcmLeadingCFindSCP="QRSCP"),
        rule2("of the AE", below=AE),
    )
    assert document(entries) == {
        "dicomDeviceName": "dcm4chee-arc",
        "dicomInstalled": True,
        "dicomPrimaryDeviceType": ["ARCHIVE"],
        "dicomVendorData": False,
        "dicomNetworkConnection": [
            {
                "cn": "dicom",
                "dicomHostname": "localhost",
                "dicomPort": 11112,
                "dcmNetworkConnection": {"dcmTCPConnectTimeout": 5000},
            }
        ],
        "dicomNetworkAE": [
            {
                "dicomAETitle": "DCM4CHEE",
                "dicomNetworkConnectionReference": ["/dicomNetworkConnection/0"],
                "dicomAssociationInitiator": True,
                "dicomAssociationAcceptor": True,
                "dicomTransferCapability": [],
                "dcmNetworkAE": {
                    "dcmOtherAETitle": ["OLDPACS"],
                    "dcmArchiveNetworkAE": {
                        "dcmArchiveAttributeCoercion": [],
                        "dcmArchiveAttributeCoercion2": [
                            {
                                "cn": "of the AE",
                                "dcmDIMSE": "C_STORE_RQ",
                                "dicomTransferRole": "SCP",
                                "dcmURI": "merge-attrs:",
                            }
                        ],
                    },
                },
            }
        ],
        "dcmDevice": {
            "dcmArchiveDevice": {
                "dcmFuzzyAlgorithmClass": "org.dcm4che3.soundex.ESoundex",
                "dcmLeadingCFindSCPQueryCacheStaleTimeout": "PT7M",
                "dcmLeadingCFindSCPQueryCacheSize": 50,
                "dcmAttributeFilter": [],
                "dcmAttributeSet": [],
                "dcmStorage": [],
                "dcmQueryRetrieveView": [],
                "dcmArchiveAttributeCoercion": [
                    {
                        "cn": "mine",
                        "dcmDIMSE": "C_STORE_RQ",
                        "dicomTransferRole": "SCP",
                        "dcmLeadingCFindSCP": "QRSCP",
                    }
                ],
                "dcmArchiveAttributeCoercion2": [],
            }
        },
    }


def test_a_value_that_is_the_default_is_left_out_but_not_where_it_overrides_the_devices() -> None:
    told = document(
        (
            device(dcmLeadingCFindSCPQueryCacheSize="10", dcmSendPendingCGet="FALSE"),
            ae(dcmSendPendingCGet="FALSE"),
            rule(dcmRulePriority="0"),
        )
    )
    archive = _at(told, "dcmDevice", "dcmArchiveDevice")
    assert "dcmLeadingCFindSCPQueryCacheSize" not in archive
    assert "dcmSendPendingCGet" not in archive
    assert "dcmRulePriority" not in _at(archive, "dcmArchiveAttributeCoercion", 0)
    assert _at(told, "dicomNetworkAE", 0, "dcmNetworkAE", "dcmArchiveNetworkAE")["dcmSendPendingCGet"] is False


def test_no_secret_is_told() -> None:
    text = json.dumps(
        document(
            (
                device(dcmKeyStorePin="hush1", dcmTrustStorePin="hush2", dicomVendorData="hush3"),
                connection(dcmHTTPProxy="https://me:hush4@proxy"),
                storage(dcmProperty=["jclouds.credential=hush5", "jclouds.identity=me"]),
            )
        )
    )
    assert "hush" not in text
    assert "jclouds.credential=***" in text
    assert "jclouds.identity=me" in text


def test_conditions_of_rules_are_told_as_they_are() -> None:
    told = document((device(), rule(dcmProperty=["SecretPassword=x"])))
    assert _at(told, "dcmDevice", "dcmArchiveDevice", "dcmArchiveAttributeCoercion", 0)["dcmProperty"] == [
        "SecretPassword=x"
    ]


def test_attribute_read_once_by_dcm4chee_has_one_value_and_several_are_left_alone() -> None:
    name = "hl7PrimaryAssigningAuthorityOfPatientID"
    (one, several) = (
        _at(document((device(**{name: values}),)), "dcmDevice", "dcmArchiveDevice") for values in (["A"], ["A", "B"])
    )
    assert one[name] == "A"
    assert name not in several
    assert _at(document((device(), rule(dcmNullifyIssuerOfPatientID="ALWAYS"))), "dcmDevice", "dcmArchiveDevice")[
        "dcmArchiveAttributeCoercion"
    ] == [{"cn": "lead", "dcmDIMSE": "C_STORE_RQ", "dicomTransferRole": "SCP", "dcmNullifyIssuerOfPatientID": "ALWAYS"}]


def test_vendor_data_is_only_said_to_be_there() -> None:
    assert document((device(dicomVendorData="octets"),))["dicomVendorData"] is True


def test_rules_are_in_the_order_in_which_they_are_tried() -> None:
    told = document(
        (device(), rule("b"), rule("A"), rule("last", dcmRulePriority="-1"), rule("first", dcmRulePriority="5"))
    )
    rules = _at(told, "dcmDevice", "dcmArchiveDevice")["dcmArchiveAttributeCoercion"]
    assert isinstance(rules, list)
    assert [_at(found)["cn"] for found in rules] == ["first", "A", "b", "last"]


def test_supplementing_device_is_shown_by_name_and_a_foreign_one_by_dn() -> None:
    here, elsewhere = f"dicomDeviceName=mod\\,1,{DEVICES}", "dicomDeviceName=mod,cn=Others,dc=example"
    told = document(
        (
            device(),
            rule("a", dcmSupplementFromDeviceReference=here),
            rule("b", dcmSupplementFromDeviceReference=elsewhere),
        )
    )
    rules = _at(told, "dcmDevice", "dcmArchiveDevice")["dcmArchiveAttributeCoercion"]
    assert isinstance(rules, list)
    assert [_at(found)["dcmSupplementFromDeviceReference"] for found in rules] == ["mod,1", elsewhere]


def test_unreadable_value_is_told_as_text() -> None:
    told = document((device(dcmLimitOpenAssociations="many", dicomInstalled="maybe"),))
    assert told["dicomInstalled"] == "maybe"
    assert _at(told, "dcmDevice")["dcmLimitOpenAssociations"] == "many"


def test_rules_below_an_ae_without_the_archives_class_are_told() -> None:
    plain = Entry.of(AE, {**_attributes(ae()), "objectClass": ["dicomNetworkAE"]})
    told = document((device(), plain, rule(below=AE)))
    assert _at(told, "dicomNetworkAE", 0, "dcmNetworkAE", "dcmArchiveNetworkAE")["dcmArchiveAttributeCoercion"]


def test_entries_of_other_classes_are_not_told() -> None:
    told = document((device(), entry(f"dcmQueueName=q,{device().dn}", "dcmQueue", dcmQueueName="q")))
    assert "q" not in json.dumps(told).split('"')


def test_entries_without_a_device_are_no_document() -> None:
    with pytest.raises(ValueError, match="dicomDevice"):
        document((connection(),))


def test_no_attribute_stands_at_two_places_of_one_entry() -> None:
    def names(shape: ObjectShape) -> list[str]:
        own = [field.name for field in fields_of(shape.object_class)]
        return [*own, *(name for extension in shape.extensions for name in names(extension))]

    def shapes(shape: ObjectShape) -> list[ObjectShape]:
        inner = [*shape.children, *(child for extension in shape.extensions for child in extension.children)]
        deeper = [child for extension in shape.extensions for again in extension.extensions for child in again.children]
        return [shape, *(found for child in (*inner, *deeper) for found in shapes(child))]

    for shape in shapes(DEVICE):
        assert len(names(shape)) == len(set(names(shape))), shape.object_class


def _attributes(found: Entry) -> dict[str, tuple[str, ...]]:
    return {found.spell(name): found.values(name) for name in found}


def _at(told: Json, *path: str | int) -> dict[str, Json]:
    for step in path:
        told = told[step]  # type: ignore[index]
    assert isinstance(told, dict)
    return told
