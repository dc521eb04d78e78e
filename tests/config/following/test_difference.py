from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import timedelta
from enum import Enum
from typing import Any

import pytest

from dcm4py_leading.config.attributes import OBJECT_CLASSES
from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.following.difference import Difference, Kind, differences
from dcm4py_leading.config.loader import load_device, load_remote_ae
from dcm4py_leading.model.device import Device, DeviceDescription
from dcm4py_leading.model.values import UID, AETitle, Tag
from tests.fixtures import trees
from tests.fixtures.trees import AE, DEVICE


def load(*entries: Entry) -> Device:
    device, problems = load_device(entries, "dcm4chee-arc")
    assert device is not None and not [problem for problem in problems if problem.severity.value == "ERROR"], problems
    return device


def tree(*more: Entry, **attributes: trees.Values) -> tuple[Entry, ...]:
    return trees.device(**attributes), trees.connection(), trees.ae(), trees.storage(), *more


def told(old: tuple[Entry, ...], new: tuple[Entry, ...]) -> list[str]:
    return [str(difference) for difference in differences(load(*old), load(*new))]


def capability(number: int, below: str = AE, **attributes: trees.Values) -> Entry:
    given: Mapping[str, trees.Values] = {
        "cn": f"SOP class {number} SCP",
        "dicomSOPClass": f"1.2.3.{number}",
        "dicomTransferRole": "SCP",
        "dicomTransferSyntax": "1.2.840.10008.1.2",
        **attributes,
    }
    return trees.entry(f"cn=SOP class {number} SCP,{below}", "dicomTransferCapability", **given)


def test_equal_devices_do_not_differ() -> None:
    assert told(tree(), tree()) == []


def test_spelling_of_distinguished_names_is_no_difference() -> None:
    other = [
        Entry.of(entry.dn.replace("cn=Devices", "CN=devices").replace(",", ", "), entry.attributes) for entry in tree()
    ]
    assert told(tree(trees.rule()), (*other, trees.rule())) == []


def test_attribute_of_the_device_is_told_from_what_to_what_as_the_tree_spells_it() -> None:
    old = tree(dcmLeadingCFindSCPQueryCacheStaleTimeout="PT5M")
    new = tree(dcmLeadingCFindSCPQueryCacheStaleTimeout="PT60S")
    assert told(old, new) == [
        "device dcm4chee-arc: dcmLeadingCFindSCPQueryCacheStaleTimeout from PT5M to PT1M",
    ]


def test_value_that_was_not_there_is_set_and_one_that_goes_is_removed() -> None:
    some = tree(dcmAECacheStaleTimeout="PT5M")
    assert told(tree(), some) == ["device dcm4chee-arc: dcmAECacheStaleTimeout set to PT5M"]
    assert told(some, tree()) == ["device dcm4chee-arc: dcmAECacheStaleTimeout removed, was PT5M"]


def test_timeouts_of_connections_are_told_in_milliseconds() -> None:
    new = (trees.device(), trees.connection(dcmAARQTimeout="0"), trees.ae(), trees.storage())
    assert told(tree(), new) == ["connection dicom of device dcm4chee-arc: dcmAARQTimeout from 10000 ms to 0 ms"]


def test_moved_port_is_told_at_the_connection_once_however_many_aes_use_it() -> None:
    aes = trees.ae("FIRST"), trees.ae("SECOND")
    old = (trees.device(), trees.connection(), *aes)
    new = (trees.device(), trees.connection(dicomPort="11119"), *aes)
    assert told(old, new) == ["connection dicom of device dcm4chee-arc: dicomPort from 11112 to 11119"]


def test_ae_on_another_connection_is_told() -> None:
    second = trees.connection("second", dicomPort="11119")
    old = (trees.device(), trees.connection(), second, trees.ae())
    new = (trees.device(), trees.connection(), second, trees.ae(dicomNetworkConnectionReference=second.dn))
    assert told(old, new) == [
        "AE DCM4CHEE of device dcm4chee-arc: dicomNetworkConnectionReference added second; removed dicom"
    ]


def test_rules_are_told_by_name_and_where_they_stand() -> None:
    of_device = trees.rule("one", dcmLeadingCFindSCP="QRSCP")
    of_ae = trees.rule2("two", below=AE, dcmURI="leading-arc:QRSCP")
    added = told(tree(), tree(of_device, of_ae))
    assert added == [
        "rule one of device dcm4chee-arc: added (dcmDIMSE C_STORE_RQ; dicomTransferRole SCP; dcmLeadingCFindSCP QRSCP)",
        "version-2 rule two of AE DCM4CHEE: added"
        " (dcmDIMSE C_STORE_RQ; dicomTransferRole SCP; dcmURI leading-arc:QRSCP)",
    ]
    assert told(tree(of_device, of_ae), tree()) == [
        "rule one of device dcm4chee-arc: removed",
        "version-2 rule two of AE DCM4CHEE: removed",
    ]


