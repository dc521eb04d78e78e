from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, Sequence
from pydicom.dataelem import DataElement

from dcm4py_leading.coercion.changes import ChangeKind, apply
from dcm4py_leading.coercion.update import is_empty, plan_update, plan_update_with_identifier_groups, update
from dcm4py_leading.model.coercion import UpdatePolicy
from tests.fixtures.rules import data_set

NAME, PATIENT_ID, COMMENTS, OTHER_IDS = 0x00100010, 0x00100020, 0x00104000, 0x00101002


_text = st.text(st.sampled_from("AbÄß山ж ^"), max_size=5).filter(lambda text: "\\" not in text)
_values: dict[str, tuple[str, st.SearchStrategy[object]]] = {
    "PatientName": ("PN", _text),
    "PatientID": ("LO", st.sampled_from(["", "1", "2"])),
    "IssuerOfPatientID": ("LO", st.sampled_from(["", "A", "B"])),
    "StudyDate": ("DA", st.sampled_from(["", "20200101", "20210101"])),
    "PatientSize": ("DS", st.sampled_from([None, "1.8", "1.80", "2"])),
    "ModalitiesInStudy": ("CS", st.sampled_from([None, "CT", ["CT", "MR"]])),
    "Rows": ("US", st.sampled_from([None, 1, 2])),
    "RequestAttributesSequence": (
        "SQ",
        st.lists(
            st.builds(lambda text: data_set(RequestedProcedureID=text), st.sampled_from(["", "a", "b"])), max_size=2
        ),
    ),
}


@st.composite
def data_sets(draw: st.DrawFn) -> Dataset:
    ds = Dataset()
    character_set = draw(st.sampled_from([None, "ISO_IR 100", "ISO_IR 144", "ISO_IR 192"]))
    if character_set is not None:
        ds.SpecificCharacterSet = character_set
    for keyword in draw(st.sets(st.sampled_from(sorted(_values)))):
        vr, value = _values[keyword]
        ds.add(DataElement(keyword, vr, copy.deepcopy(draw(value))))
    return ds


def present(ds: Dataset) -> dict[int, DataElement]:
    return {int(e.tag): e for e in ds if e.tag != 0x00080005}


policies = st.sampled_from(UpdatePolicy)


@given(data_sets(), data_sets())
def test_supplement_changes_no_value(ds: Dataset, new: Dataset) -> None:
    before = copy.deepcopy(ds)
    update(ds, new, UpdatePolicy.SUPPLEMENT)
    for tag, element in present(before).items():
        if not is_empty(element):
            assert ds[tag] == element
    for tag, element in present(new).items():
        assert is_empty(element) or not is_empty(ds[tag])


@given(data_sets(), data_sets())
def test_merge_empties_nothing_and_takes_every_value(ds: Dataset, new: Dataset) -> None:
    before = copy.deepcopy(ds)
    update(ds, new, UpdatePolicy.MERGE)
    for tag, element in present(before).items():
        assert is_empty(element) or not is_empty(ds[tag])
    for tag, element in present(new).items():
        assert is_empty(element) or ds[tag] == element


@given(data_sets(), data_sets())
def test_overwrite_makes_every_new_attribute_equal(ds: Dataset, new: Dataset) -> None:
    before = copy.deepcopy(ds)
    update(ds, new, UpdatePolicy.OVERWRITE)
    for tag, element in present(new).items():
        assert is_empty(ds[tag]) if is_empty(element) else ds[tag] == element
    for tag, element in present(before).items():
        if tag not in new:
            assert ds[tag] == element


@given(data_sets(), data_sets())
def test_preserve_adds_only_empty_attributes(ds: Dataset, new: Dataset) -> None:
    before = copy.deepcopy(ds)
    update(ds, new, UpdatePolicy.PRESERVE)
    for tag, element in present(ds).items():
        assert before[tag] == element if tag in before else is_empty(element)


