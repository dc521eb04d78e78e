"""The step of a leading archive: which attributes it has the last word on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.datadict import tag_for_keyword

from dcm4py_leading.coercion.changes import apply
from dcm4py_leading.coercion.steps.step import LeadingStep
from dcm4py_leading.model.coercion import UpdatePolicy
from tests.fixtures.rules import LEADING, RETRIEVE

KEYWORDS = ("StudyDescription", "StudyDate", "PatientName", "PatientComments")
_TEXT = {"StudyDate": st.sampled_from(["", "20260101", "20260202"])}
VALUES = st.fixed_dictionaries(
    {}, optional={keyword: _TEXT.get(keyword, st.sampled_from(["", "A", "B"])) for keyword in KEYWORDS}
)


def data_set(values: dict[str, str]) -> Dataset:
    ds = Dataset()
    ds.StudyInstanceUID = "1.2.3"
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


@given(st.sampled_from(UpdatePolicy), VALUES, VALUES)
def test_deciding_values_become_those_of_the_answer_and_others_stay(
    policy: UpdatePolicy, here: dict[str, str], there: dict[str, str]
) -> None:
    step, answer, ds = LeadingStep(leading_cfind_scp=LEADING, policy=policy), data_set(there), data_set(here)
    decided = step.decides(answer)
    apply(ds, step.changes_from(ds, answer, RETRIEVE) or [])
    for keyword in KEYWORDS:
        tag = tag_for_keyword(keyword)
        delivered = str(ds.get(keyword) or "")
        if tag in decided:
            assert delivered == there[keyword]
        elif here.get(keyword):
            assert delivered == here[keyword]


def test_query_level_and_character_set_are_not_decided() -> None:
    answer = data_set({"StudyDescription": "A"})
    answer.QueryRetrieveLevel, answer.SpecificCharacterSet = "STUDY", "ISO_IR 192"
    step = LeadingStep(leading_cfind_scp=LEADING, policy=UpdatePolicy.OVERWRITE)
    assert step.decides(answer) == {0x00081030}
