from __future__ import annotations

from datetime import datetime

import pytest
from pydicom import Dataset

from dcm4py_leading.coercion.changes import ChangeKind, apply
from dcm4py_leading.coercion.context import Context, Peer
from dcm4py_leading.coercion.merge_attribute import UnsupportedFormat, compile_merge_attribute
from dcm4py_leading.errors import SubOperationFailed
from dcm4py_leading.model.coercion import Dimse
from dcm4py_leading.model.values import TransferRole
from tests.fixtures.rules import data_set

pytestmark = pytest.mark.ldap("dcmMergeAttribute")

CONTEXT = Context(
    dimse=Dimse.C_STORE_RQ,
    transfer_role=TransferRole.SCP,
    sop_class="1.2.3",
    sending=Peer(),
    receiving=Peer(),
    now=lambda: datetime(2026, 1, 2, 3, 4, 5, 67000),
)


def merged(text: str, ds: Dataset) -> Dataset:
    apply(ds, compile_merge_attribute(text).changes(ds, CONTEXT))
    return ds


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("literal", "literal"),
        ("{PatientID}", "ab cd~é"),
        ("{00100020}", "ab cd~é"),
        ("{PatientID,upper}", "AB CD~É"),
        ("{PatientID,slice,3}", "cd~é"),
        ("{PatientID,slice,0,2}", "ab"),
        ("{PatientID,slice,-2}", "~é"),
        ("{PatientID,slice,-4,-1}", "cd~"),
        ("{PatientID,urlencoded}", "ab+cd%7E%C3%A9"),
        ("X.{StudyID}.{Modality}", "X.S1.CT"),
        ("{ImageType}", "ORIGINAL"),
        ("{RequestAttributesSequence.RequestedProcedureID}", "P1"),
        ("{BodyPartExamined}", "null"),
        ("{ScheduledStepAttributesSequence.AccessionNumber}", "null"),
        ("{StudyID,hash}", "00000A3E"),
        ("it''s {StudyID}", "it's S1"),
        ("'quoted' {StudyID}", "quoted S1"),
        ("{now,date,yyyyMMdd}-{now,time,HHmmss.SSS}", "20260102-030405.067"),
    ],
)
def test_format_gives(form: str, expected: str) -> None:
    ds = data_set(
        SpecificCharacterSet="ISO_IR 192",
        PatientID="ab cd~é",
        StudyID="S1",
        Modality="CT",
        ImageType=["ORIGINAL", "PRIMARY"],
        RequestAttributesSequence=[data_set(RequestedProcedureID="P1"), data_set(RequestedProcedureID="P2")],
    )
    assert merged(f"PatientComments={form}", ds).PatientComments == expected


def test_hash_is_that_of_a_java_string() -> None:
    assert merged("PatientComments={PatientID,hash}", data_set(PatientID="hello")).PatientComments == "05E918D2"


def test_md5_has_26_digits_of_base_32() -> None:
    comments = merged("PatientComments={PatientID,md5}", data_set(PatientID="hello")).PatientComments
    assert len(comments) == 26
    assert set(comments) <= set("0123456789abcdefghijklmnopqrstuv")


def test_same_value_is_no_change() -> None:
    assert compile_merge_attribute("PatientID=1").changes(data_set(PatientID="1"), CONTEXT) == []


def test_items_on_the_way_are_created() -> None:
    ds = merged("RequestAttributesSequence[2].AccessionNumber=A", Dataset())
    assert [item.get("AccessionNumber") for item in ds.RequestAttributesSequence] == [None, "A"]


@pytest.mark.parametrize(
    "text", ["RequestAttributesSequence[2].AccessionNumber=", "RequestAttributesSequence[2].AccessionNumber!"]
)
def test_the_item_that_is_named_is_changed(text: str) -> None:
    ds = data_set(RequestAttributesSequence=[data_set(AccessionNumber="1"), data_set(AccessionNumber="2")])
    first, second = merged(text, ds).RequestAttributesSequence
    assert first.AccessionNumber == "1"  # dcm4chee: always the first
    assert not second.get("AccessionNumber")