def test_changed_rule_is_told_attribute_by_attribute() -> None:
    old = tree(trees.rule("one", dcmLeadingCFindSCP="QRSCP", dcmProperty=["A=1", "B=2"]))
    new = tree(trees.rule("one", dcmLeadingCFindSCP="OTHER", dcmProperty=["B=2", "C=3"]))
    assert told(old, new) == [
        "rule one of device dcm4chee-arc: dcmProperty added C=3; removed A=1",
        "rule one of device dcm4chee-arc: dcmLeadingCFindSCP from QRSCP to OTHER",
    ]


def test_order_of_merge_attributes_counts() -> None:
    old = tree(trees.rule("one", dcmMergeAttribute=["PatientID=A", "PatientName=B"]))
    new = tree(trees.rule("one", dcmMergeAttribute=["PatientName=B", "PatientID=A"]))
    assert told(old, new) == ["rule one of device dcm4chee-arc: dcmMergeAttribute reordered PatientName=B, PatientID=A"]


def test_renamed_entries_are_told_as_renamed() -> None:
    assert told(tree(trees.rule("one", dcmRulePriority="3")), tree(trees.rule("two", dcmRulePriority="3"))) == [
        "rule one of device dcm4chee-arc: cn from one to two"
    ]
    below = [
        trees.rule("one", below="dicomAETitle=OLD," + DEVICE),
        trees.rule("one", below=f"dicomAETitle=NEW,{DEVICE}"),
    ]
    old = (trees.device(), trees.connection(), trees.ae("OLD"), below[0])
    new = (trees.device(), trees.connection(), trees.ae("NEW"), below[1])
    assert told(old, new) == ["AE OLD of device dcm4chee-arc: dicomAETitle from OLD to NEW"]


def test_new_ae_is_told_with_its_rules_and_how_many_capabilities_it_has() -> None:
    other = f"dicomAETitle=OTHER,{DEVICE}"
    more = trees.ae("OTHER"), capability(1, other), capability(2, other), trees.rule("mine", below=other)
    assert told(tree(), tree(*more)) == [
        "AE OTHER of device dcm4chee-arc: added (dicomAssociationInitiator TRUE; dicomAssociationAcceptor TRUE;"
        " dicomNetworkConnectionReference dicom; transfer capabilities 2)",
        "rule mine of AE OTHER: added (dcmDIMSE C_STORE_RQ; dicomTransferRole SCP)",
    ]


def test_setting_inherited_by_several_aes_is_told_once() -> None:
    aes = trees.ae("FIRST"), trees.ae("SECOND"), trees.ae("OWN", dcmOverwritePolicy="NEVER")
    old = (trees.device(), trees.connection(), *aes)
    new = (trees.device(dcmOverwritePolicy="ALWAYS"), trees.connection(), *aes)
    assert told(old, new) == ["AE FIRST, SECOND of device dcm4chee-arc: dcmOverwritePolicy from NEVER to ALWAYS"]


def test_many_capabilities_are_counted_and_few_are_named() -> None:
    many = [capability(number) for number in range(520)]
    assert told(tree(), tree(*many)) == ["transfer capabilities (520) of AE DCM4CHEE: added"]
    changed = [capability(7, dicomTransferSyntax="1.2.840.10008.1.2.1"), *many[8:], capability(600)]
    assert told(tree(*many[6:]), tree(*changed)) == [
        "transfer capabilities SOP class 6 SCP of AE DCM4CHEE: removed",
        "transfer capabilities SOP class 600 SCP of AE DCM4CHEE: added",
        "transfer capabilities SOP class 7 SCP of AE DCM4CHEE: changed",
    ]


def test_tags_of_attribute_sets_are_told_as_the_tree_has_them() -> None:
    def attribute_set(*tags: str) -> Entry:
        dn = f"dcmAttributeSetID=*+dcmAttributeSetType=LEADING_CFIND_SCP,{DEVICE}"
        given = {"dcmAttributeSetID": "*", "dcmAttributeSetType": "LEADING_CFIND_SCP", "dcmTag": tags}
        return trees.entry(dn, "dcmAttributeSet", **given)

    assert told(tree(attribute_set("00100010")), tree(attribute_set("00100010", "00100020"))) == [
        "attribute set LEADING_CFIND_SCP * of device dcm4chee-arc: dcmTag added 00100020"
    ]


