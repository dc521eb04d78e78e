from __future__ import annotations

import warnings
from copy import deepcopy
from datetime import datetime
from io import BytesIO

import pytest
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.dataelem import RawDataElement
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.tag import Tag

from dcm4py_leading.coercion.changes import ChangeKind, apply
from dcm4py_leading.coercion.context import CoercionContext, Peer
from dcm4py_leading.coercion.steps.merge_attribute import MergeAttributesStep, compile_merge_attribute
from dcm4py_leading.coercion.tags import AllTags
from dcm4py_leading.coercion.update import is_empty
from dcm4py_leading.errors import CoercionFailed
from dcm4py_leading.model.coercion import Dimse
from dcm4py_leading.model.values import TransferRole
from tests.fixtures.rules import data_set

pytestmark = pytest.mark.ldap("dcmMergeAttribute")

CONTEXT = CoercionContext(
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
        ("{PatientID,upper}/{SeriesNumber,number,000}", "ABC/007"),
        ("{now,date,yyyyMMdd}-{now,time-PT1H,HHmmss.SSS}", "20260102-020405.067"),
        ("{RequestAttributesSequence.StudyID,hash}", "null"),
    ],
)
def test_attribute_is_set_to_what_the_format_gives(form: str, expected: str) -> None:
    ds = data_set(PatientID="abc", SeriesNumber=7)
    assert merged(f"PatientComments={form}", ds).PatientComments == expected


@pytest.mark.parametrize("attribute", ["PatientComments", "Rows", "SliceThickness", "PixelSpacing"])
@pytest.mark.parametrize(
    "before", [{}, {"PatientComments": "x", "Rows": 1, "SliceThickness": 1, "PixelSpacing": [1, 1]}]
)
def test_format_without_outcome_empties(attribute: str, before: dict[str, object]) -> None:
    ds = merged(attribute + "={BodyPartExamined}", data_set(**before))
    assert is_empty(ds[attribute])
    assert compile_merge_attribute(attribute + "={BodyPartExamined}").changes(ds, CONTEXT) == []


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
    with pytest.raises(CoercionFailed) as caught:
        step.changes(data_set(PatientID="SECRET"), CONTEXT)
    assert "Rows" in str(caught.value)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("PatientID", "expected ATTRIBUTE=FORMAT"),
        ("PatientId=1", "unknown attribute 'PatientId'"),
        ("PatientID={Foo}", "unknown attribute 'Foo'"),
        ("PatientID={PatientID,nosuch}", "unknown type 'nosuch'"),
        ("PatientID={StudyDate,date,MMM}", "MMM in a date pattern depends on the locale"),
        ("PatientID={PatientID,slice,x}", "expected slice"),
        ("PatientID={PatientID", "braces"),
        ("PatientID=}", "braces"),
        ("Modality.PatientID=1", "no sequence"),
        ("RequestAttributesSequence[0].AccessionNumber=1", "counts from 1"),
        ("PatientID[2]=1", "belongs to a sequence"),
        ("RequestAttributesSequence=1", "cannot be set from text"),
        ("PixelData=1", "cannot be set from text"),
        ("Rows=many", "expected numbers"),
        ("Rows=65536", "expected numbers"),
        ("SeriesNumber=many", "expected numbers"),
        ("00091010=x", "VR is unknown"),
        ("SpecificCharacterSet=ISO_IR 0", "unknown Specific Character Set 'ISO_IR 0'"),
        ("RequestAttributesSequence.SpecificCharacterSet=ISO_IR 100", "cannot be changed by itself"),
    ],
)
def test_wrong_value_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as caught:
        compile_merge_attribute(text)
    assert reason in str(caught.value)


def test_it_says_what_it_reads_and_writes() -> None:
    step = compile_merge_attribute("PatientComments={PatientID}")
    assert step.reads == frozenset({0x00100020, 0x00104000, 0x00080005})
    assert step.writes == frozenset({0x00104000, 0x00080005})


def test_value_that_cannot_be_read_can_be_emptied_removed_and_set() -> None:
    def unreadable() -> Dataset:
        item = Dataset()
        item[0x00200013] = RawDataElement(Tag(0x00200013), "IS", 2, b"1e", 0, False, True)
        return item

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        assert is_empty(merged("InstanceNumber=", unreadable())["InstanceNumber"])
        assert "InstanceNumber" not in merged("InstanceNumber!", unreadable())
        assert merged("InstanceNumber=5", unreadable()).InstanceNumber == 5


def japanese() -> Dataset:
    """As it is after reading: text that was not looked at is still bytes."""
    ds = data_set(
        SpecificCharacterSet=["", "ISO 2022 IR 87"],
        PatientName="Yamada^Tarou=山田^太郎",
        SOPClassUID="1.2.3",
        RequestAttributesSequence=[data_set(RequestedProcedureDescription="山田")],
    )
    return read_back(ds)


def read_back(ds: Dataset) -> Dataset:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, ds)
    return read_dataset(BytesIO(buffer.getvalue()), is_implicit_VR=False, is_little_endian=True)