@pytest.mark.parametrize("end", ["=", "!"])
def test_absent_sequences_are_no_error(end: str) -> None:
    path = "ReferencedStudySequence.ReferencedSeriesSequence.SeriesInstanceUID"
    assert compile_merge_attribute(path + end).changes(Dataset(), CONTEXT) == []


def test_emptying_keeps_the_attribute_and_removing_does_not() -> None:
    empty = compile_merge_attribute("PatientID=").changes(data_set(PatientID="1"), CONTEXT)
    remove = compile_merge_attribute("PatientID!").changes(data_set(PatientID="1"), CONTEXT)
    assert [change.kind for change in (*empty, *remove)] == [ChangeKind.EMPTY, ChangeKind.REMOVE]
    assert compile_merge_attribute("PatientID=").changes(data_set(PatientID=""), CONTEXT) == []
    assert compile_merge_attribute("PatientID!").changes(Dataset(), CONTEXT) == []


def test_stock_rule_for_encapsulated_pixel_data_compiles() -> None:
    assert compile_merge_attribute("EncapsulatedPixelDataValueTotalLength!").tag == 0x7FE00003


def test_several_values_are_separated_by_backslash() -> None:
    assert merged("ImageType=DERIVED\\SECONDARY", Dataset()).ImageType == ["DERIVED", "SECONDARY"]


def test_numbers_are_set_as_numbers() -> None:
    assert merged("Rows=12", Dataset()).Rows == 12


def test_text_beyond_the_character_set_changes_it() -> None:
    assert merged("PatientComments=über", Dataset()).SpecificCharacterSet == "ISO_IR 192"


def test_value_that_does_not_fit_fails_without_telling_it() -> None:
    step = compile_merge_attribute("Rows={PatientID}")
    with pytest.raises(SubOperationFailed) as caught:
        step.changes(data_set(PatientID="SECRET"), CONTEXT)
    assert "Rows" in str(caught.value)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("PatientID", "expected ATTRIBUTE=FORMAT"),
        ("PatientId=1", "unknown attribute 'PatientId'"),
        ("PatientID={Foo}", "unknown attribute 'Foo'"),
        ("PatientID={PatientID,nosuch}", "unknown format"),
        ("PatientID={PatientID,slice,x}", "expected slice"),
        ("PatientID={PatientID", "braces"),
        ("PatientID=}", "braces"),
        ("Modality.PatientID=1", "no sequence"),
        ("RequestAttributesSequence[0].AccessionNumber=1", "counts from 1"),
        ("PatientID[2]=1", "belongs to a sequence"),
        ("RequestAttributesSequence=1", "cannot be set from text"),
        ("PixelData=1", "cannot be set from text"),
        ("Rows=many", "expected numbers"),
    ],
)
def test_wrong_value_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as caught:
        compile_merge_attribute(text)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "PatientID={rnd}",
        "PatientID={PatientID[2]}",
        "PatientID={StudyDate,date,yyyy}",
        "PatientID={SeriesNumber,number,0000}",
        "PatientID={now,date,EEE}",
        "PatientID={now,date,yyyy-P1D}",
        "PatientComments=Patient's {PatientID}",
        "SpecificCharacterSet=ISO_IR 100",
        "00091010=x",
    ],
)
def test_what_is_not_built_is_told_from_what_is_wrong(text: str) -> None:
    with pytest.raises(UnsupportedFormat):
        compile_merge_attribute(text)


def test_it_says_what_it_reads_and_writes() -> None:
    step = compile_merge_attribute("PatientComments={PatientID}")
    assert step.reads == {0x00100020, 0x00104000, 0x00080005}
    assert step.writes == {0x00104000, 0x00080005}
