"""Which rules are taken at load, which apply to a message, in which order, and what a failure of one means."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset

from dcm4py_leading.coercion.chain import Answer, CoercionResult, Question, StepOutcome, WorklistQuestion, coercion, run
from dcm4py_leading.coercion.rules import compile_rules, warnings
from dcm4py_leading.coercion.schemes import Environment
from dcm4py_leading.coercion.select import Selection, select_rules
from dcm4py_leading.errors import CoercionFailed, ConfigInvalid, LeadingUnavailable, Severity, WorklistUnavailable
from dcm4py_leading.model.coercion import AnyRule, CoercionRule2, Dimse, OnFailure
from dcm4py_leading.model.values import UID, AETitle, Tag, TransferRole
from tests.fixtures.rules import (
    CT,
    LEADING,
    MODALITY,
    RETRIEVE,
    STYLE_SHEET,
    data_set,
    legacy_rule,
    selected,
    version_2_rule,
)
from tests.fixtures.rules import environment as rule_environment

SCU, SCP = TransferRole.SCU, TransferRole.SCP

# The columns of the tables below.
MESSAGES = (
    (Dimse.C_STORE_RQ, SCP),  # retrieved
    (Dimse.C_STORE_RQ, SCU),  # received
    (Dimse.C_FIND_RQ, SCU),  # a query that comes
    (Dimse.C_FIND_RQ, SCP),  # a query of ours
    (Dimse.C_FIND_RSP, SCU),  # our answer
    (Dimse.C_FIND_RSP, SCP),  # the answer to us
    (Dimse.N_CREATE_RQ, SCU),
    (Dimse.N_SET_RQ, SCU),
    (Dimse.N_CREATE_RQ, SCP),
    (Dimse.N_SET_RQ, SCP),
)
CARRIED_OUT, NOT_APPLICABLE, REFUSED, NO_SUCH_MESSAGE = "x", "n", "-", "!"

_SAMPLE: dict[str, dict[str, Any]] = {
    "merge-attrs:": {"merge_attributes": ("PatientComments=x",)},
    "sup-from-dev:": {"supplement_from_device_reference": MODALITY},
    f"merge-mwl:{STYLE_SHEET}": {"coercion_params": ("mwl-scp=WORKLIST",)},
}
VERSION_2 = [
    ("leading-arc:QRSCP", "xx--x---!!"),
    ("merge-attrs:", "xxxxxxnn!!"),
    (f"merge-mwl:{STYLE_SHEET}", "-x----nn!!"),
    (f"xslt:{STYLE_SHEET}", "xxxxxxnn!!"),
    ("deidentify:RetainUIDsOption", "xx------!!"),
    ("sup-from-dev:", "xxx---nn!!"),
    ("trim-ISO2022:", "xxxxxxnn!!"),
    ("change-charset:ISO_IR 192", "xxxxxxnn!!"),
    ("use-calling-aet-as:ScheduledStationAETitle", "-xx-----!!"),
    ("nullify-pixel-data:", "x-------!!"),
    ("retrieve-as-received:", "x-------!!"),
]
LEGACY: list[tuple[dict[str, Any], str]] = [
    ({"leading_cfind_scp": LEADING}, "xx--x---!!"),
    ({"merge_attributes": ("PatientComments=x",)}, "xxxxxxnn!!"),
    (
        {
            "merge_mwl_matching_key": "StudyInstanceUID",
            "merge_mwl_scp": AETitle("WORKLIST"),
            "merge_mwl_template_uri": STYLE_SHEET,
        },
        "-x----nn!!",
    ),
    ({"uri": STYLE_SHEET}, "xxxxxxnn!!"),
    ({"de_identifications": ("RetainUIDsOption",)}, "xx------!!"),
    ({"supplement_from_device_reference": MODALITY}, "xxxxxxnn!!"),
    ({"trim_iso2022_character_set": True}, "xxxxxxnn!!"),
    ({"use_calling_ae_title_as": "ScheduledStationAETitle"}, "-xx-----!!"),
    ({"nullify_tags": (Tag(0x00100010),)}, "xxxxxxnn!!"),
    ({"nullify_issuer_of_patient_id": "ALWAYS"}, "xxxxxxnn!!"),
    ({"issuer_of_patient_id_format": "{PatientID}"}, "xxxxxxnn!!"),
    ({"retrieve_as_received": True}, "x-------!!"),
]


def _cells() -> Iterator[Any]:
    for uri, row in VERSION_2:
        for (dimse, role), expected in zip(MESSAGES, row, strict=True):
            rule: AnyRule = version_2_rule(uri=uri, dimse=dimse, transfer_role=role, **_SAMPLE.get(uri, {}))
            yield pytest.param(rule, expected, id=f"{uri.partition(':')[0]}-{dimse.value}-{role.value}")
    for fields, row in LEGACY:
        for (dimse, role), expected in zip(MESSAGES, row, strict=True):
            rule = legacy_rule(dimse=dimse, transfer_role=role, **fields)
            yield pytest.param(rule, expected, id=f"{next(iter(fields))}-{dimse.value}-{role.value}")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return rule_environment(Path(tmp_path_factory.mktemp("sheets")))


# At load


@pytest.mark.ldap("dcmURI")
@pytest.mark.ldap("dcmDIMSE")
@pytest.mark.ldap("dicomTransferRole")
@pytest.mark.parametrize(("rule", "expected"), list(_cells()))
def test_rule_is_taken_refused_or_told_to_be_not_applicable(
    environment: Environment, rule: AnyRule, expected: str
) -> None:
    message = f"{rule.dimse.value} {rule.transfer_role.value}"
    if expected in (REFUSED, NO_SUCH_MESSAGE):
        with pytest.raises(ConfigInvalid) as caught:
            compile_rules([rule], environment)
        (problem,) = caught.value.problems
        assert problem.dn == rule.dn
        if expected == NO_SUCH_MESSAGE:
            assert (problem.attribute, problem.reason) == ("dicomTransferRole", f"senseless with {rule.dimse.value}")
        else:
            assert problem.reason == f"senseless for {message}"
            assert problem.attribute == ("dcmURI" if isinstance(rule, CoercionRule2) else problem.attribute)
        return
    (compiled,) = compile_rules([rule], environment)
    assert len(compiled.steps) == (expected == CARRIED_OUT)
    assert len(warnings([compiled])) == (expected == NOT_APPLICABLE)


@pytest.mark.parametrize(("dimse", "role"), MESSAGES)
def test_legacy_rule_that_demands_nothing_only_needs_a_message_that_exists(dimse: Dimse, role: TransferRole) -> None:
    rule = legacy_rule(dimse=dimse, transfer_role=role)
    if (dimse, role) in MESSAGES[-2:]:
        with pytest.raises(ConfigInvalid):
            compile_rules([rule], Environment())
    else:
        (compiled,) = compile_rules([rule], Environment())
        assert compiled.steps == ()


@pytest.mark.ldap("dcmDIMSE")
@pytest.mark.parametrize("dimse", [Dimse.N_CREATE_RQ, Dimse.N_SET_RQ])
@pytest.mark.parametrize("make", [legacy_rule, version_2_rule])
def test_rule_for_performed_procedure_steps_is_listed_as_a_warning(dimse: Dimse, make: Any) -> None:
    rules = compile_rules([make("stored"), make("performed", dimse=dimse, transfer_role=SCU)], Environment())
    (problem,) = warnings(rules)
    assert problem.severity is Severity.WARNING
    assert (problem.dn, problem.attribute, problem.value) == ("cn=performed", "dcmDIMSE", dimse.value)
    assert problem.reason.startswith("not applicable")


# For a message

QUERY_MODELS = {
    "patient-root-find": "1.2.840.10008.5.1.4.1.2.1.1",
    "study-root-find": "1.2.840.10008.5.1.4.1.2.2.1",
    "worklist-find": "1.2.840.10008.5.1.4.31",
}
OBJECTS = {
    "ct": CT,
    "mr": "1.2.840.10008.5.1.4.1.1.4",
    "sr": "1.2.840.10008.5.1.4.1.1.88.11",
}
PERFORMED = {"mpps": "1.2.840.10008.3.1.2.3.3"}
SOP_CLASSES = {
    Dimse.C_STORE_RQ: OBJECTS,
    Dimse.C_FIND_RQ: QUERY_MODELS,
    Dimse.C_FIND_RSP: QUERY_MODELS,
    Dimse.N_CREATE_RQ: PERFORMED,
    Dimse.N_SET_RQ: PERFORMED,
}
POSSIBLE = MESSAGES[:-2]
CASES = [(dimse, role, name) for dimse, role in POSSIBLE for name in SOP_CLASSES[dimse]]


def _one_rule_for_each(make: Any) -> list[AnyRule]:
    """For each message: one for each SOP class, and behind them one for all."""
    return [
        make(f"{dimse.value} {role.value} {name}", dimse=dimse, transfer_role=role, sop_classes=sop_classes)
        for dimse, role in POSSIBLE
        for name, sop_classes in (
            *((name, frozenset({UID(uid)})) for name, uid in SOP_CLASSES[dimse].items()),
            ("any", frozenset()),
        )
    ]


def names(selection: Selection) -> list[str]:
    return [rule.rule.cn for rule in selection.applied]


@pytest.mark.ldap("dcmSOPClass")
@pytest.mark.ldap("dcmDIMSE")
@pytest.mark.ldap("dicomTransferRole")
@pytest.mark.parametrize(("dimse", "role", "name"), CASES)
def test_rules_for_this_message_and_this_information_model_apply_and_no_others(
    dimse: Dimse, role: TransferRole, name: str
) -> None:
    label = f"{dimse.value} {role.value}"
    context: dict[str, Any] = {"dimse": dimse, "transfer_role": role}
    sop_class = SOP_CLASSES[dimse][name]
    legacy = selected(*_one_rule_for_each(legacy_rule), sop_class=sop_class, **context)
    assert names(legacy) == [f"{label} {name}"]
    version_2 = selected(*_one_rule_for_each(version_2_rule), sop_class=sop_class, **context)
    assert names(version_2) == [f"{label} {name}", f"{label} any"]
    mixed = selected(
        *_one_rule_for_each(lambda cn, **fields: version_2_rule(f"2 {cn}", **fields)),
        *_one_rule_for_each(legacy_rule),
        sop_class=sop_class,
        **context,
    )
    assert names(mixed) == [f"{label} {name}", f"2 {label} {name}", f"2 {label} any"]


@pytest.mark.ldap("dcmSOPClass")
@pytest.mark.parametrize("make", [legacy_rule, version_2_rule])
@pytest.mark.parametrize(("dimse", "role", "name"), CASES)
def test_sop_class_that_no_rule_names_leaves_the_rule_for_all(
    make: Any, dimse: Dimse, role: TransferRole, name: str
) -> None:
    limited = [rule for rule in _one_rule_for_each(make) if SOP_CLASSES[dimse][name] not in rule.sop_classes]
    selection = selected(*limited, dimse=dimse, transfer_role=role, sop_class=SOP_CLASSES[dimse][name])
    assert names(selection) == [f"{dimse.value} {role.value} any"]


@pytest.mark.ldap("dcmSOPClass")
@pytest.mark.parametrize("make", [legacy_rule, version_2_rule])
@pytest.mark.parametrize(
    ("model", "applies"), [("patient-root-find", True), ("study-root-find", True), ("worklist-find", False)]
)
def test_rule_may_name_several_information_models(make: Any, model: str, applies: bool) -> None:
    roots = frozenset(UID(QUERY_MODELS[name]) for name in ("patient-root-find", "study-root-find"))
    rule = make(dimse=Dimse.C_FIND_RSP, transfer_role=SCU, sop_classes=roots)
    selection = selected(rule, dimse=Dimse.C_FIND_RSP, transfer_role=SCU, sop_class=QUERY_MODELS[model])
    assert bool(selection.applied) is applies


# Order


def writes(cn: str, **fields: Any) -> CoercionRule2:
    """A version-2 rule that adds its name to the Patient Comments."""
    return version_2_rule(
        cn, uri="merge-attrs:", merge_attributes=(f"PatientComments={{PatientComments}}{cn}",), **fields
    )


def ours(**values: object) -> Dataset:
    return data_set(StudyInstanceUID="1.2.3", PatientName="Ours", PatientComments="", **values)


def coerced(ds: Dataset, *rules: AnyRule, answer: Answer = None) -> CoercionResult:
    return run(coercion(ds, selected(*rules, ds=ds)), lambda question: answer)


def test_legacy_rule_comes_first_then_version_2_rules_in_their_order() -> None:
    ds = ours()
    legacy = legacy_rule("L", merge_attributes=("PatientComments={PatientComments}L",))
    outcome = coerced(ds, writes("a"), legacy, writes("b"))
    assert ds.PatientComments == "Lab"
    assert [done.rule.rule.cn for done in outcome.executed] == ["L", "a", "b"]


def test_only_the_first_legacy_rule_that_matches_is_carried_out() -> None:
    ds = ours(Modality="CT")
    coerced(
        ds,
        legacy_rule("M", properties=("Modality=MR",), merge_attributes=("PatientComments={PatientComments}M",)),
        legacy_rule("C", properties=("Modality=CT",), merge_attributes=("PatientComments={PatientComments}C",)),
        legacy_rule("D", merge_attributes=("PatientComments={PatientComments}D",)),
    )
    assert ds.PatientComments == "C"


@pytest.mark.ldap("dcmCoercionSufficient")
@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([writes("a", coercion_sufficient=True), writes("b")], "a"),
        ([writes("a"), writes("b", coercion_sufficient=True), writes("c")], "ab"),
        ([writes("a"), writes("b"), writes("c")], "abc"),
    ],
)
def test_no_rule_follows_one_that_is_sufficient(rules: list[AnyRule], expected: str) -> None:
    ds = ours()
    coerced(ds, *rules)
    assert ds.PatientComments == expected


@pytest.mark.ldap("dcmCoercionSufficient")
def test_sufficient_rule_does_not_hinder_the_legacy_rule_which_comes_before_it() -> None:
    ds = ours()
    legacy = legacy_rule("L", merge_attributes=("PatientComments={PatientComments}L",))
    coerced(ds, writes("a", coercion_sufficient=True), legacy)
    assert ds.PatientComments == "La"


@pytest.mark.ldap("dcmCoercionSufficient")
def test_sufficient_rule_that_was_applied_without_a_change_is_sufficient() -> None:
    ds = ours()
    nothing_to_empty = version_2_rule("a", uri="nullify-pixel-data:", coercion_sufficient=True)
    assert coerced(ds, nothing_to_empty, writes("b")).changes == ()


@pytest.mark.ldap("dcmCoercionSufficient")
@pytest.mark.parametrize("rule", [{"uri": "trim-ISO2022:"}, {"uri": "leading-arc:QRSCP"}], ids=str)
def test_sufficient_rule_that_was_not_applied_is_not_sufficient(rule: dict[str, str]) -> None:
    ds = ours()
    outcome = coerced(ds, version_2_rule("a", coercion_sufficient=True, **rule), writes("b"))
    assert ds.PatientComments == "b"
    assert [done.outcome for done in outcome.executed] == [StepOutcome.NOT_APPLIED, StepOutcome.APPLIED]


@pytest.mark.ldap("dcmCoercionSufficient")
def test_sufficient_leading_rule_is_sufficient_once_the_archive_knows_the_study() -> None:
    ds = ours()
    rule = version_2_rule("a", uri="leading-arc:QRSCP", coercion_sufficient=True)
    coerced(ds, rule, writes("b"), answer=data_set(PatientName="Theirs"))
    assert (ds.PatientName, ds.PatientComments) == ("Theirs", "")


# Failure

DOWN = LeadingUnavailable("QRSCP refused the connection")
LEADING_RULE: dict[str, Any] = {"uri": "leading-arc:QRSCP"}
FAILING_RULE: dict[str, Any] = {"uri": "merge-attrs:", "merge_attributes": ("Rows={StudyInstanceUID}",)}
"""What comes of it is no number."""

on_each_failure = pytest.mark.parametrize(
    "failing", [pytest.param(LEADING_RULE, id="unavailable"), pytest.param(FAILING_RULE, id="failing step")]
)


@pytest.mark.ldap("dcmCoercionOnFailure")
@on_each_failure
def test_version_2_rule_rethrows_by_default(failing: dict[str, Any]) -> None:
    with pytest.raises(CoercionFailed) as caught:
        coerced(ours(), version_2_rule("a", **failing), writes("b"), answer=DOWN)
    assert caught.value.status == 0x0110


@pytest.mark.ldap("dcmCoercionOnFailure")
@on_each_failure
def test_rethrow_ends_the_coercion(failing: dict[str, Any]) -> None:
    ds = ours()
    rule = version_2_rule("a", coercion_on_failure=OnFailure.RETHROW, **failing)
    with pytest.raises(CoercionFailed):
        coerced(ds, writes("0"), rule, writes("b"), answer=DOWN)
    assert ds.PatientComments == "0"


@pytest.mark.ldap("dcmCoercionOnFailure")
@on_each_failure
@pytest.mark.parametrize(
    ("on_failure", "expected"), [(OnFailure.CONTINUE, "b"), (OnFailure.SUFFICIENT, "")], ids=lambda value: str(value)
)
def test_failed_rule_changes_nothing_and_others_follow_as_it_says(
    failing: dict[str, Any], on_failure: OnFailure, expected: str
) -> None:
    ds = ours()
    outcome = coerced(ds, version_2_rule("a", coercion_on_failure=on_failure, **failing), writes("b"), answer=DOWN)
    assert ds == data_set(StudyInstanceUID="1.2.3", PatientName="Ours", PatientComments=expected)
    assert outcome.executed[0].outcome is StepOutcome.FAILED
    (remark,) = outcome.remarks
    assert "1.2.3" not in remark
    assert ("QRSCP refused the connection" in remark) is (failing is LEADING_RULE)


@pytest.mark.ldap("dcmCoercionOnFailure")
@pytest.mark.parametrize("on_failure", list(OnFailure))
def test_on_failure_has_no_effect_on_a_rule_that_succeeds(on_failure: OnFailure) -> None:
    ds = ours()
    coerced(ds, writes("a", coercion_on_failure=on_failure), writes("b"))
    assert ds.PatientComments == "ab"


@pytest.mark.ldap("dcmCoercionOnFailure")
@pytest.mark.parametrize("on_failure", list(OnFailure))
def test_study_that_the_archive_does_not_know_is_no_failure(on_failure: OnFailure) -> None:
    ds = ours()
    coerced(ds, version_2_rule("a", uri="leading-arc:QRSCP", coercion_on_failure=on_failure), writes("b"), answer=None)
    assert (ds.PatientName, ds.PatientComments) == ("Ours", "b")


@pytest.mark.ldap("dcmCoercionOnFailure")
@pytest.mark.ldap("dcmCoercionSufficient")
@on_each_failure
def test_sufficient_rule_that_failed_and_continues_is_not_sufficient(failing: dict[str, Any]) -> None:
    ds = ours()
    rule = version_2_rule("a", coercion_on_failure=OnFailure.CONTINUE, coercion_sufficient=True, **failing)
    coerced(ds, rule, writes("b"), answer=DOWN)
    assert ds.PatientComments == "b"


@pytest.mark.ldap("dcmLeadingCFindSCP")
def test_legacy_rule_goes_on_without_the_leading_archive() -> None:
    ds = ours()
    legacy = legacy_rule("L", leading_cfind_scp=LEADING, merge_attributes=("PatientComments={PatientComments}L",))
    coerced(ds, legacy, writes("b"), answer=DOWN)
    assert (ds.PatientName, ds.PatientComments) == ("Ours", "Lb")


def test_legacy_rule_whose_step_fails_rethrows() -> None:
    with pytest.raises(CoercionFailed):
        coerced(ours(), legacy_rule(merge_attributes=("Rows={StudyInstanceUID}",)))


@pytest.mark.ldap("dcmMergeMWLSCP")
@pytest.mark.ldap("dcmCoercionOnFailure")
@pytest.mark.parametrize("on_failure", list(OnFailure))
def test_worklist_that_is_down_is_a_failure_like_any_other(environment: Environment, on_failure: OnFailure) -> None:
    ds = ours()
    received: dict[str, Any] = {"dimse": Dimse.C_STORE_RQ, "transfer_role": SCU}
    worklist = version_2_rule(
        "a",
        uri=f"merge-mwl:{STYLE_SHEET}",
        coercion_params=("mwl-scp=WORKLIST", "match-by=StudyInstanceUID"),
        coercion_on_failure=on_failure,
        **received,
    )
    compiled = compile_rules([worklist, writes("b", **received)], environment)
    selection = select_rules(compiled, replace(RETRIEVE, **received), ds)
    asked: list[Question] = []

    def answer(question: Question) -> Answer:
        asked.append(question)
        return WorklistUnavailable("WORKLIST refused the connection")

    if on_failure is OnFailure.RETHROW:
        with pytest.raises(CoercionFailed, match="coercion rule a: WORKLIST refused the connection"):
            run(coercion(ds, selection), answer)
    else:
        run(coercion(ds, selection), answer)
        assert ds.PatientComments == ("b" if on_failure is OnFailure.CONTINUE else "")
    assert [type(question) for question in asked] == [WorklistQuestion]


@pytest.mark.ldap("dcmDeIdentification")
@pytest.mark.parametrize(
    "rule",
    [
        legacy_rule("L", de_identifications=("RetainUIDsOption",)),
        *(version_2_rule("2", uri="deidentify:", coercion_on_failure=on_failure) for on_failure in OnFailure),
    ],
)
def test_object_that_cannot_be_deidentified_is_never_let_through(rule: AnyRule) -> None:
    ds = ours(BurnedInAnnotation="YES")
    with pytest.raises(CoercionFailed, match="deidentify"):
        coerced(ds, rule, writes("b"))


def test_half_of_a_step_is_not_done() -> None:
    ds = ours()
    before = copy.deepcopy(ds)
    half = version_2_rule("a", uri="merge-attrs:", merge_attributes=("PatientName=Half", "Rows={StudyInstanceUID}"))
    with pytest.raises(CoercionFailed):
        coerced(ds, half)
    assert ds == before


# --compat 5.35


def test_compat_5_35_hides_the_legacy_rule_behind_a_version_2_rule_that_matches() -> None:
    rules: list[AnyRule] = [
        legacy_rule("L", leading_cfind_scp=LEADING),
        version_2_rule("hiding"),
        version_2_rule("other"),
    ]
    assert names(selected(*rules)) == ["L", "hiding", "other"]
    selection = selected(*rules, compat_5_35=True)
    assert names(selection) == ["hiding", "other"]
    assert selection.verdicts[0].decided_by == "--compat 5.35: version-2 rule hiding matches"


@pytest.mark.parametrize(
    "elsewhere",
    [{"properties": ("Modality=MR",)}, {"sop_classes": frozenset({UID("1.2")})}, {"transfer_role": SCU}],
    ids=str,
)
def test_compat_5_35_hides_nothing_behind_a_version_2_rule_that_does_not_match(elsewhere: dict[str, Any]) -> None:
    rules: list[AnyRule] = [legacy_rule("L"), version_2_rule("2", **elsewhere)]
    assert names(selected(*rules, compat_5_35=True)) == ["L"]


def test_compat_5_35_keeps_the_reason_of_a_legacy_rule_that_does_not_match_anyway() -> None:
    rules: list[AnyRule] = [legacy_rule("M", properties=("Modality=MR",)), version_2_rule("2")]
    (legacy, _) = selected(*rules, compat_5_35=True).verdicts
    assert legacy.decided_by == "dcmProperty=Modality=MR"
