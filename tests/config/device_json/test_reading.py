"""A document put upon a device: what changes, what stays, and what is refused, with its place."""

import copy
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from dcm4py_leading.config.device_json import document, new_device, requested_tree
from dcm4py_leading.config.entry import Entry
from dcm4py_leading.errors import DocumentInvalid
from tests.fixtures.trees import AE, CONNECTION, DEVICE, DEVICES, ae, connection, device, entry, rule, rule2, storage

SIZE = "dcmLeadingCFindSCPQueryCacheSize"
PORT = "/dicomNetworkConnection/1/dicomPort"
FUZZY = "org.dcm4che3.soundex.ESoundex"
TREE = (
    device(
        dcmFuzzyAlgorithmClass=FUZZY,
        dcmKeyStorePin="pin",
        dcmLeadingCFindSCPQueryCacheSize="10",
        dicomVendorData="octets",
        vendorSpecific="kept",
        dcmSeriesMetadataDelay="PT1M",
        userCertificate="\\x30",
    ),
    connection(dcmHTTPProxy="http://me:pass@proxy"),
    connection("other", dicomPort="11114"),
    ae(dicomNetworkConnectionReference=f"CN=dicom, dicomDeviceName=DCM4CHEE-arc,{DEVICES}"),
    rule("lead", dcmLeadingCFindSCP="QRSCP", dcmNullifyTag=["00100010", "00100020"]),
    rule2("second", below=AE),
    storage(dcmProperty=["credential=hush"]),
    entry(f"dcmQueueName=q,{DEVICE}", "dcmQueue", dcmQueueName="q"),
    entry(f"cn=below,dcmQueueName=q,{DEVICE}", "device", cn="below"),
)
Edit = Callable[[dict[str, Any]], object]


def test_a_document_as_it_was_told_changes_nothing() -> None:
    assert changed(lambda _: None) == {}


@pytest.mark.parametrize(
    ("edit", "dn", "attribute", "values"),
    [
        (
            lambda d: _archive(d).update(dcmLeadingCFindSCPQueryCacheSize=7),
            DEVICE,
            "dcmLeadingCFindSCPQueryCacheSize",
            "7",
        ),
        (lambda d: _archive(d).pop("dcmSeriesMetadataDelay"), DEVICE, "dcmSeriesMetadataDelay", ()),
        (lambda d: _archive(d).update(dcmSeriesMetadataDelay=None), DEVICE, "dcmSeriesMetadataDelay", ()),
        (lambda d: d["dcmDevice"].update(dcmKeyStorePin="new"), DEVICE, "dcmKeyStorePin", "new"),
        (lambda d: d.update(dicomInstalled=False), DEVICE, "dicomInstalled", "FALSE"),
        (lambda d: d["dicomNetworkConnection"][0].update(dicomPort=104), CONNECTION, "dicomPort", "104"),
        (
            lambda d: d["dicomNetworkAE"][0].update(dicomNetworkConnectionReference=["/dicomNetworkConnection/1"]),
            AE,
            "dicomNetworkConnectionReference",
            f"cn=other,{DEVICE}",
        ),
        (lambda d: _rule(d).update(dcmRulePriority=3), f"cn=lead,{DEVICE}", "dcmRulePriority", "3"),
        (lambda d: _rule(d).update(dcmNullifyTag=["00100010"]), f"cn=lead,{DEVICE}", "dcmNullifyTag", "00100010"),
        (
            lambda d: _rule(d).update(dcmSupplementFromDeviceReference="mod,1"),
            f"cn=lead,{DEVICE}",
            "dcmSupplementFromDeviceReference",
            f"dicomDeviceName=mod\\,1,{DEVICES}",
        ),
    ],
)
def test_one_edit_changes_one_attribute(edit: Edit, dn: str, attribute: str, values: str | tuple[str, ...]) -> None:
    expected = (values,) if isinstance(values, str) else values
    assert changed(edit) == {dn: {attribute.lower(): expected}}


@pytest.mark.parametrize(
    "edit",
    [
        lambda d: _rule(d)["dcmNullifyTag"].reverse(),
        lambda d: d["dicomNetworkConnection"][0].update(dcmNetworkConnection=None),
        lambda d: d.pop("dcmDevice"),
        lambda d: d.pop("dicomNetworkAE"),
        lambda d: d["dcmDevice"].update(dcmKeyStorePin="***"),
        lambda d: d["dcmDevice"].update(dcmKeyStorePin="********"),
        lambda d: d.update(dicomVendorData=False),
        lambda d: _rule(d).update(dcmRulePriority=0),
        lambda d: d["dicomNetworkAE"][0].update(dicomTransferCapability=None),
        lambda d: d.update(unknownKey={"a": 1}),
    ],
)
def test_answer_without_news_changes_nothing(edit: Edit) -> None:
    assert changed(edit) == {}


