from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.dataelem import DataElement

from dcm4py_leading.coercion import conditions
from dcm4py_leading.coercion.conditions import compile_condition, compile_conditions
from dcm4py_leading.coercion.context import CoercionContext, Peer
from dcm4py_leading.errors import CoercionFailed
from dcm4py_leading.model.coercion import Dimse
from dcm4py_leading.model.values import TransferRole
from tests.fixtures.rules import data_set

pytestmark = pytest.mark.ldap("dcmProperty")


def context(*, receiving: Peer | None = None) -> CoercionContext:
    return CoercionContext(
        dimse=Dimse.C_STORE_RQ,
        transfer_role=TransferRole.SCP,
        sop_class="1.2.3",
        sending=Peer(host="archive.example", ae_title="DCM4CHEE"),
        receiving=receiving or Peer(host="viewer.example", ae_title="STORESCP"),
        now=lambda: datetime(2026, 11, 24, 6, 30),
    )


CODE = data_set(CodeValue="113000", CodingSchemeDesignator="DCM", CodeMeaning="Of Interest")
OBJECT = data_set(
    Modality="CT",
    ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
    PatientName="Doe^John",
    PatientID="38001085718",
    StudyDate="20261124",
    StationName="",
    Rows=512,
    SliceThickness="1.50",
    ConceptNameCodeSequence=[CODE],
    RequestAttributesSequence=[data_set(RequestedProcedureID="P1"), data_set(RequestedProcedureID="P2")],
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Modality=CT", True),
        ("Modality=C", False),
        ("Modality=ct", False),
        ("Modality=CT|MR", True),
        ("Modality!=CT", False),
        ("Modality!=MR", True),
        ("00080060=CT", True),
        ("BodyPartExamined=.*", False),
        ("BodyPartExamined!=CHEST", True),  # absent
        ("StationName=.*", False),  # without a value
        ("StationName!=.+", True),
        ("StationName=", True),
        ("BodyPartExamined=", True),
        ("Modality=", False),
        ("StationName!=", False),
        ("Modality!=", True),
        ("ImageType=PRIMARY", True),
        ("ImageType!=PRIMARY", False),
        ("ImageType!=SECONDARY", True),
        ("ImageType[2]=PRIMARY", True),
        ("ImageType[1]=PRIMARY", False),
        ("ImageType[1]!=PRIMARY", True),
        ("ImageType[4]=PRIMARY", False),  # dcm4chee: true
        ("Modality[2]=CT", False),  # dcm4chee: true
        ("Modality[2]!=CT", True),
        ("Modality[2]=", True),
        ("PatientName=Doe\\^.*", True),
        ("Rows=512", True),
        ("SliceThickness=1\\.50", True),
        ("RequestAttributesSequence.RequestedProcedureID=P2", True),
        ("RequestAttributesSequence.RequestedProcedureID=(P1|P3)", True),
        ("RequestAttributesSequence.RequestedProcedureID!=P2", False),
        ("RequestAttributesSequence.RequestedProcedureID!=P3", True),
        ("RequestAttributesSequence.AccessionNumber=", True),
        ("ScheduledStepAttributesSequence.AccessionNumber!=A", True),
        ("ScheduledStepAttributesSequence=", True),
        ("RequestAttributesSequence=", False),
        ("RequestAttributesSequence!=", True),
        ('ConceptNameCodeSequence=(113000, DCM, "Another Meaning")', True),
        ("ConceptNameCodeSequence=(1,X)|(113000,DCM)", True),
        ('ConceptNameCodeSequence=(113000, DCM [20200101], "Of Interest")', False),
        ('ConceptNameCodeSequence!=(113000, DCM, "Of Interest")', False),
        ('ProcedureCodeSequence!=(113000, DCM, "Of Interest")', True),
        ("PatientID=§PATIENT_ID_EST", True),
        ("PatientID!=§PATIENT_ID_EST", False),
        ("PatientName=§PATIENT_ID_EST", False),
        ("StudyDate=§CURRENT_DATE", True),
        ("Modality=§CURRENT_DATE", False),
        ("SendingApplicationEntityTitle=DCM4CHEE", True),
        ("SendingHostname=archive\\..*", True),
        ("ReceivingApplicationEntityTitle=STORESCP", True),
        ("ReceivingApplicationEntityTitle!=STORESCP", False),
        ("ReceivingHostname=.*\\.example", True),
    ],
)
def test_condition_holds(text: str, expected: bool) -> None:
    assert compile_condition(text).holds(context(), OBJECT) is expected


