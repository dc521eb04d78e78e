from __future__ import annotations

from typing import Any

import pytest

from dcm4py_leading.coercion.rules import compile_rules, rules_for, warnings
from dcm4py_leading.coercion.steps import LeadingStep, NullifyStep
from dcm4py_leading.coercion.tags import All
from dcm4py_leading.errors import ConfigInvalid, Problem, Severity
from dcm4py_leading.model.coercion import AnyRule, Dimse, UpdatePolicy
from dcm4py_leading.model.values import Tag, TransferRole
from tests.fixtures.rules import LEADING, application_entity, device, legacy_rule, version_2_rule

SCU, SCP = TransferRole.SCU, TransferRole.SCP
NAME = Tag(0x00100010)


def problems(*rules: AnyRule) -> tuple[Problem, ...]:
    with pytest.raises(ConfigInvalid) as caught:
        compile_rules(rules)
    return caught.value.problems


def test_everything_wrong_is_told_at_once() -> None:
    found = problems(
        legacy_rule("one", properties=("Modalty=CT", "Modality=["), merge_attributes=("Foo=1",)),
        version_2_rule("two", uri="nosuch:"),
    )
    assert [(p.dn, p.attribute, p.value) for p in found] == [
        ("cn=one", "dcmProperty", "Modality=["),
        ("cn=one", "dcmProperty", "Modalty=CT"),
        ("cn=one", "dcmMergeAttribute", "Foo=1"),
        ("cn=two", "dcmURI", "nosuch:"),
    ]
    assert "unknown attribute 'Modalty'" in found[1].reason


_COMBINATIONS = [(dimse, role) for dimse in Dimse for role in TransferRole]
_MPPS_FROM_OTHERS = {(Dimse.N_CREATE_RQ, SCU), (Dimse.N_SET_RQ, SCU)}
_ALL = set(_COMBINATIONS) - {(Dimse.N_CREATE_RQ, SCP), (Dimse.N_SET_RQ, SCP)}
_OBJECTS = {(Dimse.C_STORE_RQ, SCP), (Dimse.C_STORE_RQ, SCU)}
_RETRIEVED = {(Dimse.C_STORE_RQ, SCP)}
_LEADING = {*_OBJECTS, (Dimse.C_FIND_RSP, SCU)}
_RECEIVED_OR_QUERY = {(Dimse.C_STORE_RQ, SCU), (Dimse.C_FIND_RQ, SCU)}
_WORKLIST = {(Dimse.C_STORE_RQ, SCU), *_MPPS_FROM_OTHERS}


@pytest.mark.ldap("dcmURI")
@pytest.mark.parametrize(("dimse", "role"), _COMBINATIONS, ids=str)
@pytest.mark.parametrize(
    ("uri", "sensible"),
    [
        ("leading-arc:QRSCP", _LEADING),
        ("merge-attrs:", _ALL),
        ("merge-mwl:file:///a.xsl", _WORKLIST),
        ("xslt:file:///a.xsl", _ALL),
        ("deidentify:RetainUIDsOption", _OBJECTS),
        ("sup-from-dev:", {*_OBJECTS, *_MPPS_FROM_OTHERS, (Dimse.C_FIND_RQ, SCU)}),
        ("trim-ISO2022:", _ALL),
        ("change-charset:ISO_IR 192", _ALL),
        ("use-calling-aet-as:ScheduledStationAETitle", _RECEIVED_OR_QUERY),
        ("nullify-pixel-data:", _RETRIEVED),
        ("retrieve-as-received:", _RETRIEVED),
    ],
)
def test_version_2_rule_is_refused_where_it_makes_no_sense(
    uri: str, sensible: set[tuple[Dimse, TransferRole]], dimse: Dimse, role: TransferRole
) -> None:
    rule = version_2_rule(uri=uri, dimse=dimse, transfer_role=role)
    if (dimse, role) in sensible:
        compile_rules([rule])
    else:
        assert len(problems(rule)) == 1


@pytest.mark.ldap("dcmDIMSE")
@pytest.mark.ldap("dicomTransferRole")
@pytest.mark.parametrize(("dimse", "role"), _COMBINATIONS, ids=str)
@pytest.mark.parametrize(
    ("fields", "sensible"),
    [
        ({}, _ALL),
        ({"leading_cfind_scp": LEADING}, _LEADING),
        ({"retrieve_as_received": True}, _RETRIEVED),
        ({"nullify_tags": (NAME,)}, _ALL),
        ({"uri": "file:///a.xsl"}, _ALL),
        ({"de_identifications": ("RetainUIDsOption",)}, _OBJECTS),
        ({"merge_mwl_matching_key": "StudyInstanceUID"}, _WORKLIST),
        ({"use_calling_ae_title_as": "ScheduledStationAETitle"}, _RECEIVED_OR_QUERY),
    ],
    ids=str,
)
def test_legacy_rule_is_refused_where_it_makes_no_sense(
    fields: dict[str, Any], sensible: set[tuple[Dimse, TransferRole]], dimse: Dimse, role: TransferRole
) -> None:
    rule = legacy_rule(dimse=dimse, transfer_role=role, **fields)
    if (dimse, role) in sensible:
        compile_rules([rule])
    else:
        assert len(problems(rule)) == 1


