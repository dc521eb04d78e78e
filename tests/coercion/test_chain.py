from __future__ import annotations

import copy
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file

from dcm4py_leading.coercion.chain import (
    Answer,
    CoercionResult,
    LeadingAnswer,
    LeadingQuestion,
    Question,
    StepOutcome,
    coercion,
    questions,
    run,
)
from dcm4py_leading.coercion.changes import apply
from dcm4py_leading.errors import LeadingUnavailable
from dcm4py_leading.model.coercion import UpdatePolicy
from dcm4py_leading.model.values import UID, AETitle, Tag
from tests.fixtures.rules import LEADING, data_set, legacy_rule, selected, version_2_rule

STUDY = UID("1.2.3")


def coerced(ds: Dataset, answer: LeadingAnswer, **rule: Any) -> CoercionResult:
    chosen = selected(legacy_rule(leading_cfind_scp=LEADING, **rule))
    return run(coercion(ds, chosen), lambda question: answer)


@pytest.mark.ldap("dcmLeadingCFindSCP")
def test_object_carries_what_the_leading_archive_says() -> None:
    path = get_testdata_file("CT_small.dcm", download=False)
    assert path is not None
    ds = dcmread(path)
    pixels = ds.PixelData
    asked: list[Question] = []

    def answer(question: Question) -> Answer:
        asked.append(question)
        return data_set(StudyInstanceUID=ds.StudyInstanceUID, PatientName="Leading^Name", StudyDescription="Leading")

    outcome = run(coercion(ds, selected(legacy_rule(leading_cfind_scp=LEADING))), answer)
    assert asked == [LeadingQuestion(LEADING, UID(ds.StudyInstanceUID))]
    assert outcome.dataset is ds
    assert (ds.PatientName, ds.StudyDescription, ds.PixelData) == ("Leading^Name", "Leading", pixels)
    assert [change.tag for change in outcome.changes] == [0x00081030, 0x00100010]
    assert outcome.remarks == ()


@pytest.mark.ldap("dcmAttributeUpdatePolicy")
def test_policy_is_that_of_the_rule() -> None:
    ds = data_set(StudyInstanceUID=STUDY, PatientName="Ours")
    theirs = data_set(PatientName="Theirs", PatientSex="F")
    coerced(ds, theirs, attribute_update_policy=UpdatePolicy.SUPPLEMENT)
    assert (ds.PatientName, ds.PatientSex) == ("Ours", "F")


def test_merge_is_the_policy_of_a_rule_that_names_none() -> None:
    ds = data_set(StudyInstanceUID=STUDY, PatientName="Ours", PatientSex="M")
    coerced(ds, data_set(PatientName="Theirs", PatientSex=""))
    assert (ds.PatientName, ds.PatientSex) == ("Theirs", "M")


def test_attributes_of_the_query_are_never_merged() -> None:
    ds = data_set(StudyInstanceUID=STUDY)
    theirs = data_set(
        QueryRetrieveLevel="STUDY", RetrieveAETitle="QRSCP", InstanceAvailability="ONLINE", StudyInstanceUID="9.9"
    )
    assert coerced(ds, theirs).changes == ()


def test_other_patient_id_moves_with_its_issuer() -> None:
    ds = data_set(StudyInstanceUID=STUDY, PatientID="1", IssuerOfPatientID="OURS")
    coerced(ds, data_set(PatientID="2"))
    assert ds == data_set(StudyInstanceUID=STUDY, PatientID="2")


def test_unavailable_archive_keeps_our_values_and_is_reported() -> None:
    ds = data_set(StudyInstanceUID=STUDY, PatientName="Ours")
    outcome = coerced(ds, LeadingUnavailable("QRSCP refused the connection"), merge_attributes=("PatientComments=x",))
    assert (ds.PatientName, ds.PatientComments) == ("Ours", "x")
    assert outcome.remarks == ("no answer: QRSCP refused the connection",)
    assert [(done.step.name, done.outcome) for done in outcome.executed] == [
        ("leading-arc", StepOutcome.FAILED),
        ("merge-attrs", StepOutcome.APPLIED),
    ]


def test_unknown_study_leaves_our_values_and_is_told() -> None:
    ds = data_set(StudyInstanceUID=STUDY, PatientName="Ours")
    outcome = coerced(ds, None)
    assert [(done.outcome, done.remark) for done in outcome.executed] == [(StepOutcome.NOT_APPLIED, "unknown there")]
    assert ds.PatientName == "Ours"


