from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.tag import Tag

from dcm4py_leading.coercion.formats import attributes_format
from dcm4py_leading.coercion.formats.attributes_format import compile_format
from dcm4py_leading.coercion.formats.java_string import java_hash, md5_base32
from tests.fixtures.rules import data_set

NOW = datetime(2026, 1, 2, 3, 4, 5, 67000, tzinfo=timezone(timedelta(hours=2)))
DS = data_set(
    PatientID="ab cd~é",
    PatientName="Simson^Homer",
    StudyID="S1",
    OtherPatientIDs="123456789",
    ImageType=["ORIGINAL", "", "AXIAL"],
    SeriesNumber=-7,
    Rows=512,
    SliceThickness="1.25",
    StudyDate="20240229",
    StudyTime="093015.5",
    AcquisitionDateTime="20240229233000+0000",
    ContentDate="20240230",
    RequestAttributesSequence=[data_set(RequestedProcedureID="P1"), data_set(RequestedProcedureID="P2")],
    ReferencedStudySequence=[],
)


def text(form: str, ds: Dataset = DS) -> str:
    return compile_format(form).render(ds, NOW)


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("literal", "literal"),
        ("", ""),
        ("{PatientID}", "ab cd~é"),
        ("{00100020}{StudyID}", "ab cd~éS1"),
        ("{PatientName,upper}", "SIMSON^HOMER"),
        ("{ImageType}-{ImageType[2]}", "ORIGINAL-AXIAL"),
        ("{RequestAttributesSequence.RequestedProcedureID}", "P1"),
        ("{00400275.00401001,hash}", java_hash("P1")),
        ("{OtherPatientIDs,slice,3}", "456789"),
        ("{OtherPatientIDs,slice,3,6}", "456"),
        ("{OtherPatientIDs,slice,-3}", "789"),
        ("{OtherPatientIDs,slice,-6,-3}", "456"),
        ("{OtherPatientIDs,slice,3,0}", "123456789"),
        ("{OtherPatientIDs,slice,20}", ""),
        ("{SeriesNumber,offset,10}", "3"),
        ("{Rows,offset,-1}", "511"),
        ("{PatientID,urlencoded}", "ab+cd%7E%C3%A9"),
        ("{StudyID,hash}", "00000A3E"),
        ("{Rows}", "512"),
    ],
)
def test_value_is_taken_over(form: str, expected: str) -> None:
    assert text(form) == expected


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("{Rows,number}", "512"),
        ("{Rows,number,0000}", "0512"),
        ("{Rows,number,#,##0.00}", "512.00"),
        ("{SeriesNumber,number,000}", "-007"),
        ("{SeriesNumber,number,0;(0)}", "(7)"),
        ("{SliceThickness,number}", "1.25"),
        ("{SliceThickness,number,0.0}", "1.2"),
        ("{SliceThickness,number,integer}", "1"),
        ("{SliceThickness,number,percent}", "125%"),
        ("{SliceThickness,number,0.# '#mm'}", "1.2 #mm"),
        ("{StudyID,number,00}", "00"),
        ("{Rows,choice,0#small|512#big|512<huge}", "big"),
        ("{Rows,choice,0#small|512<huge}", "small"),
        ("{Columns,choice,0#none|1#some, or ''more''}", "none"),
        ("{Rows,choice,0#none|1#some, or ''more''}", "some, or 'more'"),
    ],
)
def test_number_is_written_as_in_java(form: str, expected: str) -> None:
    assert text(form) == expected


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("{StudyDate,date,yyyy/MM/dd}", "2024/02/29"),
        ("{StudyDate,date,yy-M-d D F u}", "24-2-29 60 5 4"),
        ("{StudyDate,date,yyyyMMdd'T'''}", "20240229T'"),
        ("{StudyTime,time,HH:mm:ss.SSS}", "09:30:15.500"),
        ("{StudyTime,time,h K k}", "9 9 9"),
        ("{StudyDate,date-P1Y,yyyyMMdd}", "20230228"),
        ("{StudyDate,date+P1Y2M1W-1D,yyyyMMdd}", "20250504"),
        ("{StudyDate,date-P1M,yyyyMMdd}", "20240129"),
        ("{StudyTime,time+PT30M,HHmm}", "1000"),
        ("{StudyTime,time-PT9H30M15.5S,HHmmss}", "235959"),
        ("{StudyDate,date+P9999Y,yyyy}", "null"),
        ("{AcquisitionDateTime,date,yyyyMMddHHmmZ}", "202403010130+0200"),
        ("{now,date,yyyyMMdd}-{now,time,HHmmss.SSS}", "20260102-030405.067"),
        ("{now,date-P1D,yyyyMMdd}{now,time+PT1H,HH}", "2026010104"),
        ("{now,date,yyyyMMddHHmmss.SSSZ}|{now,date,X XX XXX}", "20260102030405.067+0200|+02 +0200 +02:00"),
    ],
)
def test_date_and_time_are_written_as_in_java(form: str, expected: str) -> None:
    assert text(form) == expected