def test_rule_of_the_other_version_is_another_object() -> None:
    found = differences(load(*tree(trees.rule("one"))), load(*tree(trees.rule2("one"))))
    assert [(difference.kind, difference.object_class) for difference in found] == [
        (Kind.REMOVED, "dcmArchiveAttributeCoercion"),
        (Kind.ADDED, "dcmArchiveAttributeCoercion2"),
    ]


def test_secrets_are_not_told() -> None:
    said = told(
        tree(),
        tree(
            trees.rule("one", dcmProperty="password=geheim"),
            trees.rule2("two", dcmURI="https://joe:geheim@host/x", dcmCoercionParam="keyStorePin=geheim"),
        ),
    )
    assert "geheim" not in str(said)
    assert "https://joe:***@host/x" in said[1] and "keyStorePin=***" in said[1]
    secret = dataclasses.replace(load(*tree()), description="one\ntwo")
    assert str(*differences(load(*tree()), secret)) == "device dcm4chee-arc: dicomDescription set to one\\ntwo"


def test_remote_ae_that_moved_is_told() -> None:
    old, new = (load_remote_ae(trees.remote("QRSCP", port), "QRSCP") for port in ("11113", "11114"))
    assert old is not None and new is not None
    assert [str(difference) for difference in differences(old, new)] == [
        "connection dicom of AE QRSCP: dicomPort from 11113 to 11114"
    ]


OTHER: Mapping[type, Any] = {
    str: "another",
    int: 7777,
    bool: None,
    timedelta: timedelta(seconds=7777),
    AETitle: AETitle("ANOTHER"),
    UID: UID("1.2.7777"),
    Tag: Tag(0x00107777),
}


def another(value: object, collected: object) -> object:
    """A value of the kind that the field has, but not this one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, Enum):
        return next(member for member in type(value) if member is not value)
    if collected is not None:
        return frozenset({"another"}) if isinstance(value, frozenset) else ("another",)
    return OTHER.get(type(value), "another")


def full() -> Device:
    """A device with one object of every class that we read."""
    return load(
        *tree(
            capability(1),
            trees.rule("one"),
            trees.rule2("two", below=AE),
            trees.entry(f"dcmEntity=Study,{DEVICE}", "dcmAttributeFilter", dcmEntity="Study", dcmTag="0020000D"),
            trees.entry(
                f"dcmAttributeSetID=*+dcmAttributeSetType=LEADING_CFIND_SCP,{DEVICE}",
                "dcmAttributeSet",
                dcmAttributeSetID="*",
                dcmAttributeSetType="LEADING_CFIND_SCP",
                dcmTag="00100010",
            ),
            trees.entry(f"dcmQueryRetrieveViewID=all,{DEVICE}", "dcmQueryRetrieveView", dcmQueryRetrieveViewID="all"),
        )
    )


def with_other(found: Any, model: type, field: str, collected: object) -> Any:
    """The same object, but ``field`` of the first ``model`` in it has another value."""
    if type(found) is model:
        assert dataclasses.is_dataclass(found) and not isinstance(found, type)
        return dataclasses.replace(found, **{field: another(getattr(found, field), collected)})
    if isinstance(found, tuple):
        return tuple(with_other(member, model, field, collected) for member in found)
    if isinstance(found, Mapping):
        return {key: with_other(member, model, field, collected) for key, member in found.items()}
    if dataclasses.is_dataclass(found) and not isinstance(found, type):
        parts = {part.name: getattr(found, part.name) for part in dataclasses.fields(found)}
        return dataclasses.replace(
            found, **{name: with_other(part, model, field, collected) for name, part in parts.items()}
        )
    return found


@pytest.mark.parametrize(
    ("model", "field", "attribute", "collected"),
    [
        pytest.param(found.model, row.field, row.attribute, row.collect, id=f"{found.name}-{row.attribute}")
        for found in OBJECT_CLASSES
        if found.model is not DeviceDescription
        for row in found.rows
        if row.field not in ("connections", "attribute_set_type")  # an AE's connections are objects; one type is read
    ],
)
def test_every_attribute_that_is_read_is_told_under_its_ldap_name(
    model: type, field: str, attribute: str, collected: object
) -> None:
    old = full()
    new = with_other(old, model, field, collected)
    assert new != old
    found: tuple[Difference, ...] = differences(old, new)
    is_counted = {difference.object_class for difference in found} == {"dicomTransferCapability"}
    assert is_counted or attribute in [difference.attribute for difference in found]
