"""The order of rules, and which of them another hides."""

from __future__ import annotations

from unittest.mock import ANY

import pytest

from dcm4py_leading.coercion.rules import rules_for
from dcm4py_leading.coercion.schemes import Environment
from dcm4py_leading.coercion.select import Selection, Verdict
from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.loader import load_device
from dcm4py_leading.web.pages.coercions.order import Hiding, hidden_among, in_order
from tests.fixtures.trees import AE, DEVICE, ae, connection
from tests.fixtures.trees import device as device_entry


def rule(cn: str, *properties: str, parent: str = DEVICE, version: str = "", **attributes: str) -> Entry:
    values = {
        "objectClass": [f"dcmArchiveAttributeCoercion{version}"],
        "cn": [cn],
        "dcmDIMSE": ["C_STORE_RQ"],
        "dicomTransferRole": ["SCP"],
        "dcmProperty": list(properties),
        **{name: value.split() for name, value in attributes.items()},
    }
    if version:
        values.setdefault("dcmURI", ["trim-ISO2022:"])
    return Entry.of(f"cn={cn},{parent}", values)


def names(rules: list[Entry], of_ae: list[Entry] | None = None) -> list[str]:
    return [found.name for found in in_order(of_ae or [], rules)]


def hidden(*rules: Entry) -> dict[str, tuple[str, Hiding]]:
    found = hidden_among(in_order([], rules))
    return {dn.partition(",")[0].removeprefix("cn="): (told.by, told.how) for dn, told in found.items()}


def test_highest_priority_first_then_the_ae_then_the_name() -> None:
    of_device = [rule("b"), rule("a"), rule("first", dcmRulePriority="5")]
    assert names(of_device, [rule("z", parent=AE)]) == ["first", "z", "a", "b"]


def test_the_order_is_that_of_the_service() -> None:
    of_device = [rule("B"), rule("a"), rule("v", version="2"), rule("low", dcmRulePriority="-1")]
    of_ae = [rule("ae", parent=AE), rule("ae2", parent=AE, version="2", dcmRulePriority="1")]
    device, problems = load_device([device_entry(), connection(), ae(), *of_device, *of_ae], "dcm4chee-arc")
    assert device is not None
    assert not problems
    ordered = rules_for(device, device.application_entities[0], Environment())
    applied = Selection(context=ANY, verdicts=tuple(Verdict(rule=found) for found in ordered)).applied
    assert [found.name for found in in_order(of_ae, of_device)] == [found.rule.cn for found in applied]


def test_a_priority_that_is_no_number_counts_as_none() -> None:
    assert names([rule("a", dcmRulePriority="x"), rule("b", dcmRulePriority="1")]) == ["b", "a"]


def test_a_legacy_rule_without_conditions_hides_what_follows() -> None:
    assert hidden(rule("a"), rule("b", "Modality=CT")) == {"b": ("a", Hiding.ALWAYS)}


def test_conditions_that_imply_the_earlier_ones_hide_always() -> None:
    assert hidden(rule("a", "Modality=CT"), rule("b", "Modality=CT", "ImageType[1]=ORIGINAL")) == {
        "b": ("a", Hiding.ALWAYS)
    }


def test_conditions_that_may_both_hold_hide_sometimes() -> None:
    assert hidden(rule("a", "Modality=CT"), rule("b", "StationName=X")) == {"b": ("a", Hiding.SOMETIMES)}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Modality=CT", "Modality!=CT"),
        ("ReceivingApplicationEntityTitle=A", "ReceivingApplicationEntityTitle=B"),
    ],
)
def test_conditions_that_exclude_each_other_hide_nothing(one: str, other: str) -> None:
    assert hidden(rule("a", one), rule("b", other)) == {}


def test_patterns_may_both_match() -> None:
    one, other = "ReceivingApplicationEntityTitle=A.*", "ReceivingApplicationEntityTitle=AB"
    assert hidden(rule("a", one), rule("b", other)) == {"b": ("a", Hiding.SOMETIMES)}


def test_other_messages_and_other_sop_classes_hide_nothing() -> None:
    assert hidden(rule("a"), rule("b", dcmDIMSE="C_FIND_RSP")) == {}
    assert hidden(rule("a", dcmSOPClass="1.2"), rule("b", dcmSOPClass="1.3")) == {}


def test_fewer_sop_classes_are_hidden_always_and_more_sometimes() -> None:
    assert hidden(rule("a", dcmSOPClass="1.2 1.3"), rule("b", dcmSOPClass="1.2")) == {"b": ("a", Hiding.ALWAYS)}
    assert hidden(rule("a", dcmSOPClass="1.2"), rule("b")) == {"b": ("a", Hiding.SOMETIMES)}


def test_version_2_rules_all_apply_but_after_a_sufficient_one() -> None:
    assert hidden(rule("a", version="2"), rule("b", version="2")) == {}
    found = hidden(rule("a", version="2", dcmCoercionSufficient="TRUE"), rule("b", version="2"))
    assert found == {"b": ("a", Hiding.SOMETIMES)}


def test_a_legacy_rule_hides_none_of_version_2() -> None:
    assert hidden(rule("a"), rule("b", version="2", dcmDIMSE="C_FIND_RSP")) == {}


def test_where_a_version_2_rule_may_apply_dcm4chee_ignores_a_legacy_one() -> None:
    sufficient = rule("b", version="2", dcmCoercionSufficient="TRUE")
    assert hidden(rule("a"), sufficient) == {"a": ("b", Hiding.IN_DCM4CHEE)}
    assert hidden(rule("a", "Modality=CT"), rule("b", "Modality!=CT", version="2")) == {}


def test_rules_of_aes_apply_where_dcm4chee_ignores_the_device() -> None:
    of_ae = in_order([rule("b", parent=AE, version="2"), rule("c", parent=AE)], [])
    of_device = in_order([], [rule("a")])
    assert [(told.by, told.how) for told in hidden_among(of_device, of_ae).values()] == [("b", Hiding.IN_DCM4CHEE)]


def test_hiding_rule_of_this_service_is_told_not_that_of_dcm4chee() -> None:
    found = hidden(rule("a"), rule("b"), rule("c", version="2"))
    assert found == {"a": ("c", Hiding.IN_DCM4CHEE), "b": ("a", Hiding.ALWAYS)}
