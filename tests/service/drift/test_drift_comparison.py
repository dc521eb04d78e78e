"""What counts as stale: what a rule for the leading archive would change, of what the index keeps."""

from __future__ import annotations

import pytest
from pydicom import Dataset
from pydicom.datadict import tag_for_keyword

from dcm4py_leading.coercion.question import LeadingAnswer
from dcm4py_leading.errors import LeadingMismatch, LeadingQueryFailed, LeadingUnavailable, LeadingUnreadable
from dcm4py_leading.model.coercion import UpdatePolicy
from dcm4py_leading.service.drift.comparison import Measure, Outcome, compare

KEYWORDS = ("PatientName", "PatientID", "IssuerOfPatientID", "PatientSex", "StudyDescription", "ModalitiesInStudy")
TAGS = frozenset(tag for keyword in KEYWORDS if (tag := tag_for_keyword(keyword)) is not None)
KEPT = frozenset(TAGS - {tag_for_keyword("ModalitiesInStudy")})


def study(**values: str | None) -> Dataset:
    ds = Dataset()
    ds.StudyInstanceUID = "1.2"
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def measure(policy: UpdatePolicy) -> Measure:
    return Measure.of(TAGS, KEPT, policy)


ARCHIVED = study(PatientName="Old^Name", PatientID="1", PatientSex="F")


@pytest.mark.parametrize(
    ("policy", "answer", "attributes"),
    [
        (UpdatePolicy.MERGE, study(PatientName="Old^Name", PatientID="1", PatientSex="F"), ()),
        (UpdatePolicy.MERGE, study(PatientName="New^Name", PatientID="1"), ("PatientName",)),
        (UpdatePolicy.MERGE, study(PatientName="New^Name", PatientID="1", PatientSex=""), ("PatientName",)),
        (UpdatePolicy.OVERWRITE, study(PatientName="Old^Name", PatientID="1", PatientSex=""), ("PatientSex",)),
        (UpdatePolicy.OVERWRITE, study(StudyDescription="", PatientID="1"), ()),
        (UpdatePolicy.SUPPLEMENT, study(PatientName="New^Name", PatientID="1", StudyDescription="CT"), None),
        (UpdatePolicy.MERGE, study(PatientID="2", IssuerOfPatientID="B"), ("PatientID", "IssuerOfPatientID")),
        (UpdatePolicy.MERGE, study(PatientID="1", ModalitiesInStudy="CT"), ()),
    ],
)
def test_attributes_that_differ_are_those_that_the_rule_would_change(
    policy: UpdatePolicy, answer: Dataset, attributes: tuple[str, ...] | None
) -> None:
    compared = compare(ARCHIVED, answer, measure(policy))
    assert compared.attributes == (("StudyDescription",) if attributes is None else attributes)
    assert compared.outcome is (Outcome.CURRENT if attributes == () else Outcome.STALE)


def test_values_of_both_are_told() -> None:
    (one,) = compare(ARCHIVED, study(PatientName="New^Name", PatientID="1"), measure(UpdatePolicy.MERGE)).differences
    assert one.before is not None and one.after is not None
    assert (one.path, one.before.text, one.after.text) == ("PatientName", "Old^Name", "New^Name")


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (None, Outcome.UNKNOWN),
        (LeadingUnreadable("QRSCP"), Outcome.UNUSABLE),
        (LeadingMismatch("QRSCP"), Outcome.UNUSABLE),
        (LeadingQueryFailed("QRSCP"), Outcome.UNASKED),
        (LeadingUnavailable("QRSCP"), Outcome.UNASKED),
    ],
)
def test_study_without_a_usable_answer_is_neither_current_nor_stale(answer: LeadingAnswer, outcome: Outcome) -> None:
    compared = compare(ARCHIVED, answer, measure(UpdatePolicy.MERGE))
    assert (compared.outcome, compared.attributes) == (outcome, ())


def test_study_is_not_changed_by_being_compared() -> None:
    archived = study(PatientName="Old^Name", PatientID="1")
    compare(archived, study(PatientName="Müller", PatientID="2"), measure(UpdatePolicy.OVERWRITE))
    assert archived == study(PatientName="Old^Name", PatientID="1")
