from dataclasses import replace
from datetime import datetime

import pytest
from pydicom import Dataset

from dcm4py_leading.coercion.changes import apply
from dcm4py_leading.coercion.formats.attributes_format import compile_format
from dcm4py_leading.coercion.steps.issuer import (
    SupplementIssuerStep,
    compile_nullify_issuer,
    issuer_of_patient_id,
)
from dcm4py_leading.errors import CoercionFailed
from dcm4py_leading.model.codes import Issuer
from tests.fixtures.rules import RETRIEVE, data_set

CONTEXT = replace(RETRIEVE, now=lambda: datetime(2024, 5, 6, 7, 8, 9))


def qualifiers(universal="1.2.3", kind="ISO"):
    return [data_set(UniversalEntityID=universal, UniversalEntityIDType=kind)]


def patient(**values):
    return data_set(PatientID="4711", **values)


def after(step, ds):
    changes = step.changes(ds, CONTEXT)
    if changes is not None:
        apply(ds, changes)
    return ds


@pytest.mark.ldap("dcmNullifyIssuerOfPatientID")
def test_any_issuer_is_emptied_with_its_qualifiers():
    ds = patient(IssuerOfPatientID="A", IssuerOfPatientIDQualifiersSequence=qualifiers())
    after(compile_nullify_issuer("ALWAYS", ()), ds)
    assert "IssuerOfPatientID" in ds
    assert not ds.IssuerOfPatientID
    assert list(ds.IssuerOfPatientIDQualifiersSequence) == []
    assert ds.PatientID == "4711"


@pytest.mark.ldap("dcmNullifyIssuerOfPatientID")
@pytest.mark.ldap("dcmIssuerOfPatientID")
@pytest.mark.parametrize(
    ("when", "listed", "applies"),
    [
        ("ALWAYS", [], True),
        ("MATCHING", ["A"], True),
        ("MATCHING", ["B", "A&1.2&ISO"], True),
        ("MATCHING", ["B"], False),
        ("MATCHING", ["&1.2&ISO"], False),
        ("MATCHING", [], False),
        ("NOT_MATCHING", ["A"], False),
        ("NOT_MATCHING", ["B"], True),
        ("NOT_MATCHING", [], True),
    ],
)
def test_which_issuers_are_taken_away(when, listed, applies):
    step = compile_nullify_issuer(when, listed)
    assert (step.changes(patient(IssuerOfPatientID="A"), CONTEXT) is not None) is applies


@pytest.mark.parametrize("when", ["ALWAYS", "MATCHING", "NOT_MATCHING"])
@pytest.mark.parametrize(
    "values",
    [
        {},
        {"IssuerOfPatientID": ""},
        {"IssuerOfPatientIDQualifiersSequence": [Dataset()]},
        {"IssuerOfPatientIDQualifiersSequence": qualifiers(kind="")},
    ],
)
def test_without_an_issuer_nothing_applies(when, values):
    assert compile_nullify_issuer(when, ["A"]).changes(patient(**values), CONTEXT) is None


def test_nullifying_leaves_the_data_set_to_whoever_applies_the_changes():
    ds = patient(IssuerOfPatientID="A")
    compile_nullify_issuer("ALWAYS", ()).changes(ds, CONTEXT)
    assert ds.IssuerOfPatientID == "A"


@pytest.mark.parametrize(
    ("when", "listed", "reason"),
    [("SOMETIMES", [], "ALWAYS, MATCHING, NOT_MATCHING"), ("MATCHING", ["A&1.2"], "belong together")],
)
def test_wrong_configuration_is_refused(when, listed, reason):
    with pytest.raises(ValueError, match=reason):
        compile_nullify_issuer(when, listed)


@pytest.mark.ldap("dcmIssuerOfPatientIDFormat")
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, "4711-2024"),
        ({"IssuerOfPatientID": ""}, "4711-2024"),
        ({"IssuerOfPatientID": "A"}, "A-4711-2024"),
    ],
)
def test_issuer_made_by_a_format_stands_behind_the_one_that_is_there(values, expected):
    step = SupplementIssuerStep(format=compile_format("{PatientID}-{now,date,yyyy}"))
    assert after(step, patient(**values)).IssuerOfPatientID == expected


def test_a_format_that_gives_nothing_does_not_apply():
    step = SupplementIssuerStep(format=compile_format("{InstitutionName}"))
    assert step.changes(patient(IssuerOfPatientID="A"), CONTEXT) is None


def test_an_issuer_in_another_script_changes_the_character_set():
    step = SupplementIssuerStep(format=compile_format("Αθήνα"))
    ds = after(step, patient(SpecificCharacterSet="ISO_IR 100"))
    assert (ds.IssuerOfPatientID, ds.SpecificCharacterSet) == ("Αθήνα", "ISO_IR 192")


@pytest.mark.parametrize("name", ["x" * 65, "a\\b"])
def test_invalid_issuer_fails_without_being_quoted(name):
    step = SupplementIssuerStep(format=compile_format("{InstitutionalDepartmentName}"))
    ds = patient()
    ds.add_new(0x00081040, "UT", name)
    with pytest.raises(CoercionFailed, match="dcmIssuerOfPatientIDFormat") as caught:
        step.changes(ds, CONTEXT)
    assert name not in str(caught.value)


def test_steps_say_what_they_touch():
    step = SupplementIssuerStep(format=compile_format("{InstitutionName}"))
    assert step.reads == frozenset({0x00080080, 0x00100021})
    assert step.writes == frozenset({0x00080005, 0x00100021})
    assert compile_nullify_issuer("ALWAYS", ()).writes == frozenset({0x00100021, 0x00100024})


def test_issuer_of_a_data_set_has_both_forms():
    ds = patient(IssuerOfPatientID="A", IssuerOfPatientIDQualifiersSequence=qualifiers())
    expected = Issuer(local_namespace_entity_id="A", universal_entity_id="1.2.3", universal_entity_id_type="ISO")
    assert issuer_of_patient_id(ds) == expected