@pytest.mark.parametrize(
    "uri",
    ["merge-attrs", "leading-arc:", "leading-arc:a-title-that-is-too-long", "deidentify:Foo", "use-calling-aet-as:X"],
)
def test_version_2_uri_is_checked(uri: str) -> None:
    dimse = {"role": SCU} if uri.startswith("use") else {}
    rule = version_2_rule(uri=uri, transfer_role=dimse.get("role", SCP))
    assert [p.attribute for p in problems(rule)] == ["dcmURI"]


@pytest.mark.ldap("dcmRulePriority")
def test_rules_come_by_priority_then_those_of_the_ae_first() -> None:
    ae = application_entity("AE", legacy_rule("ae-low", rule_priority=-1), legacy_rule("ae"), version_2_rule("ae2"))
    of_device = device(legacy_rule("dev"), legacy_rule("dev-high", rule_priority=5))
    assert [c.rule.cn for c in rules_for(of_device, ae)] == ["dev-high", "ae", "ae2", "dev", "ae-low"]


def test_steps_come_in_dcm4chees_order() -> None:
    (compiled,) = compile_rules(
        [
            legacy_rule(
                merge_attributes=("PatientComments=x",),
                nullify_tags=(NAME,),
                leading_cfind_scp=LEADING,
                attribute_update_policy=UpdatePolicy.OVERWRITE,
            )
        ]
    )
    leading, nullify, merge = compiled.steps
    assert leading == LeadingStep(leading_cfind_scp=LEADING, policy=UpdatePolicy.OVERWRITE)
    assert nullify == NullifyStep(tags=(NAME,))
    assert (leading.reads, leading.writes) == (All.ALL, All.ALL)
    assert (nullify.reads, nullify.writes) == (frozenset({NAME}), frozenset({NAME}))
    assert merge.writes == frozenset({0x00104000, 0x00080005})
    assert warnings([compiled]) == []


def told(*rules: AnyRule) -> list[str]:
    found = warnings(compile_rules(rules))
    assert all(problem.severity is Severity.WARNING for problem in found)
    return [f"{problem.dn}: {problem.reason}" for problem in found]


@pytest.mark.ldap("dcmDeIdentification")
@pytest.mark.ldap("dcmSupplementFromDeviceReference")
@pytest.mark.ldap("dcmTrimISO2022CharacterSet")
@pytest.mark.ldap("dcmNullifyIssuerOfPatientID")
@pytest.mark.ldap("dcmIssuerOfPatientIDFormat")
@pytest.mark.parametrize(
    ("fields", "attribute", "protective"),
    [
        ({"uri": "file:///a.xsl"}, "dcmURI", True),
        ({"de_identifications": ("RetainUIDsOption",)}, "dcmDeIdentification", True),
        ({"supplement_from_device_reference": "dicomDeviceName=x"}, "dcmSupplementFromDeviceReference", False),
        ({"trim_iso2022_character_set": True}, "dcmTrimISO2022CharacterSet", False),
        ({"nullify_issuer_of_patient_id": "ALWAYS"}, "dcmNullifyIssuerOfPatientID", False),
        ({"issuer_of_patient_id_format": "{PatientID}"}, "dcmIssuerOfPatientIDFormat", False),
        ({"merge_attributes": ("PatientID=1", "PatientName={rnd}")}, "dcmMergeAttribute ({rnd})", False),
    ],
)
def test_unexecuted_part_of_a_legacy_rule_is_told_once(
    fields: dict[str, Any], attribute: str, protective: bool
) -> None:
    (compiled,) = compile_rules([legacy_rule(**fields)])
    assert (compiled.unexecuted, compiled.protective, compiled.steps) == ((attribute,), protective, ())
    (line,) = told(legacy_rule(**fields))
    assert line.startswith(f"cn=legacy: not executed by this version: {attribute}")
    assert ("refused" in line) is protective


@pytest.mark.parametrize(
    ("uri", "protective"),
    [
        ("leading-arc:QRSCP", False),
        ("merge-attrs:", False),
        ("trim-ISO2022:", False),
        ("change-charset:ISO_IR 192", False),
        ("retrieve-as-received:", False),
        ("sup-from-dev:", False),
        ("xslt:file:///a.xsl", True),
        ("deidentify:", True),
        ("nullify-pixel-data:", True),
    ],
)
def test_version_2_rule_is_told_as_not_executed(uri: str, protective: bool) -> None:
    (compiled,) = compile_rules([version_2_rule(uri=uri)])
    assert (compiled.unexecuted, compiled.protective, compiled.steps) == ((f"dcmURI {uri}",), protective, ())


def test_nullify_of_a_message_that_is_not_coerced_yet_protects() -> None:
    (compiled,) = compile_rules([legacy_rule(dimse=Dimse.C_FIND_RSP, transfer_role=SCU, nullify_tags=(NAME,))])
    assert (compiled.unexecuted, compiled.protective) == (("dcmNullifyTag",), True)


def test_rule_for_a_service_that_is_not_offered_is_not_applicable() -> None:
    assert told(version_2_rule(dimse=Dimse.N_CREATE_RQ, transfer_role=SCU)) == [
        "cn=version2: not applicable, there is no N_CREATE_RQ here: dcmURI merge-attrs:"
    ]


def test_merge_attributes_of_a_version_2_rule_are_checked_too() -> None:
    assert [p.value for p in problems(version_2_rule(merge_attributes=("Foo!",)))] == ["Foo!"]
