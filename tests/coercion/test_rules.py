from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dcm4py_leading.coercion.rules import compile_rules, rules_for, warnings
from dcm4py_leading.coercion.schemes import Environment
from dcm4py_leading.coercion.steps.step import LeadingStep, NullifyStep
from dcm4py_leading.coercion.tags import AllTags
from dcm4py_leading.errors import ConfigInvalid, Problem, Severity
from dcm4py_leading.model.coercion import AnyRule, Dimse, UpdatePolicy
from dcm4py_leading.model.values import AETitle, Tag, TransferRole
from tests.fixtures.rules import LEADING, MODALITY, STYLE_SHEET, application_entity, device, legacy_rule, version_2_rule
from tests.fixtures.rules import environment as rule_environment

SCU, SCP = TransferRole.SCU, TransferRole.SCP
NAME = Tag(0x00100010)
NOTHING = Environment()


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return rule_environment(tmp_path)


def problems(*rules: AnyRule, environment: Environment = NOTHING) -> tuple[Problem, ...]:
    with pytest.raises(ConfigInvalid) as caught:
        compile_rules(rules, environment)
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


@pytest.mark.parametrize(
    "uri",
    ["merge-attrs", "leading-arc:", "leading-arc:a-title-that-is-too-long", "deidentify:Foo", "use-calling-aet-as:X"],
)
def test_version_2_uri_is_checked(uri: str) -> None:
    rule = version_2_rule(uri=uri, transfer_role=SCU if uri.startswith("use") else SCP)
    assert [p.attribute for p in problems(rule)] == ["dcmURI"]


@pytest.mark.ldap("dcmRulePriority")
def test_rules_come_by_priority_then_those_of_the_ae_first() -> None:
    ae = application_entity("AE", legacy_rule("ae-low", rule_priority=-1), legacy_rule("ae"), version_2_rule("ae2"))
    of_device = device(legacy_rule("dev"), legacy_rule("dev-high", rule_priority=5))
    assert [c.rule.cn for c in rules_for(of_device, ae, NOTHING)] == ["dev-high", "ae", "ae2", "dev", "ae-low"]


def test_legacy_steps_have_what_the_rule_says() -> None:
    (compiled,) = compile_rules(
        [
            legacy_rule(
                merge_attributes=("PatientComments=x",),
                nullify_tags=(NAME,),
                leading_cfind_scp=LEADING,
                attribute_update_policy=UpdatePolicy.OVERWRITE,
            )
        ],
        NOTHING,
    )
    leading, nullify, merge = compiled.steps
    assert leading == LeadingStep(leading_cfind_scp=LEADING, policy=UpdatePolicy.OVERWRITE)
    assert nullify == NullifyStep(tags=(NAME,))
    assert (leading.reads, leading.writes) == (AllTags.ALL, AllTags.ALL)
    assert (nullify.reads, nullify.writes) == (frozenset({NAME}), frozenset({NAME}))
    assert merge.writes == frozenset({0x00104000, 0x00080005})
    assert warnings([compiled]) == []


_EVERYWHERE: dict[str, Any] = {
    "uri": STYLE_SHEET,
    "supplement_from_device_reference": MODALITY,
    "issuer_of_patient_id_format": "{IssuerOfPatientID}",
    "nullify_issuer_of_patient_id": "ALWAYS",
    "merge_attributes": ("PatientComments=x", "PatientSex="),
    "nullify_tags": (NAME,),
    "trim_iso2022_character_set": True,
}
_STEPS_EVERYWHERE = [
    "trim-ISO2022",
    "nullify-pixel-data",
    "merge-attrs",
    "nullify-issuer",
    "supplement-issuer",
    "sup-from-dev",
]


def test_steps_of_retrieved_objects_come_in_dcm4chees_order(environment: Environment) -> None:
    (compiled,) = compile_rules(
        [
            legacy_rule(
                de_identifications=("RetainUIDsOption",),
                leading_cfind_scp=LEADING,
                retrieve_as_received=True,
                **_EVERYWHERE,
            )
        ],
        environment,
    )
    assert [step.name for step in compiled.steps] == [
        "retrieve-as-received",
        "leading-arc",
        *_STEPS_EVERYWHERE,
        "xslt",
        "deidentify",
    ]


def test_steps_of_received_objects_come_in_dcm4chees_order(environment: Environment) -> None:
    (compiled,) = compile_rules(
        [
            legacy_rule(
                transfer_role=SCU,
                de_identifications=("RetainUIDsOption",),
                merge_mwl_matching_key="PatientID",
                merge_mwl_scp=AETitle("WORKLIST"),
                merge_mwl_template_uri=STYLE_SHEET,
                use_calling_ae_title_as="ScheduledStationAETitle",
                leading_cfind_scp=LEADING,
                **_EVERYWHERE,
            )
        ],
        environment,
    )
    assert [step.name for step in compiled.steps] == [
        "leading-arc",
        "use-calling-aet-as",
        *_STEPS_EVERYWHERE,
        "merge-mwl",
        "xslt",
        "deidentify",
    ]


def test_needs_of_conditions_are_known_beforehand() -> None:
    none, attributes, hosts = compile_rules(
        [
            legacy_rule(properties=("SendingApplicationEntityTitle=A",)),
            legacy_rule(properties=("Modality=CT",)),
            legacy_rule(properties=("ReceivingHostname=a",)),
        ],
        NOTHING,
    )
    assert (none.needs_attributes, none.needs_hosts) == (False, False)
    assert (attributes.needs_attributes, attributes.needs_hosts) == (True, False)
    assert (hosts.needs_attributes, hosts.needs_hosts) == (False, True)


