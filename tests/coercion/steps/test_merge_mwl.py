from dataclasses import replace

import pytest
from pydicom import Dataset

from dcm4py_leading.coercion.changes import apply
from dcm4py_leading.coercion.question import WorklistQuestion
from dcm4py_leading.coercion.steps.merge_mwl import MatchBy, MergeMWLStep, compile_legacy_merge_mwl, compile_merge_mwl
from dcm4py_leading.errors import CoercionFailed, WorklistUnavailable
from dcm4py_leading.model.coercion import Dimse
from dcm4py_leading.model.values import AETitle, TransferRole
from tests.fixtures.rules import RETRIEVE, data_set, legacy_rule

STORE = replace(RETRIEVE, dimse=Dimse.C_STORE_RQ, transfer_role=TransferRole.SCU)
WORKLIST = AETitle("WORKLIST")
PID, ISSUER, ACCESSION, STUDY, STEP_ID = 0x00100020, 0x00100021, 0x00080050, 0x0020000D, 0x00400009


def to_request(item, context):
    """A style sheet such as dcm4chee's own, in short."""
    assert context is STORE
    steps = item.get("ScheduledProcedureStepSequence") or [Dataset()]
    request = data_set(
        RequestedProcedureID=item.get("RequestedProcedureID"),
        ScheduledProcedureStepID=steps[0].get("ScheduledProcedureStepID"),
    )
    return data_set(
        AccessionNumber=item.get("AccessionNumber"),
        ReferringPhysicianName=item.get("ReferringPhysicianName"),
        RequestAttributesSequence=[request],
    )


def step(match_by=MatchBy.ACCESSION_NUMBER, **fields):
    return MergeMWLStep(worklist_scp=WORKLIST, match_by=match_by, transform=to_request, **fields)


def worklist_item(step_id="S1", date="20240101", time="1200", **values):
    scheduled = data_set(
        ScheduledProcedureStepID=step_id, ScheduledProcedureStepStartDate=date, ScheduledProcedureStepStartTime=time
    )
    return data_set(
        **{"RequestedProcedureID": f"R-{step_id}", "AccessionNumber": "A1", **values},
        ScheduledProcedureStepSequence=[scheduled],
    )


OBJECT = {"PatientID": "P1", "AccessionNumber": "A1", "StudyInstanceUID": "1.2.3"}


@pytest.mark.ldap("dcmMergeMWLMatchingKey")
@pytest.mark.ldap("dcmCoercionParam")
@pytest.mark.parametrize(
    ("match_by", "values", "keys"),
    [
        ("PatientID", OBJECT, ((PID, "P1"), (ACCESSION, "A1"))),
        ("PatientID", {"PatientID": "P1", "StudyInstanceUID": "1.2.3"}, ((PID, "P1"),)),
        ("PatientIDOnly", {**OBJECT, "IssuerOfPatientID": "I"}, ((PID, "P1"), (ISSUER, "I"))),
        ("PatientIDAccessionNumber", OBJECT, ((PID, "P1"), (ACCESSION, "A1"))),
        ("PatientIDAccessionNumber", {"PatientID": "P1", "StudyInstanceUID": "1.2.3"}, ((PID, "P1"), (STUDY, "1.2.3"))),
        ("AccessionNumber", OBJECT, ((ACCESSION, "A1"),)),
        ("AccessionNumber", {"AccessionNumber": "", "StudyInstanceUID": "1.2.3"}, ((STUDY, "1.2.3"),)),
        ("StudyInstanceUID", OBJECT, ((STUDY, "1.2.3"),)),
        ("ScheduledProcedureStepID", OBJECT, ((STUDY, "1.2.3"),)),
        (
            "ScheduledProcedureStepID",
            {**OBJECT, "RequestAttributesSequence": [data_set(ScheduledProcedureStepID="S1")]},
            ((STUDY, "1.2.3"), (STEP_ID, "S1")),
        ),
    ],
)
def test_keys_that_the_worklist_is_asked_for(match_by, values, keys):
    question = step(MatchBy(match_by)).question(data_set(**values), STORE)
    assert question == WorklistQuestion(WORKLIST, keys)