@pytest.mark.parametrize("uid", [None, "", "no uid"])
def test_without_study_instance_uid_nothing_is_asked(uid: str | None) -> None:
    ds = Dataset()
    if uid is not None:
        ds.add_new("StudyInstanceUID", "LO", uid)
    chain = coercion(ds, selected(legacy_rule(leading_cfind_scp=LEADING)))
    with pytest.raises(StopIteration) as end:
        next(chain)
    assert end.value.value.remarks == ("leading-arc: nothing to ask about",)


@pytest.mark.ldap("dcmNullifyTag")
def test_nullify_comes_after_the_leading_archive_and_before_merge() -> None:
    ds = data_set(StudyInstanceUID=STUDY, PatientID="1", PatientName="Ours")
    coerced(
        ds,
        data_set(PatientName="Theirs"),
        nullify_tags=(Tag(0x00100010), Tag(0x00100040)),
        merge_attributes=("PatientComments={PatientName}", "PatientName=Merged"),
    )
    assert (ds.PatientName, ds.PatientComments) == ("Merged", "")
    assert "PatientSex" not in ds


def test_later_merge_attribute_sees_the_earlier() -> None:
    ds = data_set(PatientID="1")
    rule = legacy_rule(merge_attributes=("PatientID=2", "PatientComments={PatientID}"))
    run(coercion(ds, selected(rule)), lambda question: None)
    assert ds.PatientComments == "2"


def test_changes_make_the_same_of_an_untouched_copy() -> None:
    ds = data_set(StudyInstanceUID=STUDY, PatientID="1", PatientName="Ours", PatientSex="M")
    copied = copy.deepcopy(ds)
    outcome = coerced(
        ds,
        data_set(SpecificCharacterSet="ISO_IR 100", PatientName="Müller", PatientID="2"),
        nullify_tags=(Tag(0x00100040),),
        merge_attributes=("PatientComments={PatientID}", "RequestAttributesSequence.StudyID=x"),
    )
    apply(copied, outcome.changes)
    assert copied == ds


def test_answer_is_only_read() -> None:
    answer = data_set(SpecificCharacterSet="ISO_IR 100", PatientName="Müller", OtherPatientIDsSequence=[data_set()])
    before = copy.deepcopy(answer)
    coerced(data_set(StudyInstanceUID=STUDY), answer, nullify_tags=(Tag(0x00100010),))
    assert answer == before


def test_no_rule_changes_nothing() -> None:
    assert run(coercion(data_set(PatientID="1"), selected()), lambda question: None).changes == ()


def test_questions_are_known_before_there_is_an_object() -> None:
    assert questions(selected(legacy_rule(leading_cfind_scp=LEADING)), STUDY) == (LeadingQuestion(LEADING, STUDY),)
    assert questions(selected(legacy_rule()), STUDY) == ()


def test_questions_of_every_rule_are_asked_beforehand() -> None:
    other = AETitle("OTHER")
    chosen = selected(version_2_rule(uri="leading-arc:OTHER"), legacy_rule(leading_cfind_scp=LEADING))
    assert questions(chosen, STUDY) == (LeadingQuestion(LEADING, STUDY), LeadingQuestion(other, STUDY))


def test_a_step_sees_what_the_rules_before_it_changed() -> None:
    ds = data_set(StudyInstanceUID=STUDY, PatientName="Ours")
    copied = version_2_rule(uri="merge-attrs:", merge_attributes=("PatientComments={PatientName}",))
    chosen = selected(copied, legacy_rule(leading_cfind_scp=LEADING))
    run(coercion(ds, chosen), lambda question: data_set(PatientName="Theirs"))
    assert ds.PatientComments == "Theirs"


def test_first_values_before_an_edit_are_kept() -> None:
    ds = data_set(StudyInstanceUID=STUDY, PatientName="Ours", PatientSex="M")
    outcome = coerced(
        ds, data_set(PatientName="Theirs"), merge_attributes=("PatientName=Merged", "PatientComments=new")
    )
    assert (ds.PatientName, ds.PatientComments) == ("Merged", "new")
    before = {tag: None if element is None else element.value for tag, element in outcome.previous.items()}
    assert before == {0x00100010: "Ours", 0x00104000: None}


def test_previous_value_of_an_attribute_in_an_item_is_the_whole_sequence() -> None:
    ds = data_set(RequestAttributesSequence=[data_set(StudyID="old", StudyDate="20200101")])
    rule = legacy_rule(merge_attributes=("RequestAttributesSequence.StudyID=new",))
    outcome = run(coercion(ds, selected(rule)), lambda question: None)
    assert ds.RequestAttributesSequence[0].StudyID == "new"
    (sequence,) = outcome.previous.values()
    assert sequence is not None
    assert list(sequence.value) == [data_set(StudyID="old", StudyDate="20200101")]