@given(data_sets(), data_sets(), policies)
def test_a_second_update_changes_nothing(ds: Dataset, new: Dataset, policy: UpdatePolicy) -> None:
    update(ds, new, policy)
    assert update(ds, new, policy) == []


@given(data_sets(), data_sets(), policies)
def test_changes_are_exactly_the_difference(ds: Dataset, new: Dataset, policy: UpdatePolicy) -> None:
    before, untouched = copy.deepcopy(ds), copy.deepcopy(new)
    changes = update(ds, new, policy)
    assert new == untouched
    differing = {e.tag for e in ds if e.tag not in before or before[e.tag] != e}
    assert {change.tag for change in changes} == differing
    apply(before, changes)
    assert before == ds


@given(data_sets(), data_sets(), policies)
def test_grouped_update_keeps_identifier_and_issuer_together(ds: Dataset, new: Dataset, policy: UpdatePolicy) -> None:
    before = copy.deepcopy(ds)
    apply(ds, plan_update_with_identifier_groups(ds, new, policy))
    ours, theirs = str(before.get("PatientID") or ""), str(new.get("PatientID") or "")
    if ours == theirs:
        return
    issuer = str(ds.get("IssuerOfPatientID") or "")
    source = before if str(ds.get("PatientID") or "") == ours else new
    assert issuer == str(source.get("IssuerOfPatientID") or "")


ABSENT = object()


@pytest.mark.ldap("dcmAttributeUpdatePolicy")
@pytest.mark.parametrize(
    ("policy", "local", "new", "expected"),
    [
        (UpdatePolicy.SUPPLEMENT, "L", "", "L"),
        (UpdatePolicy.SUPPLEMENT, "L", "N", "L"),
        (UpdatePolicy.SUPPLEMENT, "", "N", "N"),
        (UpdatePolicy.SUPPLEMENT, ABSENT, "N", "N"),
        (UpdatePolicy.SUPPLEMENT, ABSENT, "", ABSENT),
        (UpdatePolicy.MERGE, "L", "", "L"),
        (UpdatePolicy.MERGE, "L", "N", "N"),
        (UpdatePolicy.MERGE, "", "N", "N"),
        (UpdatePolicy.MERGE, ABSENT, "N", "N"),
        (UpdatePolicy.MERGE, ABSENT, "", ABSENT),
        (UpdatePolicy.OVERWRITE, "L", "", ""),
        (UpdatePolicy.OVERWRITE, "L", "N", "N"),
        (UpdatePolicy.OVERWRITE, "", "N", "N"),
        (UpdatePolicy.OVERWRITE, ABSENT, "N", "N"),
        (UpdatePolicy.OVERWRITE, ABSENT, "", ""),
        (UpdatePolicy.PRESERVE, "L", "", "L"),
        (UpdatePolicy.PRESERVE, "L", "N", "L"),
        (UpdatePolicy.PRESERVE, "", "N", ""),
        (UpdatePolicy.PRESERVE, ABSENT, "N", ""),
        (UpdatePolicy.PRESERVE, ABSENT, "", ABSENT),
    ],
)
def test_policy_does_what_dcm4che_does(policy: UpdatePolicy, local: object, new: str, expected: object) -> None:
    ds = Dataset() if local is ABSENT else data_set(PatientComments=local)
    update(ds, data_set(PatientComments=new), policy)
    assert (ds.PatientComments if COMMENTS in ds else ABSENT) == expected


def test_empty_change_is_told_from_set() -> None:
    changes = update(
        data_set(PatientID="1", PatientName="A"), data_set(PatientID="", PatientName="B"), UpdatePolicy.OVERWRITE
    )
    assert [(change.tag, change.kind) for change in changes] == [(NAME, ChangeKind.SET), (PATIENT_ID, ChangeKind.EMPTY)]


def test_sequence_is_replaced_as_a_whole() -> None:
    ds = data_set(
        RequestAttributesSequence=[data_set(RequestedProcedureID="1"), data_set(ScheduledProcedureStepID="2")]
    )
    update(ds, data_set(RequestAttributesSequence=[data_set(RequestedProcedureID="9")]), UpdatePolicy.MERGE)
    assert ds.RequestAttributesSequence == Sequence([data_set(RequestedProcedureID="9")])