@pytest.mark.parametrize("match_by", list(MatchBy))
def test_without_a_key_nothing_is_asked(match_by):
    assert step(match_by).question(data_set(IssuerOfPatientID="I"), STORE) is None


@pytest.mark.parametrize("number", ["*", "A?"])
def test_a_wildcard_in_a_value_is_not_asked_for(number):
    assert step().question(data_set(AccessionNumber=number), STORE) is None


def test_objects_of_one_order_ask_the_same_question():
    one, other = (step().question(data_set(**OBJECT, SOPInstanceUID=uid), STORE) for uid in ("1.1", "1.2"))
    assert hash(one) == hash(other)
    assert one == other


def merged(ds, *items, **fields):
    apply(ds, step(**fields).changes_from(ds, items, STORE))
    return ds


@pytest.mark.ldap("dcmMergeMWLTemplateURI")
def test_request_attributes_of_the_item_overwrite_those_of_the_object():
    ds = data_set(**OBJECT, ReferringPhysicianName="Old", RequestAttributesSequence=[data_set(StudyID="x")])
    merged(ds, worklist_item(ReferringPhysicianName="New"))
    assert ds.ReferringPhysicianName == "New"
    (request,) = ds.RequestAttributesSequence
    assert (request.RequestedProcedureID, request.ScheduledProcedureStepID) == ("R-S1", "S1")


def test_the_latest_item_leads_and_the_others_add_their_requests():
    items = (
        worklist_item("S1", "20240101", ReferringPhysicianName="First"),
        worklist_item("S0", "", ReferringPhysicianName="Undated"),
        worklist_item("S3", "20240102", "0900", ReferringPhysicianName="Third"),
        worklist_item("S2", "20240102", "0800", ReferringPhysicianName="Second"),
    )
    ds = merged(data_set(**OBJECT), *items)
    assert ds.ReferringPhysicianName == "Third"
    assert [request.ScheduledProcedureStepID for request in ds.RequestAttributesSequence] == ["S3", "S2", "S1", "S0"]


def test_neither_object_nor_answer_is_changed_by_the_step():
    ds, items = data_set(**OBJECT), (worklist_item("S1"), worklist_item("S2"))
    before = [str(item) for item in (ds, *items)]
    step().changes_from(ds, items, STORE)
    assert [str(item) for item in (ds, *items)] == before


def test_an_empty_result_overwrites_too():
    ds = merged(data_set(**OBJECT, ReferringPhysicianName="Old"), worklist_item(ReferringPhysicianName=""))
    assert not ds.ReferringPhysicianName


@pytest.mark.parametrize("answer", [(), None, WorklistUnavailable("down")])
def test_without_items_it_does_not_apply(answer):
    assert step().changes_from(data_set(**OBJECT), answer, STORE) is None


def test_items_of_another_order_are_never_merged():
    ds = data_set(**OBJECT)
    assert step().changes_from(ds, (worklist_item(AccessionNumber="OTHER"),), STORE) is None


@pytest.mark.ldap("dcmMWLImportFilterBySCU")
@pytest.mark.parametrize(("filter_by_scu", "applies"), [(False, True), (True, False)])
def test_items_that_do_not_say_their_key(filter_by_scu, applies):
    changes = step(filter_by_scu=filter_by_scu).changes_from(
        data_set(**OBJECT), (worklist_item(AccessionNumber=""),), STORE
    )
    assert (changes is not None) is applies


def test_a_step_is_looked_for_among_all_of_an_item():
    ds = data_set(**OBJECT, RequestAttributesSequence=[data_set(ScheduledProcedureStepID="S2")])
    item = worklist_item("S1", StudyInstanceUID="1.2.3")
    by_step = step(MatchBy.SCHEDULED_PROCEDURE_STEP_ID, filter_by_scu=True)
    assert by_step.changes_from(ds, (item,), STORE) is None
    item.ScheduledProcedureStepSequence.append(data_set(ScheduledProcedureStepID="S2"))
    assert by_step.changes_from(ds, (item,), STORE)