def test_date_and_time_without_offset_is_in_the_time_zone_of_the_data_set() -> None:
    ds = data_set(AcquisitionDateTime="20240229120000", TimezoneOffsetFromUTC="-0500")
    assert text("{AcquisitionDateTime,date,HHmm}", ds) == "1900"


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("{BodyPartExamined}{BodyPartExamined,upper}{BodyPartExamined,slice,1}{ImageType[1]}{ImageType[9]}", ""),
        ("{BodyPartExamined,hash}{BodyPartExamined,md5}{BodyPartExamined,urlencoded}", "nullnullnull"),
        ("{SeriesDate,date,yyyy}{ContentDate,date-P1D,yyyy}{StudyID,date,yyyy}", "nullnullnull"),
        ("{Columns,number,00}{Columns,offset,2}", "002"),
        ("{ScheduledStepAttributesSequence.AccessionNumber}", "null"),
        ("{ReferencedStudySequence.StudyID,number,0}", "null"),
        ("{RequestAttributesSequence.StudyID}", ""),
    ],
)
def test_absent_value_is_as_in_dcm4che(form: str, expected: str) -> None:
    assert text(form) == expected


def test_value_that_cannot_be_read_counts_as_absent() -> None:
    ds = Dataset()
    ds[0x00280010] = RawDataElement(Tag(0x00280010), "US", 3, b"\1\2\3", 0, False, True)
    assert text("{Rows}/{Rows,number,0}", ds) == "/0"


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("it''s {StudyID}", "it's S1"),
        ("'quoted' {StudyID}", "quoted S1"),
        ("'it''s' {StudyID}", "it's S1"),
        ("{StudyID} o'clock", "S1 oclock"),
    ],
)
def test_single_quotes_are_those_of_message_format(form: str, expected: str) -> None:
    assert text(form) == expected


def test_random_parts_come_from_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attributes_format, "random_digits", lambda: "0123ABCD")
    monkeypatch.setattr(attributes_format, "random_uuid", lambda: uuid.UUID(int=42))
    assert text("{rnd}/{rnd,uuid}/{rnd,uid}") == f"0123ABCD/{uuid.UUID(int=42)}/2.25.42"


def test_random_parts_differ_each_time() -> None:
    assert text("{rnd}{rnd,uuid}{rnd,uid}") != text("{rnd}{rnd,uuid}{rnd,uid}")
    assert len(text("{rnd}")) == 8


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        ("{PatientID", "braces"),
        ("PatientID}", "braces"),
        ("{}", "expected ATTRIBUTE"),
        ("{Foo}", "unknown attribute 'Foo'"),
        ("{PatientID,nosuch}", "unknown type 'nosuch'"),
        ("{PatientID,hash,1}", "takes no argument"),
        ("{PatientID,slice}", "expected slice"),
        ("{PatientID,slice,x}", "expected slice"),
        ("{PatientID,slice,1,2,3}", "expected slice"),
        ("{Rows,offset,many}", "expected an integer"),
        ("{RequestAttributesSequence[1].StudyID}", "without the number of an item"),
        ("Patient's {PatientID}", "write '' for a quote"),
        ("{now}", "expected now,date"),
        ("{now,hash}", "expected now,date"),
        ("{rnd,hash}", "expected rnd"),
        ("{Rows,number,currency}", "locale"),
        ("{Rows,number,¤0}", "locale"),
        ("{Rows,number,0E0}", "exponents"),
        ("{Rows,number,0.0.0}", "malformed number pattern"),
        ("{Rows,number,#'x}", "not closed"),
        ("{StudyDate,date}", "locale"),
        ("{StudyDate,date,short}", "locale"),
        ("{StudyDate,date,d. MMM yyyy}", "MMM in a date pattern depends on the locale"),
        ("{StudyDate,date,EEE}", "EEE in a date pattern depends on the locale"),
        ("{StudyDate,date,yyyyTHH}", "T in a date pattern has no meaning"),
        ("{StudyDate,date,yyyy'T}", "not closed"),
        ("{StudyDate,date1D,yyyy}", "expected an offset of days"),
        ("{StudyDate,date-PT1H,yyyy}", "expected an offset of days"),
        ("{StudyTime,time+P,HH}", "expected an offset of time"),
        ("{StudyTime,time+P1DT,HH}", "expected an offset of time"),
        ("{Rows,choice,}", "expected NUMBER#TEXT"),
        ("{Rows,choice,1#a|0#b}", "ascend"),
        ("{Rows,choice,x#a}", "expected a number"),
        ("{Rows,choice,0#a {0}}", "placeholder within a choice"),
    ],
)
def test_untranslatable_member_is_refused_by_name(form: str, reason: str) -> None:
    with pytest.raises(ValueError) as caught:
        compile_format(form)
    assert reason in str(caught.value)
    if form.startswith("{") and form.endswith("}") and form != "{}":
        assert form in str(caught.value)