def test_sequence_without_items_is_no_value() -> None:
    ds = data_set(RequestAttributesSequence=[data_set(RequestedProcedureID="1")])
    assert update(ds, data_set(RequestAttributesSequence=[]), UpdatePolicy.MERGE) == []
    assert [c.kind for c in update(ds, data_set(RequestAttributesSequence=[]), UpdatePolicy.OVERWRITE)] == [
        ChangeKind.EMPTY
    ]
    assert len(ds.RequestAttributesSequence) == 0


def test_updated_data_set_shares_nothing_with_its_source() -> None:
    ds, new = Dataset(), data_set(RequestAttributesSequence=[data_set(RequestedProcedureID="1")])
    update(ds, new, UpdatePolicy.MERGE)
    ds.RequestAttributesSequence[0].RequestedProcedureID = "changed"
    assert new.RequestAttributesSequence[0].RequestedProcedureID == "1"


def test_only_named_attributes_are_updated() -> None:
    ds = Dataset()
    update(ds, data_set(PatientID="1", PatientName="A"), UpdatePolicy.MERGE, only={PATIENT_ID})
    assert list(ds.keys()) == [PATIENT_ID]


def test_group_length_is_never_taken_over() -> None:
    new = data_set(PatientID="1")
    new.add(DataElement(0x00100000, "UL", 8))
    assert [change.tag for change in plan_update(Dataset(), new, UpdatePolicy.OVERWRITE)] == [PATIENT_ID]


def test_plan_changes_nothing() -> None:
    ds = data_set(PatientID="1")
    assert plan_update(ds, data_set(PatientID="2"), UpdatePolicy.MERGE)
    assert ds == data_set(PatientID="1")


def grouped(ds: Dataset, new: Dataset, policy: UpdatePolicy) -> Dataset:
    apply(ds, plan_update_with_identifier_groups(ds, new, policy))
    return ds


def test_other_patient_id_removes_our_issuer() -> None:
    ours = data_set(PatientID="1", IssuerOfPatientID="OURS", OtherPatientIDsSequence=[data_set(PatientID="x")])
    assert grouped(ours, data_set(PatientID="2"), UpdatePolicy.MERGE) == data_set(PatientID="2")


def test_other_patient_id_brings_its_issuer() -> None:
    ours = data_set(PatientID="1", IssuerOfPatientID="OURS")
    theirs = data_set(PatientID="2", IssuerOfPatientID="THEIRS")
    assert grouped(ours, theirs, UpdatePolicy.MERGE) == theirs


def test_other_patient_id_brings_an_empty_issuer() -> None:
    ours = data_set(PatientID="1", IssuerOfPatientID="OURS")
    theirs = data_set(PatientID="2", IssuerOfPatientID="")
    assert grouped(ours, theirs, UpdatePolicy.MERGE) == theirs


def test_same_patient_id_lets_each_attribute_follow_the_policy() -> None:
    ours = data_set(PatientID="1", IssuerOfPatientID="OURS")
    assert grouped(ours, data_set(PatientID="1", IssuerOfPatientID=""), UpdatePolicy.MERGE).IssuerOfPatientID == "OURS"


def test_kept_id_gets_no_issuer_of_another_id() -> None:
    ours = data_set(PatientID="1")
    theirs = data_set(PatientID="2", IssuerOfPatientID="THEIRS", PatientName="N")
    assert grouped(ours, theirs, UpdatePolicy.SUPPLEMENT) == data_set(PatientID="1", PatientName="N")


def test_other_accession_number_moves_with_its_issuer() -> None:
    issuer = data_set(LocalNamespaceEntityID="OURS")
    ours = data_set(AccessionNumber="1", IssuerOfAccessionNumberSequence=[issuer])
    assert grouped(ours, data_set(AccessionNumber="2"), UpdatePolicy.MERGE) == data_set(AccessionNumber="2")