def test_an_id_of_another_issuer_is_another_patient():
    qualifier = data_set(UniversalEntityID="9.9", UniversalEntityIDType="ISO")
    ours = data_set(UniversalEntityID="1.2", UniversalEntityIDType="ISO")
    ds = data_set(**OBJECT, IssuerOfPatientIDQualifiersSequence=[ours])
    other = worklist_item(PatientID="P1", IssuerOfPatientIDQualifiersSequence=[qualifier])
    assert step(MatchBy.PATIENT_ID_ONLY).changes_from(ds, (other,), STORE) is None


def test_items_of_two_patients_fail_without_naming_them():
    items = (worklist_item("S1", PatientID="P1"), worklist_item("S2", PatientID="P2"))
    with pytest.raises(CoercionFailed, match="WORKLIST has matching items of more than one patient") as caught:
        step().changes_from(data_set(**OBJECT), items, STORE)
    assert "P2" not in str(caught.value)


def test_another_patient_id_takes_its_issuer_along():
    def transform(item, context):
        return data_set(PatientID="RIGHT")

    ds = data_set(**OBJECT, IssuerOfPatientID="I")
    apply(ds, replace(step(), transform=transform).changes_from(ds, (worklist_item(),), STORE))
    assert ds.PatientID == "RIGHT"
    assert "IssuerOfPatientID" not in ds


@pytest.mark.ldap("dcmCoercionParam")
def test_parameters_of_a_version_2_rule():
    compiled = compile_merge_mwl(
        {"mwl-scp": "WORKLIST", "match-by": "AccessionNumber", "filter-by-scu": "TRUE", "local-mwl-status": "READY"},
        to_request,
    )
    assert compiled == step(filter_by_scu=True)


def test_version_2_matches_by_the_scheduled_step_by_default():
    assert compile_merge_mwl({"mwl-scp": "WORKLIST"}, to_request) == step(MatchBy.SCHEDULED_PROCEDURE_STEP_ID)


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({}, "no worklist in this archive.*mwl-scp"),
        ({"local-mwl-worklist-label": "X"}, "no worklist in this archive"),
        ({"mwl-scp": "WORKLIST", "match-by": "StudyID"}, "unknown key 'StudyID'"),
        ({"mwl-scp": "WORKLIST", "matchby": "PatientID"}, "unknown parameter matchby"),
        ({"mwl-scp": "WORKLIST", "mwl-entity-to-merge": "mpps"}, "performed procedure steps"),
        ({"mwl-scp": "WORKLIST", "mwl-entity-to-merge": "series"}, "expected study or mpps"),
        ({"mwl-scp": "A TITLE THAT IS TOO LONG"}, "AE title"),
    ],
)
def test_wrong_parameters_are_refused(params, reason):
    with pytest.raises(ValueError, match=reason):
        compile_merge_mwl(params, to_request)


@pytest.mark.ldap("dcmMergeMWLSCP")
@pytest.mark.ldap("dcmMergeLocalMWLWorklistLabel")
@pytest.mark.ldap("dcmMergeLocalMWLWithStatus")
def test_attributes_of_a_legacy_rule():
    rule = legacy_rule(
        merge_mwl_matching_key="AccessionNumber",
        merge_mwl_scp=WORKLIST,
        mwl_import_filter_by_scu=True,
        merge_local_mwl_worklist_labels=("X",),
        merge_local_mwl_with_statuses=("READY",),
    )
    assert compile_legacy_merge_mwl(rule, to_request) == step(filter_by_scu=True)


@pytest.mark.ldap("dcmMergeMWLSCP")
@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"merge_mwl_matching_key": "AccessionNumber"}, "no worklist in this archive.*dcmMergeMWLSCP"),
        ({"merge_mwl_matching_key": "StudyID", "merge_mwl_scp": WORKLIST}, "unknown key 'StudyID'"),
        ({"merge_mwl_scp": WORKLIST}, "dcmMergeMWLMatchingKey is required"),
    ],
)
def test_wrong_legacy_rules_are_refused(fields, reason):
    with pytest.raises(ValueError, match=reason):
        compile_legacy_merge_mwl(legacy_rule(**fields), to_request)