def test_connections_in_another_order_are_found_by_the_new_places() -> None:
    def edit(told: dict[str, Any]) -> None:
        told["dicomNetworkConnection"].reverse()
        told["dicomNetworkAE"][0]["dicomNetworkConnectionReference"] = ["/dicomNetworkConnection/1"]

    assert changed(edit) == {}


def test_an_array_without_an_entry_takes_it_away_and_leaves_entries_of_other_classes() -> None:
    told = document(TREE)
    _archive(told)["dcmArchiveAttributeCoercion"] = []
    _archive(told)["dcmStorage"] = []
    left = {found.dn for found in requested_tree(told, TREE).entries}
    assert left == {found.dn for found in TREE} - {f"cn=lead,{DEVICE}", f"dcmStorageID=fs1,{DEVICE}"}


def test_children_of_an_entry_go_with_it() -> None:
    told = document(TREE)
    told["dicomNetworkAE"] = []
    left = {found.dn for found in requested_tree(told, TREE).entries}
    assert left == {found.dn for found in TREE} - {AE, f"cn=second,{AE}"}


def test_a_new_object_becomes_an_entry_named_by_its_class_s_name() -> None:
    told: Any = document(TREE)
    archive = _archive(told)
    archive["dcmArchiveAttributeCoercion2"] = [
        {"cn": "a, b+c", "dcmDIMSE": "C_FIND_RSP", "dicomTransferRole": "SCU", "dcmURI": "leading-arc:QRSCP"}
    ]
    archive["dcmAttributeSet"] = [
        {"dcmAttributeSetType": "LEADING_CFIND_SCP", "dcmAttributeSetID": "*", "dcmTag": ["00100010"]}
    ]
    told["dicomNetworkConnection"].append({"dicomHostname": "h", "dicomPort": 104})
    told["dicomNetworkAE"][0]["dicomTransferCapability"] = [
        {
            "dicomSOPClass": "1.2",
            "dicomTransferRole": "SCP",
            "dicomTransferSyntax": ["1.2"],
            "dcmTransferCapability": {},
        }
    ]
    made = [found for found in requested_tree(told, TREE).entries if found.key not in {old.key for old in TREE}]
    assert {found.dn: sorted(found.values("objectClass")) for found in made} == {
        f"cn=a\\, b\\+c,{DEVICE}": ["dcmArchiveAttributeCoercion2"],
        f"dcmAttributeSetID=*+dcmAttributeSetType=LEADING_CFIND_SCP,{DEVICE}": ["dcmAttributeSet"],
        f"dicomHostname=h+dicomPort=104,{DEVICE}": ["dicomNetworkConnection"],
        f"dicomSOPClass=1.2+dicomTransferRole=SCP,{AE}": ["dcmTransferCapability", "dicomTransferCapability"],
    }


def test_an_extension_adds_its_class_where_it_sets_something() -> None:
    plain = Entry.of(
        DEVICE, {"objectClass": ["dicomDevice"], "dicomDeviceName": ["dcm4chee-arc"], "dicomInstalled": ["TRUE"]}
    )
    told: Any = document((plain,))
    told["dcmDevice"] = {"dcmLimitOpenAssociations": 5}
    (made,) = requested_tree(told, (plain,)).entries
    assert made.values("objectClass") == ("dicomDevice", "dcmDevice")
    assert made.values("dcmLimitOpenAssociations") == ("5",)


def test_a_secret_within_a_value_is_kept_behind_its_mask_and_can_be_changed() -> None:
    assert changed(lambda d: _storage(d).update(dcmProperty=["a=1", "credential=***"])) == {
        f"dcmStorageID=fs1,{DEVICE}": {"dcmproperty": ("a=1", "credential=hush")}
    }
    assert changed(lambda d: _storage(d).update(dcmProperty=["credential=new"])) == {
        f"dcmStorageID=fs1,{DEVICE}": {"dcmproperty": ("credential=new",)}
    }


