"""Coercion rules and attribute sets as resources of their own."""

from typing import Any
from urllib.parse import quote

import httpx
import pytest

from dcm4py_leading.config.writing.editor import Editor
from tests.fixtures.configured import ARC, DEVICE_URL, OWN

RULES = f"{DEVICE_URL}/coercions"
AE_RULES = f"{DEVICE_URL}/aes/DCM4CHEE/coercions"
SETS = f"{DEVICE_URL}/attribute-sets"
LEADING = f"{RULES}/Leading%20DCMQRSCP"
LEGACY, SECOND = "dcmArchiveAttributeCoercion", "dcmArchiveAttributeCoercion2"
NAMES = ["plain", "a/b", "a, b+c=d", "ü \u4e2d", "50%", "q?x#y", " <script>", 'a"b;c\\d', "copy"]


def rule(name: str, **more: Any) -> dict[str, Any]:
    return {
        "objectClass": LEGACY,
        "cn": name,
        "dcmDIMSE": "C_STORE_RQ",
        "dicomTransferRole": "SCP",
        "dcmLeadingCFindSCP": "QRSCP",
        **more,
    }


def rule2(name: str, **more: Any) -> dict[str, Any]:
    return {**rule(name), "objectClass": SECOND, "dcmURI": "leading-arc:QRSCP", **more, "dcmLeadingCFindSCP": None}


@pytest.mark.parametrize(("path", "name"), [*((RULES, name) for name in NAMES), (AE_RULES, "a/b")])
def test_a_rule_of_any_name_is_added_changed_copied_and_deleted(rest: httpx.Client, path: str, name: str) -> None:
    added = rest.post(path, json=rule(name))
    assert added.status_code == 201
    assert added.headers["location"] == f"{path}/{quote(name.strip(), safe='')}"
    one = added.headers["location"]
    told = rest.get(one).json()
    assert told == rule(name.strip())
    assert rest.put(one, json={**told, "dcmRulePriority": 3}).status_code == 204
    assert rest.get(one).json()["dcmRulePriority"] == 3
    copied = rest.post(f"{one}/copy", params={"to": f"other {name}"})
    assert copied.status_code == 201
    assert rest.get(copied.headers["location"]).json()["dcmRulePriority"] == 3
    assert rest.delete(one).status_code == 204
    assert rest.get(one).status_code == 404
    assert rest.get(copied.headers["location"]).status_code == 200


def test_rules_are_listed_in_the_order_in_which_they_are_tried(rest: httpx.Client) -> None:
    for made in (rule("b"), rule2("A"), rule("last", dcmRulePriority=-1), rule2("first", dcmRulePriority=9)):
        assert rest.post(RULES, json=made).status_code == 201
    told = [(found["cn"], found["objectClass"]) for found in rest.get(RULES).json()]
    assert told == [("first", SECOND), ("A", SECOND), ("b", LEGACY), ("Leading DCMQRSCP", LEGACY), ("last", LEGACY)]


def test_those_of_the_device_are_listed_after_those_of_the_ae_of_the_same_priority(rest: httpx.Client) -> None:
    assert rest.post(AE_RULES, json=rule("z of the AE")).status_code == 201
    assert rest.post(RULES, json=rule("urgent", dcmRulePriority=1)).status_code == 201
    told = rest.get(AE_RULES, params={"inherited": "true"}).json()
    assert [found["cn"] for found in told] == ["urgent", "z of the AE", "Leading DCMQRSCP"]
    assert [",dicomAETitle=" in found["dn"] for found in told] == [False, True, False]
    assert [found["cn"] for found in rest.get(AE_RULES).json()] == ["z of the AE"]


def test_a_name_that_there_is_already_is_409(rest: httpx.Client) -> None:
    before = rest.get(LEADING).json()
    for made in (rule("Leading DCMQRSCP"), rule2("leading  dcmqrscp")):
        assert rest.post(RULES, json=made).status_code == 409
    assert rest.post(f"{LEADING}/copy", params={"to": "leading dcmqrscp"}).status_code == 409
    assert rest.get(LEADING).json() == before