@pytest.mark.ldap("dcmDeIdentification")
@pytest.mark.ldap("dcmSupplementFromDeviceReference")
@pytest.mark.ldap("dcmTrimISO2022CharacterSet")
@pytest.mark.ldap("dcmNullifyIssuerOfPatientID")
@pytest.mark.ldap("dcmIssuerOfPatientIDFormat")
@pytest.mark.parametrize(
    ("fields", "attribute", "value"),
    [
        ({"uri": "file:///nowhere/a.xsl"}, "dcmURI", "file:///nowhere/a.xsl"),
        ({"uri": "http://elsewhere.example/a.xsl"}, "dcmURI", "http://elsewhere.example/a.xsl"),
        ({"de_identifications": ("NoSuchOption",)}, "dcmDeIdentification", "NoSuchOption"),
        (
            {"supplement_from_device_reference": "dicomDeviceName=x"},
            "dcmSupplementFromDeviceReference",
            "dicomDeviceName=x",
        ),
        ({"nullify_issuer_of_patient_id": "SOMETIMES"}, "dcmNullifyIssuerOfPatientID", "SOMETIMES"),
        ({"issuer_of_patient_id_format": "{"}, "dcmIssuerOfPatientIDFormat", "{"),
        ({"merge_attributes": ("PatientID=1", "PatientName={")}, "dcmMergeAttribute", "PatientName={"),
    ],
)
def test_wrong_value_of_a_legacy_rule_is_told_with_its_attribute(
    environment: Environment, fields: dict[str, Any], attribute: str, value: str
) -> None:
    (problem,) = problems(legacy_rule(**fields), environment=environment)
    assert (problem.dn, problem.attribute, problem.value) == ("cn=legacy", attribute, value)
    assert problem.severity is Severity.ERROR


@pytest.mark.ldap("dcmUseCallingAETitleAs")
@pytest.mark.ldap("dcmMergeMWLMatchingKey")
@pytest.mark.ldap("dcmMergeMWLSCP")
@pytest.mark.ldap("dcmMergeMWLTemplateURI")
@pytest.mark.parametrize(
    ("fields", "attribute"),
    [
        ({"use_calling_ae_title_as": "PatientName"}, "dcmUseCallingAETitleAs"),
        (
            {"merge_mwl_matching_key": "Height", "merge_mwl_scp": LEADING, "merge_mwl_template_uri": STYLE_SHEET},
            "dcmMergeMWLMatchingKey",
        ),
        (
            {"merge_mwl_matching_key": "PatientID", "merge_mwl_template_uri": STYLE_SHEET},
            "dcmMergeMWLMatchingKey",
        ),
        (
            {"merge_mwl_matching_key": "PatientID", "merge_mwl_scp": LEADING, "merge_mwl_template_uri": "http://x/y"},
            "dcmMergeMWLTemplateURI",
        ),
    ],
)
def test_wrong_value_of_a_legacy_rule_on_received_objects_is_told_with_its_attribute(
    environment: Environment, fields: dict[str, Any], attribute: str
) -> None:
    (problem,) = problems(legacy_rule(transfer_role=SCU, **fields), environment=environment)
    assert problem.attribute == attribute


@pytest.mark.ldap("dcmCoercionParam")
@pytest.mark.parametrize(
    ("fields", "attribute", "value"),
    [
        ({"uri": "merge-attrs:"}, "dcmMergeAttribute", ""),
        ({"uri": "merge-attrs:", "merge_attributes": ("Foo!",)}, "dcmMergeAttribute", "Foo!"),
        ({"uri": "sup-from-dev:"}, "dcmSupplementFromDeviceReference", ""),
        (
            {"uri": "sup-from-dev:", "supplement_from_device_reference": "dicomDeviceName=x"},
            "dcmSupplementFromDeviceReference",
            "dicomDeviceName=x",
        ),
        ({"uri": "xslt:file:///nowhere/a.xsl"}, "dcmURI", "xslt:file:///nowhere/a.xsl"),
        ({"uri": f"xslt:{STYLE_SHEET}", "coercion_params": ("no-value",)}, "dcmCoercionParam", "no-value"),
        ({"uri": "change-charset:ISO_IR 1"}, "dcmURI", "change-charset:ISO_IR 1"),
        ({"uri": f"merge-mwl:{STYLE_SHEET}", "transfer_role": SCU}, "dcmURI", f"merge-mwl:{STYLE_SHEET}"),
    ],
)
def test_wrong_value_of_a_version_2_rule_is_told_with_its_attribute(
    environment: Environment, fields: dict[str, Any], attribute: str, value: str
) -> None:
    (problem,) = problems(version_2_rule(**fields), environment=environment)
    assert (problem.dn, problem.attribute, problem.value) == ("cn=version2", attribute, value)


def test_rule_that_is_not_applicable_is_checked_as_far_as_its_conditions() -> None:
    (problem,) = problems(
        version_2_rule(dimse=Dimse.N_SET_RQ, transfer_role=SCU, uri="merge-attrs:", properties=("Modality=[",))
    )
    assert problem.attribute == "dcmProperty"