def test_other_character_set_encodes_all_text_anew() -> None:
    ds = read_back(merged("SpecificCharacterSet=ISO_IR 192", japanese()))
    assert ds.SpecificCharacterSet == "ISO_IR 192"
    assert ds.get_item("PatientName").value.rstrip() == "Yamada^Tarou=山田^太郎".encode()
    assert ds.RequestAttributesSequence[0].RequestedProcedureDescription == "山田"


def test_several_character_sets_are_separated_by_backslash() -> None:
    ds = data_set(SpecificCharacterSet="ISO_IR 192", PatientName="Yamada^Tarou=山田^太郎")
    ds = read_back(merged("SpecificCharacterSet=\\ISO 2022 IR 87", read_back(ds)))
    assert ds.SpecificCharacterSet == ["", "ISO 2022 IR 87"]
    assert ds.PatientName == "Yamada^Tarou=山田^太郎"


@pytest.mark.parametrize("text", ["SpecificCharacterSet=ISO_IR 100", "SpecificCharacterSet={StudyID}"])
def test_character_set_that_cannot_hold_the_text_becomes_utf_8(text: str) -> None:
    ds = japanese()
    ds.StudyID = "ISO_IR 100"
    ds = read_back(merged(text, ds))
    assert ds.SpecificCharacterSet == "ISO_IR 192"
    assert ds.PatientName == "Yamada^Tarou=山田^太郎"


@pytest.mark.parametrize("end", ["=", "!"])
def test_character_set_stays_as_long_as_text_needs_it(end: str) -> None:
    text = "SpecificCharacterSet" + end
    assert merged(text, japanese()).SpecificCharacterSet == ["", "ISO 2022 IR 87"]
    plain = merged(text, data_set(SpecificCharacterSet="ISO_IR 100", PatientName="A"))
    assert not plain.get("SpecificCharacterSet")
    assert ("SpecificCharacterSet" in plain) is (end == "=")


def test_character_set_that_nobody_knows_fails_without_telling_it() -> None:
    with pytest.raises(CoercionFailed) as caught:
        merged("SpecificCharacterSet={StudyID}", data_set(StudyID="SECRET"))
    assert "SECRET" not in str(caught.value)


def test_same_character_set_is_no_change() -> None:
    assert compile_merge_attribute("SpecificCharacterSet=\\ISO 2022 IR 87").changes(japanese(), CONTEXT) == []


def step(*texts: str) -> MergeAttributesStep:
    return MergeAttributesStep(merges=tuple(compile_merge_attribute(text) for text in texts))


def test_step_is_the_scheme_merge_attrs() -> None:
    assert step("PatientID=1").name == "merge-attrs"


def test_later_merge_attribute_sees_the_earlier_and_the_data_set_is_left_alone() -> None:
    ds = data_set(
        PatientID="1",
        PatientComments="über",
        SpecificCharacterSet="ISO_IR 100",
        RequestAttributesSequence=[data_set(StudyID="S")],
    )
    before = deepcopy(ds)
    changes = step(
        "PatientID=2",
        "RequestAttributesSequence[2].StudyID={PatientID}{RequestAttributesSequence.StudyID}",
        "RequestAttributesSequence[1].StudyID!",
        "StudyID={RequestAttributesSequence.StudyID}",
        "StudyDescription={PatientID}山",
        "SeriesDescription=田",
    ).changes(ds, CONTEXT)
    assert ds == before
    apply(ds, changes)
    assert ds.PatientID == "2"
    assert [item.get("StudyID") for item in ds.RequestAttributesSequence] == [None, "2S"]
    assert is_empty(ds["StudyID"])
    assert (ds.StudyDescription, ds.SeriesDescription, ds.SpecificCharacterSet) == ("2山", "田", "ISO_IR 192")
    assert [change.tag for change in changes].count(0x00080005) == 1


def test_step_encodes_anew_in_its_place_among_the_others() -> None:
    changes = step("PatientComments=x", "SpecificCharacterSet=ISO_IR 192", "StudyID={SpecificCharacterSet}").changes(
        japanese(), CONTEXT
    )
    ds = japanese()
    apply(ds, changes)
    assert (ds.StudyID, ds.PatientName) == ("ISO_IR 192", "Yamada^Tarou=山田^太郎")


def test_step_works_on_a_file_as_it_is_read() -> None:
    path = get_testdata_file("CT_small.dcm", download=False)
    assert isinstance(path, str)
    ds = dcmread(path)
    apply(
        ds, step("PatientComments={PatientName,upper}", "PatientName={PatientComments,slice,0,3}").changes(ds, CONTEXT)
    )
    assert ds.PatientName == "COM"


def test_step_reads_and_writes_what_its_parts_do() -> None:
    both = step("PatientComments={PatientID}", "RequestAttributesSequence.StudyID!")
    assert both.reads == frozenset({0x00100020, 0x00104000, 0x00400275, 0x00080005})
    assert both.writes == frozenset({0x00104000, 0x00400275, 0x00080005})
    assert step("PatientID=1", "SpecificCharacterSet=ISO_IR 192").reads is AllTags.ALL