def test_unknown_peer_is_equal_to_nothing() -> None:
    unknown = context(receiving=Peer())
    assert not compile_condition("ReceivingApplicationEntityTitle=.*").holds(unknown, OBJECT)
    assert compile_condition("ReceivingApplicationEntityTitle!=X").holds(unknown, OBJECT)
    assert not compile_condition("ReceivingHostname=X").holds(unknown, OBJECT)


def test_check_digit_of_an_estonian_personal_code_counts() -> None:
    assert not compile_condition("PatientID=§PATIENT_ID_EST").holds(context(), data_set(PatientID="38001085719"))


def test_pointer_is_compared_in_hexadecimal() -> None:
    ds = Dataset()
    ds.add(DataElement(0x00280009, "AT", 0x00181063))
    assert compile_condition("FrameIncrementPointer=00181063").holds(context(), ds)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Modality", "KEY=VALUE"),
        ("=CT", "unknown attribute ''"),
        ("Modalty=CT", "unknown attribute 'Modalty'"),
        ("RequestAttributesSequence.Foo=1", "unknown attribute 'Foo'"),
        ("Modality.PatientID=1", "Modality is no sequence"),
        ("ImageType[0]=X", "counts from 1"),
        ("ImageType[-1]=X", "counts from 1"),
        ("ImageType[x]=X", "in brackets"),
        ("RequestAttributesSequence[1].AccessionNumber=X", "in brackets"),
        ("SendingApplicationEntityTitle=", "needs a value"),
        ("ReceivingHostname!=", "needs a value"),
        ("SendingHostname[1]=x", "means nothing"),
        ("Modality=(", "bad regular expression"),
        ("Modality=[a&&b]", "&&"),
        ("PatientID=§NO_SUCH", "unknown predicate"),
        ("RequestAttributesSequence=abc", "codes"),
        ("RequestAttributesSequence[1]=(1,X)", "does not go with a sequence"),
    ],
)
def test_wrong_condition_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as caught:
        compile_condition(text)
    assert reason in str(caught.value)


def test_conditions_are_looked_at_in_the_order_of_their_keys() -> None:
    assert [c.text for c in compile_conditions(("Modality=CT", "ImageType=X"))] == ["ImageType=X", "Modality=CT"]


@given(
    st.sampled_from(["Modality", "ImageType", "ImageType[2]", "BodyPartExamined"]), st.sampled_from(["CT", "", ".*"])
)
def test_exclamation_mark_turns_a_condition_round(key: str, value: str) -> None:
    plain, negated = compile_condition(f"{key}={value}"), compile_condition(f"{key}!={value}")
    assert plain.holds(context(), OBJECT) is not negated.holds(context(), OBJECT)


def test_condition_says_what_it_reads() -> None:
    assert compile_condition("RequestAttributesSequence.AccessionNumber=1").reads == {0x00400275}
    assert compile_condition("SendingHostname=x").reads == frozenset()


def test_a_regular_expression_that_takes_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conditions, "CONDITION_MATCH_SECONDS", 0.05)
    condition = compile_condition("PatientID=(a|aa)+b")
    ds = Dataset()
    ds.PatientID = "a" * 60
    with pytest.raises(CoercionFailed, match="takes more than"):
        condition.holds(context(), ds)


def test_the_time_is_that_of_all_values_of_a_condition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conditions, "CONDITION_MATCH_SECONDS", 0.0)
    ds = Dataset()
    ds.OtherPatientIDs = ["A", "B"]
    with pytest.raises(CoercionFailed, match="takes more than"):
        compile_condition("OtherPatientIDs=B").holds(context(), ds)


@pytest.mark.parametrize(
    "form",
    ["({}", "({}A,B", "(A,{}B", "(A,B[{}", "(A,B[C]{}", '(A,B,{}"', "(A,B)|{}("],
)
def test_a_list_of_codes_is_read_in_linear_time(form: str) -> None:
    # At 200,000 blanks what is quadratic takes minutes, and the test the limit of one.
    with pytest.raises(ValueError, match="codes such as"):
        compile_condition("ProcedureCodeSequence=" + form.format(" " * 200_000))


def test_blanks_around_the_parts_of_a_code_do_not_count() -> None:
    spaced = compile_condition('ProcedureCodeSequence=( A , B [ 1 ] , "C" )|(D,E )')
    assert spaced.codes == compile_condition("ProcedureCodeSequence=(A,B[1])|(D,E)").codes


@pytest.mark.parametrize("codes", ["( ,B)", "(A, )", "(A,B[ ])"])
def test_a_code_without_value_scheme_or_version_is_refused(codes: str) -> None:
    with pytest.raises(ValueError, match="codes such as"):
        compile_condition(f"ProcedureCodeSequence={codes}")