@pytest.mark.parametrize(
    ("edit", "path", "reason"),
    [
        (lambda d: d.update(dicomInstalled="TRUE"), "/dicomInstalled", "true or false"),
        (lambda d: d.update(dicomInstalled=1), "/dicomInstalled", "true or false"),
        (lambda d: d.pop("dicomInstalled"), "/dicomInstalled", "is required"),
        (lambda d: d.pop("dicomDeviceName"), "/dicomDeviceName", "'dcm4chee-arc'"),
        (lambda d: d.update(dicomDeviceName="other"), "/dicomDeviceName", "'dcm4chee-arc'"),
        (lambda d: d.update(dicomDescription=["a"]), "/dicomDescription", "one value"),
        (lambda d: d.update(dicomDescription="  "), "/dicomDescription", "blank"),
        (lambda d: d.update(dicomDescription="\ud800"), "/dicomDescription", "surrogate"),
        (lambda d: d.update(dicomDescription="a\0"), "/dicomDescription", "NUL"),
        (lambda d: d.update(dicomPrimaryDeviceType="ARCHIVE"), "/dicomPrimaryDeviceType", "an array"),
        (lambda d: d.update(dicomPrimaryDeviceType=["ARCHIVÉ"]), "/dicomPrimaryDeviceType/0", "ASCII"),
        (lambda d: d.update(dicomDeviceUID="x"), "/dicomDeviceUID", "UID"),
        (lambda d: d.update(dcmDevice=[]), "/dcmDevice", "an object"),
        (lambda d: d.update(dicomNetworkAE={}), "/dicomNetworkAE", "an array"),
        (lambda d: d.update(dicomNetworkAE=["x"]), "/dicomNetworkAE/0", "an object"),
        (
            lambda d: d["dicomNetworkConnection"][1].update(dicomPort="104"),
            "/dicomNetworkConnection/1/dicomPort",
            "number",
        ),
        (
            lambda d: d["dicomNetworkConnection"][1].update(dicomPort=True),
            "/dicomNetworkConnection/1/dicomPort",
            "number",
        ),
        (lambda d: _rule(d).pop("cn"), "/dcmDevice/dcmArchiveDevice/dcmArchiveAttributeCoercion/0/cn", "names"),
        (
            lambda d: d["dicomNetworkConnection"].append(dict(d["dicomNetworkConnection"][0])),
            "/dicomNetworkConnection/2",
            "another name",
        ),
        (
            lambda d: d["dicomNetworkAE"][0].update(dicomNetworkConnectionReference=["/dicomNetworkConnection/2"]),
            "/dicomNetworkAE/0/dicomNetworkConnectionReference/0",
            "place of a connection",
        ),
        (
            lambda d: _storage(d).update(dcmProperty=["password=***"]),
            "/dcmDevice/dcmArchiveDevice/dcmStorage/0/dcmProperty/0",
            "behind the mask",
        ),
    ],
)
def test_wrong_member_is_refused_with_its_place(edit: Edit, path: str, reason: str) -> None:
    told: Any = copy.deepcopy(document(TREE))
    edit(told)
    with pytest.raises(DocumentInvalid) as refused:
        requested_tree(told, TREE)
    (fault,) = refused.value.faults
    assert fault.path == path
    assert reason in fault.reason


def test_all_faults_are_told_at_once() -> None:
    told: Any = document(TREE)
    told.update(dicomInstalled="no", dicomDescription=1)
    with pytest.raises(DocumentInvalid) as refused:
        requested_tree(told, TREE)
    assert [fault.path for fault in refused.value.faults] == ["/dicomInstalled", "/dicomDescription"]


def test_members_without_a_meaning_are_named() -> None:
    told: Any = document(TREE)
    told["a/b"] = 1
    told["dcmDevice"]["dcmAuditLogger"] = []
    assert sorted(requested_tree(told, TREE).skipped) == ["/a~1b", "/dcmDevice/dcmAuditLogger"]


def test_a_new_device_of_a_document_has_the_same_document() -> None:
    told: Any = document(TREE)
    told["dcmDevice"]["dcmArchiveDevice"].pop("dcmStorage")  # its secret is not known
    told["dicomNetworkConnection"][0]["dcmNetworkConnection"].pop("dcmHTTPProxy")
    made = new_device(told, DEVICES)
    assert {found.dn for found in made.entries} >= {DEVICE, CONNECTION, AE, f"cn=lead,{DEVICE}"}
    again: Any = document(made.entries)
    told["dicomVendorData"] = False
    told["dcmDevice"]["dcmArchiveDevice"]["dcmStorage"] = []
    assert again == told


def test_a_new_device_needs_what_its_class_requires() -> None:
    with pytest.raises(DocumentInvalid, match="/dicomInstalled: is required by dicomDevice"):
        new_device({"dicomDeviceName": "new"}, DEVICES)
    with pytest.raises(DocumentInvalid, match="dcmFuzzyAlgorithmClass: is required by dcmArchiveDevice"):
        new_device({"dicomDeviceName": "n", "dicomInstalled": True, "dcmDevice": {"dcmArchiveDevice": {}}}, DEVICES)


def changed(edit: Edit) -> dict[str, dict[str, tuple[str, ...]]]:
    """The attributes, with their new values, that differ after an edit of the document, by DN."""
    told: Any = copy.deepcopy(document(TREE))
    edit(told)
    return _differences(TREE, requested_tree(told, TREE).entries)


def _differences(old: Iterable[Entry], new: Iterable[Entry]) -> dict[str, dict[str, tuple[str, ...]]]:
    before, after = {found.key: found for found in old}, {found.key: found for found in new}
    assert before.keys() == after.keys()
    return {
        found.dn: {
            name: found.values(name)
            for name in {*found, *before[key]}
            if found.values(name) != before[key].values(name)
        }
        for key, found in after.items()
        if dict(found.attributes) != dict(before[key].attributes)
    }


def _archive(told: Any) -> Any:
    return told["dcmDevice"]["dcmArchiveDevice"]


def _rule(told: Any) -> Any:
    return _archive(told)["dcmArchiveAttributeCoercion"][0]


def _storage(told: Any) -> Any:
    return _archive(told)["dcmStorage"][0]
