"""The explanation of a coercion: verdicts, steps, and before and after, as values, JSON and text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset

from dcm4py_leading.coercion.chain import Answer, Question, coercion, run
from dcm4py_leading.coercion.differences import differences
from dcm4py_leading.coercion.explain import (
    ExplainedStep,
    Explanation,
    explained_elements,
    explained_rules,
    explained_steps,
    to_json,
    to_text,
)
from dcm4py_leading.coercion.rules import compile_rules
from dcm4py_leading.coercion.schemes import Environment
from dcm4py_leading.coercion.select import Selection, select_rules
from dcm4py_leading.errors import LeadingUnavailable
from dcm4py_leading.model.coercion import AnyRule, Dimse, OnFailure
from dcm4py_leading.model.values import AETitle
from tests.fixtures.datasets import read_sample
from tests.fixtures.rules import LEADING, RETRIEVE, data_set, legacy_rule, version_2_rule

TO_STORESCP = "ReceivingApplicationEntityTitle=STORESCP"


def selected(ds: Dataset, *rules: AnyRule, compat_5_35: bool = False) -> Selection:
    return select_rules(compile_rules(rules, Environment()), RETRIEVE, ds, compat_5_35=compat_5_35)


def stale() -> Dataset:
    return data_set(PatientName="Stale^Name", PatientID="STALE", StudyInstanceUID="1.2.3", PatientComments="secret")


def right() -> Dataset:
    return data_set(PatientName="Right^Name", PatientID="STALE", StudyInstanceUID="1.2.3")


def steps(
    ds: Dataset, rules: Sequence[AnyRule], answer: Answer, *, withheld: bool = False
) -> tuple[ExplainedStep, ...]:
    selection, start, asked = selected(ds, *rules), deepcopy(ds), []

    def answering(question: Question) -> Answer:
        asked.append(question)
        return answer

    coerced = run(coercion(ds, selection), answering)
    return explained_steps(selection, start, coerced.executed, withheld=asked if withheld else ())


def explanation(before: Dataset, after: Dataset, **fields: Any) -> Explanation:
    values: dict[str, Any] = {"rules": (), "steps": (), "elements": explained_elements(before, after), **fields}
    return Explanation(ae_title=AETitle("DCM4CHEE"), context=RETRIEVE, **values)


# Rules


@pytest.mark.ldap("dcmProperty")
@pytest.mark.ldap("dcmDIMSE")
def test_each_rule_comes_with_what_decided() -> None:
    rules = explained_rules(
        selected(
            stale(),
            legacy_rule("to other", leading_cfind_scp=LEADING, properties=("ReceivingApplicationEntityTitle=WS3",)),
            legacy_rule("to viewer", leading_cfind_scp=LEADING, properties=(TO_STORESCP,)),
            legacy_rule("later", leading_cfind_scp=LEADING),
            legacy_rule("on query", dimse=Dimse.C_FIND_RSP, merge_attributes=("PatientComments=",)),
        )
    )
    assert [(rule.cn, rule.matched) for rule in rules] == [
        ("to other", False),
        ("to viewer", True),
        ("later", False),
        ("on query", False),
    ]
    assert rules[0].decided_by == "dcmProperty=ReceivingApplicationEntityTitle=WS3"
    assert rules[1].conditions == (TO_STORESCP,)
    assert "to viewer" in (rules[2].decided_by or "")
    assert rules[3].decided_by == "dcmDIMSE=C_FIND_RSP"


def test_a_legacy_rule_that_upstream_would_ignore_is_marked_with_the_rule_that_hides_it() -> None:
    rules = (
        version_2_rule("hiding", uri="nullify-pixel-data:"),
        legacy_rule("legacy", leading_cfind_scp=LEADING),
        legacy_rule("second", leading_cfind_scp=LEADING),
    )
    told = explained_rules(selected(stale(), *rules))
    assert [rule.hidden_upstream_by for rule in told] == [None, "hiding", None]
    under_compat = explained_rules(selected(stale(), *rules, compat_5_35=True))
    assert [rule.hidden_upstream_by for rule in under_compat] == [None, None, None]
    assert "hiding" in (under_compat[1].decided_by or "")


# Steps


def test_step_names_the_archive_it_asked_and_counts_its_changes() -> None:
    (step,) = steps(stale(), [legacy_rule("lead", leading_cfind_scp=LEADING)], right())
    assert (step.rule, step.step, step.outcome, step.asked) == ("lead", "leading-arc", "applied", "QRSCP")
    assert step.changes == 1


def test_withheld_question_names_the_archive_it_would_ask() -> None:
    (step,) = steps(stale(), [legacy_rule("lead", leading_cfind_scp=LEADING)], None, withheld=True)
    assert (step.outcome, step.asked, step.remark) == ("would ask QRSCP", "QRSCP", None)


def test_without_a_study_nobody_would_be_asked() -> None:
    ds = data_set(PatientName="Stale^Name")
    (step,) = steps(ds, [legacy_rule("lead", leading_cfind_scp=LEADING)], None, withheld=True)
    assert (step.outcome, step.asked) == ("not applied", None)
    assert step.remark is not None


def test_an_archive_that_is_down_is_a_failed_step() -> None:
    (step,) = steps(stale(), [legacy_rule("lead", leading_cfind_scp=LEADING)], LeadingUnavailable("QRSCP is down"))
    assert step.outcome == "failed"
    assert "QRSCP is down" in (step.remark or "")


@pytest.mark.ldap("dcmCoercionSufficient")
def test_rule_after_a_sufficient_one_is_shown_as_not_run() -> None:
    ran, missed = steps(
        stale(),
        [
            version_2_rule("first", uri="leading-arc:QRSCP", coercion_sufficient=True),
            version_2_rule("second", uri="merge-attrs:", merge_attributes=("PatientComments=",)),
        ],
        right(),
    )
    assert (ran.rule, ran.outcome) == ("first", "applied")
    assert (missed.rule, missed.step, missed.outcome) == ("second", "merge-attrs", "not run")


@pytest.mark.ldap("dcmCoercionOnFailure")
def test_a_step_sees_what_those_before_it_changed() -> None:
    asked = steps(
        stale(),
        [
            version_2_rule("move", uri="merge-attrs:", merge_attributes=("StudyInstanceUID=1.2.9",)),
            version_2_rule("lead", uri="leading-arc:QRSCP", coercion_on_failure=OnFailure.CONTINUE),
        ],
        None,
        withheld=True,
    )
    assert [step.outcome for step in asked] == ["applied", "would ask QRSCP"]


# Before and after


def test_unchanged_attributes_are_not_shown() -> None:
    (element,) = differences(stale(), data_set(**{**_values(stale()), "PatientName": "Right^Name"}))
    assert (element.path, element.tag, element.keyword) == ("PatientName", 0x00100010, "PatientName")
    assert element.before is not None and element.after is not None
    assert (element.before.text, element.after.text) == ("Stale^Name", "Right^Name")
    assert element.after.json == {"vr": "PN", "Value": [{"Alphabetic": "Right^Name"}]}


def test_absent_and_empty_are_different_things() -> None:
    (element,) = differences(Dataset(), data_set(PatientID=""))
    assert element.before is None
    assert element.after is not None and element.after.text == "(empty)"


def test_nested_elements_are_shown_by_their_path() -> None:
    def request(number: str) -> Dataset:
        return data_set(RequestAttributesSequence=[data_set(AccessionNumber="A"), data_set(AccessionNumber=number)])

    (element,) = differences(request("B"), request("C"))
    assert element.path == "RequestAttributesSequence[2].AccessionNumber"


def test_a_sequence_that_grows_is_shown_with_its_number_of_items_and_the_new_elements() -> None:
    one = data_set(RequestAttributesSequence=[data_set(AccessionNumber="A")])
    sequence, element = differences(Dataset(), one)
    assert (sequence.path, sequence.before) == ("RequestAttributesSequence", None)
    assert sequence.after is not None and sequence.after.json == {"vr": "SQ", "items": 1}
    assert (element.path, element.before) == ("RequestAttributesSequence[1].AccessionNumber", None)
    (only,) = differences(Dataset(), data_set(RequestAttributesSequence=[]))
    assert only.after is not None and only.after.text == "(0 items)"


@pytest.mark.parametrize("vr", ["UN", "OB", "OW"])
def test_binary_values_are_shown_by_their_length_only(vr: str) -> None:
    before, after = Dataset(), Dataset()
    before.add_new(0x00091001, vr, b"ABCD")
    after.add_new(0x00091001, vr, b"SECRET")
    (element,) = differences(before, after)
    assert (element.path, element.keyword) == ("00091001", "")
    assert element.before is not None and element.after is not None
    assert (element.before.text, element.after.text) == ("(4 bytes)", "(6 bytes)")
    assert element.after.json == {"vr": vr, "length": 6}


def test_values_cannot_steer_the_terminal() -> None:
    (element,) = differences(Dataset(), data_set(PatientComments="a\x1b[2Jb\r\nc"))
    assert element.after is not None
    assert element.after.text == "a\\x1b[2Jb\\r\\nc"


@pytest.mark.parametrize(
    ("keyword", "value", "shown"),
    [
        ("SeriesNumber", 7, [7]),
        ("ImageType", ["ORIGINAL", "PRIMARY"], ["ORIGINAL", "PRIMARY"]),
        ("FrameIncrementPointer", 0x00181063, ["00181063"]),
        ("RecommendedDisplayFrameRateInFloat", float("nan"), ["nan"]),
    ],
)
def test_values_are_in_json_as_the_dicom_json_model_has_them(keyword: str, value: object, shown: list[object]) -> None:
    (element,) = differences(Dataset(), data_set(**{keyword: value}))
    assert element.after is not None
    assert element.after.json["Value"] == shown
    json.dumps(dict(element.after.json), allow_nan=False)


@pytest.mark.parametrize("name", ["CT_small.dcm", "test-SR.dcm", "rtplan.dcm", "chrH31.dcm", "chrKoreanMulti.dcm"])
def test_every_element_of_a_real_object_can_be_shown(name: str) -> None:
    ds = read_sample(name)
    told = explanation(Dataset(), ds)
    assert {element.tag for element in told.elements} >= {int(tag) for tag in ds.keys()}
    json.dumps(to_json(told), allow_nan=False)
    assert all(line.isprintable() for line in to_text(told).splitlines())
    assert explained_elements(ds, deepcopy(ds)) == ()


_VALUES = st.dictionaries(
    st.sampled_from(["PatientName", "PatientID", "StudyDescription", "PatientComments", "AccessionNumber"]),
    st.text("ab^ ", max_size=3),
)


@given(_VALUES, _VALUES)
def test_exactly_what_differs_is_shown(before: dict[str, str], after: dict[str, str]) -> None:
    old, new = data_set(**before), data_set(**after)
    shown = {element.keyword for element in differences(old, new)}
    assert shown == {keyword for keyword in {**before, **after} if old.get(keyword) != new.get(keyword)} | (
        set(before) ^ set(after)
    )


def _values(ds: Dataset) -> dict[str, Any]:
    return {element.keyword: element.value for element in ds}


# The whole


def test_json_has_all_of_it() -> None:
    ds = stale()
    rules = (
        legacy_rule("lead", leading_cfind_scp=LEADING, rule_priority=5, properties=(TO_STORESCP,)),
        version_2_rule("hiding", uri="nullify-pixel-data:"),
    )
    told = explanation(
        ds,
        data_set(**{**_values(ds), "PatientName": "Right^Name"}),
        rules=explained_rules(selected(ds, *rules)),
        steps=steps(stale(), rules, right()),
        notes=("a note",),
    )
    as_json = json.loads(json.dumps(to_json(told)))
    assert as_json["aeTitle"] == "DCM4CHEE"
    assert as_json["message"]["receiving"] == {"aeTitle": "STORESCP", "host": "viewer.example"}
    assert as_json["rules"][0] == {
        "cn": "lead",
        "dn": "cn=lead",
        "objectClass": "dcmArchiveAttributeCoercion",
        "priority": 5,
        "conditions": [TO_STORESCP],
        "matched": True,
        "decidedBy": None,
        "ignoredUpstreamBecauseOf": "hiding",
    }
    assert [step["outcome"] for step in as_json["steps"]] == ["applied", "applied"]
    (element,) = as_json["elements"]
    assert (element["path"], element["tag"]) == ("PatientName", "00100010")
    assert element["before"] == {"vr": "PN", "Value": [{"Alphabetic": "Stale^Name"}]}
    assert (as_json["failure"], as_json["notes"]) == (None, ["a note"])


def test_text_tells_the_verdicts_the_steps_and_the_table() -> None:
    ds = stale()
    rules = (
        legacy_rule("lead", leading_cfind_scp=LEADING, properties=(TO_STORESCP,)),
        version_2_rule("hiding", uri="nullify-pixel-data:", properties=("Modality!=SR",)),
    )
    told = explanation(
        ds,
        data_set(**{**_values(ds), "PatientName": "Right^Name"}),
        rules=explained_rules(selected(ds, *rules)),
        steps=steps(stale(), rules, right()),
    )
    text = to_text(told)
    assert "CT Image Storage" in text
    assert f"dcmProperty={TO_STORESCP}; dcm4chee-arc 5.35 ignores it, because version-2 rule hiding matches" in text
    assert "asked QRSCP; 1 change" in text
    assert [line.split() for line in text.splitlines() if "PatientName" in line] == [
        ["(0010,0010)", "PatientName", "Stale^Name", "->", "Right^Name"]
    ]


def test_failure_is_told_as_failed() -> None:
    failed = ExplainedStep(rule="r", step="leading-arc", outcome="failed")
    assert explanation(Dataset(), Dataset(), steps=(failed,)).has_failed
    refused = explanation(Dataset(), Dataset(), failure="coercion rule r: no")
    assert refused.has_failed
    assert "FAILED: coercion rule r: no" in to_text(refused)
    assert not explanation(Dataset(), Dataset()).has_failed


def test_no_rules_and_no_changes_are_told_too() -> None:
    text = to_text(explanation(stale(), stale()))
    lines = [line.strip() for line in text.splitlines()]
    assert lines[lines.index("RULES") :] == ["RULES", "none", "", "STEPS", "none", "", "ELEMENTS", "unchanged"]
