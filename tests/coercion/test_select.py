from __future__ import annotations

from typing import Any

import pytest
from pydicom import Dataset

from dcm4py_leading.coercion import conditions
from dcm4py_leading.coercion.rules import rules_for
from dcm4py_leading.coercion.schemes import Environment
from dcm4py_leading.coercion.select import Selection, select_rules
from dcm4py_leading.errors import CoercionFailed
from dcm4py_leading.model.coercion import Dimse
from dcm4py_leading.model.values import UID, TransferRole
from tests.fixtures.rules import (
    CT,
    LEADING,
    RETRIEVE,
    application_entity,
    data_set,
    device,
    legacy_rule,
    selected,
    version_2_rule,
)


def applied(selection: Selection) -> list[str]:
    return [compiled.rule.cn for compiled in selection.applied]


def test_only_the_first_matching_legacy_rule_applies() -> None:
    selection = selected(legacy_rule("no", properties=("Modality=MR",)), legacy_rule("first"), legacy_rule("second"))
    assert applied(selection) == ["first"]
    assert [verdict.decided_by for verdict in selection.verdicts] == [
        "dcmProperty=Modality=MR",
        None,
        "legacy rule first comes first",
    ]


def test_every_matching_version_2_rule_applies_and_hides_no_legacy_rule() -> None:
    selection = selected(version_2_rule("a"), legacy_rule("leading", leading_cfind_scp=LEADING), version_2_rule("b"))
    assert applied(selection) == ["leading", "a", "b"]
    assert [step.name for rule in selection.applied for step in rule.steps] == [
        "leading-arc",
        "trim-ISO2022",
        "trim-ISO2022",
    ]


@pytest.mark.ldap("dcmRulePriority")
def test_highest_priority_wins_over_place() -> None:
    ae, of_device = application_entity("AE", legacy_rule("ae")), device(legacy_rule("dev", rule_priority=1))
    assert applied(select_rules(rules_for(of_device, ae, Environment()), RETRIEVE, Dataset())) == ["dev"]


def test_rule_of_the_ae_wins_at_equal_priority() -> None:
    ae, of_device = application_entity("AE", legacy_rule("ae")), device(legacy_rule("dev"))
    assert applied(select_rules(rules_for(of_device, ae, Environment()), RETRIEVE, Dataset())) == ["ae"]


@pytest.mark.ldap("dcmSOPClass")
def test_rule_is_limited_to_its_sop_classes() -> None:
    rule = legacy_rule("ct", sop_classes=frozenset({UID(CT)}))
    assert applied(selected(rule)) == ["ct"]
    assert selected(rule, sop_class="1.2.840.10008.5.1.4.1.1.4").verdicts[0].decided_by == f"dcmSOPClass={CT}"


@pytest.mark.parametrize(
    ("fields", "decided_by"),
    [
        ({"dimse": Dimse.C_FIND_RSP, "transfer_role": TransferRole.SCU}, "dcmDIMSE=C_FIND_RSP"),
        ({"transfer_role": TransferRole.SCU}, "dicomTransferRole=SCU"),
    ],
)
def test_rule_for_another_message_does_not_apply(fields: dict[str, Any], decided_by: str) -> None:
    assert selected(legacy_rule(**fields)).verdicts[0].decided_by == decided_by


@pytest.mark.parametrize(
    ("condition", "matches"),
    [
        ("SendingHostname=archive.example", True),
        ("SendingApplicationEntityTitle=DCM4CHEE", True),
        ("ReceivingHostname=viewer.example", True),
        ("ReceivingApplicationEntityTitle=STORESCP", True),
        ("ReceivingApplicationEntityTitle!=STORESCP", False),
        ("Modality=CT", True),
        ("Modality=MR", False),
    ],
)
def test_conditions_see_peers_and_attributes(condition: str, matches: bool) -> None:
    selection = selected(legacy_rule(properties=(condition,)), ds=data_set(Modality="CT"))
    assert selection.verdicts[0].matched is matches


def test_all_conditions_have_to_hold() -> None:
    rule = legacy_rule(properties=("Modality=CT", "ReceivingHostname=elsewhere"))
    assert (
        selected(rule, ds=data_set(Modality="CT")).verdicts[0].decided_by == "dcmProperty=ReceivingHostname=elsewhere"
    )


@pytest.mark.ldap("dcmRetrieveAsReceived")
def test_retrieve_as_received_is_that_of_the_rule_that_applies() -> None:
    as_received = legacy_rule("as-received", retrieve_as_received=True)
    assert selected(as_received).retrieve_as_received
    assert not selected(legacy_rule("first"), as_received).retrieve_as_received


@pytest.mark.ldap("dcmRetrieveAsReceived")
def test_retrieve_as_received_of_a_version_2_rule_counts_beside_a_legacy_rule() -> None:
    as_received = version_2_rule("as-received", uri="retrieve-as-received:")
    assert selected(legacy_rule("first"), as_received).retrieve_as_received
    assert not selected(legacy_rule("first"), version_2_rule()).retrieve_as_received


def test_a_condition_that_takes_for_ever_is_a_failure_of_its_rule_and_no_mismatch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(conditions, "CONDITION_MATCH_SECONDS", 0.05)
    with pytest.raises(CoercionFailed, match="rule slow: a condition takes more than"):
        selected(legacy_rule("slow", properties=("PatientID=(a|aa)+b",)), ds=data_set(PatientID="a" * 60))