def test_it_says_what_it_reads() -> None:
    form = compile_format("x{PatientID}{RequestAttributesSequence.StudyID}{StudyDate,date,yyyy}{now,date,yyyy}{rnd}")
    assert form.reads == {0x00100020, 0x00400275, 0x00080020, 0x00080201}
    assert compile_format("x").reads == frozenset()


def test_only_text_of_others_is_cleaned() -> None:
    form = compile_format("a/{PatientName}/{StudyDate,date,yyyy/MM}/{PatientName,hash}")
    ds = data_set(PatientName="x/y", StudyDate="20240229")
    assert form.render(ds, NOW, clean=lambda value: value.replace("/", "_")) == f"a/x_y/2024/02/{java_hash('x/y')}"


def test_hash_is_that_of_java_outside_of_the_basic_plane_too() -> None:
    assert java_hash("") == "00000000"
    assert java_hash("hello") == "05E918D2"
    assert java_hash("\U0001d11e") == f"{31 * 0xD834 + 0xDD1E:08X}"


def test_md5_is_that_of_dcm4che() -> None:
    assert md5_base32("1.2.3.4.5") == "08vpsu2l2shpb0kc3orpgfnhv0"


@given(st.text(max_size=20))
def test_md5_has_26_digits_of_base_32(value: str) -> None:
    assert len(md5_base32(value)) == 26
    assert set(md5_base32(value)) <= set("0123456789abcdefghijklmnopqrstuv")


WORDS = st.text("abc123", min_size=1, max_size=12)
POSITIONS = st.integers(-15, 15)


def java_slice(text: str, start: int, end: int) -> str:
    """By single characters, where Java's substring would throw: nothing."""
    size = len(text)
    if end == 0:
        return text
    first = max(0, size + start) if start < 0 else start
    last = size + end if end < 0 else min(size, end)
    return "".join(text[at] for at in range(first, last)) if first <= last else ""


@given(WORDS, POSITIONS, POSITIONS)
def test_slice_is_that_of_dcm4che(value: str, start: int, end: int) -> None:
    assert text(f"{{PatientID,slice,{start},{end}}}", data_set(PatientID=value)) == java_slice(value, start, end)


@given(WORDS, POSITIONS)
def test_slice_parts_a_value_in_two(value: str, at: int) -> None:
    if at == 0:
        return
    assert text(f"{{PatientID,slice,0,{at}}}{{PatientID,slice,{at}}}", data_set(PatientID=value)) == value


@given(st.integers(-(2**31), 2**31 - 1), st.integers(1, 12))
def test_number_pattern_of_zeros_is_zero_padding(value: int, width: int) -> None:
    ds = Dataset()
    ds.add(DataElement(0x00200011, "IS", value))
    sign = "-" if value < 0 else ""
    assert text(f"{{SeriesNumber,number,{'0' * width}}}", ds) == f"{sign}{abs(value):0{width}d}"


@given(st.text("{}',abP[]0#.", max_size=30))
def test_any_format_compiles_or_is_refused(form: str) -> None:
    try:
        compiled = compile_format(form)
    except ValueError:
        return
    compiled.render(DS, NOW)