def test_a_copy_has_what_is_not_told_too(rest: httpx.Client, editor: Editor) -> None:
    entries = editor.entries(OWN)
    (old,) = (found for found in entries if found.is_a(LEGACY))
    attributes = {old.spell(name): old.values(name) for name in old}
    changed = type(old).of(old.dn, {**attributes, "dcmIssuerOfPatientID": ["I&1.2&ISO"], "dcmTag": ["00100010"]})
    kept = [found for found in entries if found is not old]
    editor.save(editor.plan(OWN, [*kept, changed], base=entries))
    assert rest.post(f"{LEADING}/copy", params={"to": "copy"}).status_code == 201
    (copied,) = (found for found in editor.entries(OWN) if found.values("cn") == ("copy",))
    assert dict(copied.attributes) == {**changed.attributes, "cn": ("copy",)}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({}, "/objectClass: expected dcmArchiveAttributeCoercion or dcmArchiveAttributeCoercion2"),
        ({"objectClass": LEGACY}, "/cn: is required"),
        ({"objectClass": LEGACY, "cn": "x", "dcmDIMSE": "C_STORE_RQ"}, "/dicomTransferRole: is required"),
        ({**rule("x"), "dcmSOPClass": "1.2"}, "/dcmSOPClass: expected an array"),
        ({**rule("x"), "dcmDIMSE": "C_STORE"}, "dcmDIMSE: C_STORE: expected one of"),
        ({**rule("x"), "dcmProperty": ["("]}, "dcmProperty: (:"),
        ({**rule2("x"), "dcmURI": "unknown-scheme:"}, "dcmURI: unknown-scheme:"),
    ],
)
def test_a_rule_that_is_wrong_is_400(rest: httpx.Client, body: dict[str, Any], problem: str) -> None:
    answer = rest.post(RULES, json=body)
    assert answer.status_code == 400
    assert problem in answer.json()["errorMessage"]
    assert len(rest.get(RULES).json()) == 1


def test_put_changes_neither_name_nor_version_of_a_rule(rest: httpx.Client) -> None:
    told = rest.get(LEADING).json()
    for edit in ({"cn": "other"}, {"objectClass": SECOND, "dcmURI": "leading-arc:QRSCP"}):
        assert rest.put(LEADING, json={**told, **edit}).status_code == 400
    assert rest.get(LEADING).json() == told


def test_one_edit_of_a_rule_is_one_attribute_in_the_ldif(rest: httpx.Client) -> None:
    told = rest.get(LEADING).json()
    answer = rest.put(LEADING, json={**told, "dcmNullifyTag": ["00100021"]}, params={"dry-run": "true"})
    assert answer.json()["ldif"].splitlines()[1:] == [
        "changetype: modify",
        "add: dcmNullifyTag",
        "dcmNullifyTag: 00100021",
        "-",
    ]
    assert rest.put(LEADING, json=told, params={"dry-run": "true"}).json()["ldif"] == ""


def test_a_state_of_a_rule_that_is_gone_is_412(rest: httpx.Client) -> None:
    first = rest.get(LEADING)
    stale = {"If-Match": first.headers["etag"]}
    assert rest.put(LEADING, json={**first.json(), "dcmRulePriority": 1}, headers=stale).status_code == 204
    late = rest.delete(LEADING, headers=stale)
    assert late.status_code == 412
    (conflict,) = late.json()["conflicts"]
    assert (conflict["attribute"], conflict["expected"], conflict["found"]) == ("dcmRulePriority", [], ["1"])
    # What happens elsewhere in the device is no conflict.
    current = {"If-Match": rest.get(LEADING).headers["etag"]}
    assert rest.post(RULES, json=rule("another")).status_code == 201
    assert rest.delete(LEADING, headers=current).status_code == 204


def test_attribute_sets_are_resources_too(rest: httpx.Client) -> None:
    made = {"dcmAttributeSetType": "LEADING_CFIND_SCP", "dcmAttributeSetID": "QRSCP", "dcmTag": ["00100010"]}
    added = rest.post(SETS, json=made)
    assert (added.status_code, added.headers["location"]) == (201, f"{SETS}/LEADING_CFIND_SCP/QRSCP")
    one = added.headers["location"]
    assert rest.get(one).json() == {"objectClass": "dcmAttributeSet", **made}
    assert rest.put(one, json={**made, "dcmTag": ["00100020"]}).status_code == 204
    assert rest.post(f"{one}/copy", params={"to": "OTHER"}).status_code == 201
    assert rest.get(f"{SETS}/LEADING_CFIND_SCP/OTHER").json()["dcmTag"] == ["00100020"]
    assert rest.delete(one).status_code == 204
    assert sorted(found["dcmAttributeSetID"] for found in rest.get(SETS).json()) == ["*", "OTHER"]


@pytest.mark.parametrize(
    "path",
    [
        f"{ARC}/devices/nobody/coercions",
        f"{DEVICE_URL}/aes/NOBODY/coercions",
        f"{RULES}/nobody",
        f"{SETS}/QIDO_RS/*",
        f"{AE_RULES}/Leading%20DCMQRSCP",
    ],
)
def test_unknown_address_is_404(rest: httpx.Client, path: str) -> None:
    assert rest.get(path).status_code == 404


def test_a_copy_without_a_name_is_400(rest: httpx.Client) -> None:
    assert rest.post(f"{LEADING}/copy").status_code == 400
    assert rest.post(f"{LEADING}/copy", params={"to": " "}).status_code == 400
