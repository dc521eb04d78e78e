"""De-identification by PS3.15 Annex E, on random data sets and on every object that pydicom installs."""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import pydicom
import pydicom.data
import pydicom.filereader
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.datadict import dictionary_has_tag, dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID

from dcm4py_leading.coercion.changes import ChangeKind, apply
from dcm4py_leading.coercion.steps.deidentification_table import METHODS, TABLE, Option
from dcm4py_leading.coercion.steps.deidentify import DeidentifyStep, compile_deidentify
from dcm4py_leading.coercion.steps.pseudonyms import new_uid
from dcm4py_leading.coercion.tags import AllTags
from dcm4py_leading.errors import CoercionFailed
from tests.fixtures.rules import RETRIEVE, data_set

BASIC = compile_deidentify([])
_FILES = Path(pydicom.data.__file__).parent / "test_files"


def deidentified(ds: Dataset, *options: Option) -> Dataset:
    result = copy.deepcopy(ds)
    changes = compile_deidentify(option.value for option in options).changes(result, RETRIEVE)
    assert changes is not None
    apply(result, changes)
    return result


def encoded(ds: Dataset) -> bytes:
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, ds, implicit_vr=False, little_endian=True, enforce_file_format=False)
    return buffer.getvalue()


def attributes(ds: Dataset) -> Iterator[DataElement]:
    """Every attribute of the data set and of its items."""
    for element in ds:
        yield element
        if element.VR == "SQ":
            for item in element.value:
                yield from attributes(item)


def values(elements: Iterable[DataElement]) -> set[str]:
    texts: set[str] = set()
    for element in elements:
        if element.VR != "SQ" and element.value not in (None, ""):
            texts.update(map(str, element.value) if element.VM > 1 else [str(element.value)])
    return texts


def real_objects() -> list[Path]:
    """Every file of pydicom's that can be read at all; it has broken ones too."""
    return [path for path in sorted(_FILES.rglob("*")) if path.is_file() and read(path) is not None]


def read(path: Path) -> Dataset | None:
    try:
        with warnings.catch_warnings(action="ignore"):
            return pydicom.dcmread(path, force=path.suffix == ".dcm")
    except (InvalidDicomError, ValueError, NotImplementedError, EOFError):
        return None


# -- every real object --


@pytest.mark.filterwarnings("ignore")  # several are wrong on purpose
@pytest.mark.parametrize("path", real_objects(), ids=lambda path: path.name)
def test_nothing_that_the_profile_takes_away_is_left_in_a_real_object(path: Path) -> None:
    ds = read(path)
    assert ds is not None
    before = list(attributes(ds))
    sensitive = values(e for e in before if int(e.tag) in TABLE and e.VR != "SQ" and not _is_well_known(e))
    harmless = values(e for e in before if int(e.tag) not in TABLE and not e.tag.is_private)
    dummies = {"REMOVED", "19991111", "19991111111111", "111111", "0", "0.0", "YES", "000D"}

    result = deidentified(ds)

    after = list(attributes(result))
    assert not (sensitive - harmless - dummies) & values(after)
    assert not any(e.tag.is_private or e.tag.group & 0xFF00 in (0x5000, 0x6000) for e in after)
    assert result.PatientIdentityRemoved == "YES"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "rtplan.dcm", "rtdose.dcm", "reportsi.dcm", "test-SR.dcm", "MR_small_bigendian.dcm"]
)
def test_a_de_identified_object_can_be_written_and_read_again(name: str) -> None:
    ds = pydicom.dcmread(_FILES / name)

    result = deidentified(ds)

    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, result)
    buffer.seek(0)
    again = pydicom.dcmread(buffer)
    assert again.SOPInstanceUID == new_uid(ds.SOPInstanceUID)
    assert again.SOPClassUID == ds.SOPClassUID
    assert "PixelData" not in ds or again.PixelData == ds.PixelData


def _is_well_known(element: DataElement) -> bool:
    return element.VR == "UI" and all(UID(uid).name != uid for uid in values([element]))


# -- random data sets --

_SECRET_TEXT = "SECRET"
_SECRET: dict[str, str | int | bytes] = {
    "AS": "077Y",
    "DA": "19480229",
    "DT": "19480229074153",
    "TM": "074153",
    "DS": "74.153",
    "IS": "74153",
    "UI": "1.2.74153.4",
    "US": 0x5345,
    "OB": b"SECRET",
    "UN": b"SECRET",
}
_SECRET_BYTES = tuple(
    value if isinstance(value, bytes) else value.encode()
    for value in [*_SECRET.values(), _SECRET_TEXT]
    if not isinstance(value, int)
)
_KNOWN_TAGS = [tag for tag in sorted(TABLE) if tag > 0x0003FFFF and dictionary_has_tag(tag)]


def _secret(tag: int, items: list[Dataset]) -> DataElement:
    vr = dictionary_VR(tag)
    return DataElement(tag, vr, items if vr == "SQ" else _SECRET.get(vr, _SECRET_TEXT))


_items: st.SearchStrategy[list[Dataset]] = st.deferred(lambda: st.lists(_secret_data_sets, max_size=2))
_secret_data_sets: st.SearchStrategy[Dataset] = st.deferred(
    lambda: st.dictionaries(st.sampled_from(_KNOWN_TAGS), _items, max_size=4).flatmap(
        lambda chosen: st.booleans().map(lambda with_private: _secret_data_set(chosen, with_private))
    )
)


def _secret_data_set(chosen: dict[int, list[Dataset]], with_private: bool) -> Dataset:
    ds = Dataset()
    for tag, items in chosen.items():
        ds[tag] = _secret(tag, items)
    if with_private:
        ds.private_block(0x0009, "SECRET CREATOR", create=True).add_new(1, "LO", _SECRET_TEXT)
    # Not in the table, so it stays, and what is in its items must not.
    ds[0x00081115] = DataElement(0x00081115, "SQ", [copy.deepcopy(ds)])
    return ds


@settings(max_examples=60)
@given(_secret_data_sets)
def test_no_value_of_an_attribute_of_the_table_is_left_at_any_depth(ds: Dataset) -> None:
    result = deidentified(ds)

    left = encoded(result)
    assert not [secret for secret in _SECRET_BYTES if secret in left]
    assert encoded(deidentified(ds)) == left


@settings(max_examples=40)
@given(_secret_data_sets)
def test_de_identifying_does_not_touch_the_data_set_it_looks_at(ds: Dataset) -> None:
    before = copy.deepcopy(ds)

    BASIC.changes(ds, RETRIEVE)

    assert ds == before


@settings(max_examples=40)
@given(_secret_data_sets, st.sets(st.sampled_from(Option)))
def test_a_second_time_changes_nothing_but_uids_and_the_hash(ds: Dataset, options: set[Option]) -> None:
    once = deidentified(ds, *options)

    twice = deidentified(once, *options)

    def without_uids(result: Dataset) -> list[tuple[int, str]]:
        plain = [e for e in attributes(result) if e.VR not in ("UI", "SQ") and e.tag != 0x00100020]
        return [(int(e.tag), str(e.value)) for e in plain]

    assert without_uids(twice) == without_uids(once)


def test_an_attribute_without_a_value_stays_without() -> None:
    ds = data_set(StationName="", OperatorsName=None, ContentDate="")

    result = deidentified(ds)

    assert [result[tag].is_empty for tag in ("StationName", "OperatorsName", "ContentDate")] == [True, True, True]


# -- actions --


def test_type_2_attributes_are_emptied_and_type_1_attributes_get_a_dummy() -> None:
    ds = data_set(PatientName="A^B", PatientID="1", StudyDate="20200101", ContentDate="20200101", ContentTime="101112")
    ds.InstitutionName = "Hospital"
    ds.AcquisitionDateTime = "20200101101112"
    ds.PatientAge = "050Y"

    result = deidentified(ds)

    assert [result.PatientName, result.PatientID, result.StudyDate] == ["", "", ""]
    assert [result.ContentDate, result.ContentTime] == ["19991111", "111111"]
    assert [result.InstitutionName, result.AcquisitionDateTime] == ["REMOVED", "19991111111111"]
    assert "PatientAge" not in result


def test_uids_are_the_same_in_every_object_of_a_study_and_in_every_reference() -> None:
    first = data_set(SOPInstanceUID="1.2.3.1", SeriesInstanceUID="1.2.3", StudyInstanceUID="1.2")
    second = data_set(SOPInstanceUID="1.2.3.2", SeriesInstanceUID="1.2.3", StudyInstanceUID="1.2")
    second.ReferencedSeriesSequence = [
        data_set(
            SeriesInstanceUID="1.2.3",
            ReferencedSOPSequence=[
                data_set(ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2", ReferencedSOPInstanceUID="1.2.3.1")
            ],
        )
    ]

    one, other = deidentified(first), deidentified(second)

    assert one.StudyInstanceUID == other.StudyInstanceUID != "1.2"
    series = other.ReferencedSeriesSequence[0]
    assert one.SeriesInstanceUID == other.SeriesInstanceUID == series.SeriesInstanceUID
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == one.SOPInstanceUID != other.SOPInstanceUID
    assert series.ReferencedSOPSequence[0].ReferencedSOPClassUID == "1.2.840.10008.5.1.4.1.1.2"


def test_new_uids_are_those_of_dcm4che() -> None:
    # MD5 of "1.2.3.4" with the version and variant bits of RFC 4122.
    assert new_uid("1.2.3.4") == "2.25.133452017418127702798605808107506202113"


def test_uids_that_the_standard_defines_stay() -> None:
    ds = data_set(FrameOfReferenceUID="1.2.840.10008.1.4.1.1", SOPInstanceUID="1.2.840.10008.9.9.9")

    result = deidentified(ds)

    assert result.FrameOfReferenceUID == "1.2.840.10008.1.4.1.1"
    assert result.SOPInstanceUID.startswith("2.25.")


def test_several_uids_in_one_attribute_are_each_replaced() -> None:
    ds = data_set(IrradiationEventUID=["1.2.3", "1.2.4"])

    assert deidentified(ds).IrradiationEventUID == [new_uid("1.2.3"), new_uid("1.2.4")]


def test_private_attributes_curves_and_overlays_are_removed_everywhere() -> None:
    item = data_set(CodeValue="x")
    item.private_block(0x0011, "ACME", create=True).add_new(1, "LO", "hidden")
    ds = data_set(PerformedProtocolCodeSequence=[item], Rows=1)
    ds.private_block(0x0009, "ACME", create=True).add_new(1, "LO", "hidden")
    ds.add_new(0x50000010, "US", 2)
    ds.add_new(0x60020010, "US", 2)
    ds.add_new(0x60023000, "OB", b"\1\1")

    result = deidentified(ds)

    tags = {int(element.tag) for element in attributes(result)}
    assert not [tag for tag in tags if tag >> 16 & 1 or tag >> 24 in (0x50, 0x60)]
    assert result.Rows == 1


def test_an_attribute_that_no_dictionary_knows_is_removed() -> None:
    ds = Dataset()
    ds.add_new(0x00089998, "UN", b"anything")

    assert 0x00089998 not in deidentified(ds)


def test_content_of_a_report_keeps_its_shape_and_nothing_else() -> None:
    code = data_set(CodeValue="C1", CodingSchemeDesignator="SCHEME", CodeMeaning="Carcinoma")
    finding = data_set(
        RelationshipType="CONTAINS", ValueType="TEXT", TextValue="Mr Smith", ConceptNameCodeSequence=[code]
    )
    measured = data_set(ValueType="NUM", MeasuredValueSequence=[data_set(NumericValue="42.5")])
    finding.ContentSequence = [measured, measured]

    result = deidentified(data_set(ContentSequence=[finding, finding]))

    (item,) = result.ContentSequence
    assert [item.RelationshipType, item.ValueType, item.TextValue] == ["CONTAINS", "TEXT", "REMOVED"]
    assert [item.ConceptNameCodeSequence[0].CodeMeaning, item.ContentSequence[0].ValueType] == ["REMOVED", "NUM"]
    assert item.ContentSequence[0].MeasuredValueSequence[0].NumericValue == 0


def test_graphics_keep_their_number_of_coordinates() -> None:
    graphic = data_set(GraphicDimensions=2, NumberOfGraphicPoints=2, GraphicData=[1.0, 2.0, 3.0, 4.0])
    ds = data_set(GraphicAnnotationSequence=[data_set(GraphicLayer="LAYER", GraphicObjectSequence=[graphic])])

    result = deidentified(ds)

    assert result.GraphicAnnotationSequence[0].GraphicObjectSequence[0].GraphicData == [0, 0, 0, 0]


def test_text_that_hides_in_a_code_string_of_a_replaced_item_is_replaced() -> None:
    with warnings.catch_warnings(action="ignore"):
        ds = data_set(ContentSequence=[data_set(ValueType="Mr Smith")])

        assert deidentified(ds).ContentSequence[0].ValueType == "REMOVED"


def test_an_encapsulated_document_is_replaced_with_its_length() -> None:
    ds = data_set(EncapsulatedDocument=b"%PDF of Mr Smith", EncapsulatedDocumentLength=16, BurnedInAnnotation="YES")

    result = deidentified(ds)

    assert len(result.EncapsulatedDocument) == result.EncapsulatedDocumentLength == 2


def test_a_sequence_that_came_with_unknown_vr_is_looked_into() -> None:
    item = b"\x10\x00\x10\x00\x08\x00\x00\x00Mr Smith"  # Patient's Name, Implicit VR Little Endian
    sequence = b"\xfe\xff\x00\xe0" + len(item).to_bytes(4, "little") + item

    result = deidentified(_with_unknown_vr(sequence))

    assert result.ReferencedSeriesSequence[0].PatientName == ""


def test_a_sequence_too_long_to_be_taken_for_one_is_removed() -> None:
    # pydicom leaves 64 KiB and more with VR UN as bytes.
    assert 0x00081115 not in deidentified(_with_unknown_vr(b"Mr Smith" * 10_000))


def test_a_broken_sequence_fails_without_a_word_of_its_content() -> None:
    with pytest.raises(CoercionFailed) as failed:
        BASIC.changes(_with_unknown_vr(b"Mr"), RETRIEVE)

    assert "Mr" not in str(failed.value)


def _with_unknown_vr(sequence: bytes) -> Dataset:
    encoded = b"\x08\x00\x15\x11UN\0\0" + len(sequence).to_bytes(4, "little") + sequence
    return pydicom.filereader.read_dataset(io.BytesIO(encoded), is_implicit_VR=False, is_little_endian=True)


# -- options --


@pytest.mark.ldap("dcmDeIdentification")
@pytest.mark.parametrize(
    ("option", "kept"),
    [
        (Option.RETAIN_FULL_DATES, {"StudyDate": "20200101", "AcquisitionTime": "101112", "SeriesDate": "20200102"}),
        (Option.RETAIN_DEVICE_IDENTITY, {"StationName": "CT1", "DeviceSerialNumber": "4711", "DeviceUID": "1.2.3.9"}),
        (Option.RETAIN_INSTITUTION_IDENTITY, {"InstitutionName": "Hospital", "InstitutionAddress": "Street 1"}),
        (Option.RETAIN_UIDS, {"StudyInstanceUID": "1.2", "SOPInstanceUID": "1.2.3", "DeviceUID": "1.2.3.9"}),
    ],
)
def test_an_option_keeps_what_it_names_and_nothing_else(option: Option, kept: dict[str, str]) -> None:
    ds = data_set(
        PatientName="A^B",
        StudyDate="20200101",
        AcquisitionTime="101112",
        SeriesDate="20200102",
        StationName="CT1",
        DeviceSerialNumber="4711",
        DeviceUID="1.2.3.9",
        InstitutionName="Hospital",
        InstitutionAddress="Street 1",
        StudyInstanceUID="1.2",
        SOPInstanceUID="1.2.3",
    )

    result = deidentified(ds, option)

    same = {e.keyword: e.value for e in ds if e.keyword in result and result[e.tag].value == e.value}
    assert same == kept


@pytest.mark.parametrize("option", [o for o in Option if any(o in entry.retained_by for entry in TABLE.values())])
def test_an_option_keeps_every_attribute_that_its_column_says(option: Option) -> None:
    retained = [tag for tag, entry in TABLE.items() if option in entry.retained_by and dictionary_has_tag(tag)]
    ds = Dataset()
    for tag in retained:
        ds[tag] = _secret(tag, [data_set(Rows=1)])

    result = deidentified(ds, option)

    assert [result.get(tag) for tag in retained] == [ds[tag] for tag in retained]


def test_a_retained_sequence_has_its_items_de_identified() -> None:
    ds = data_set(ReferencedStudySequence=[data_set(ReferencedSOPInstanceUID="1.2", PatientComments="Mr Smith")])

    (item,) = deidentified(ds, Option.RETAIN_UIDS).ReferencedStudySequence

    assert item.ReferencedSOPInstanceUID == "1.2"
    assert "PatientComments" not in item


def test_patient_id_hash_covers_the_issuer_as_dcm4chee_does_it() -> None:
    ds = data_set(PatientID="4711", IssuerOfPatientID="HOSPITAL", PatientName="A^B")
    ds.IssuerOfPatientIDQualifiersSequence = [data_set(UniversalEntityID="1.2.3", UniversalEntityIDType="ISO")]

    result = deidentified(ds, Option.RETAIN_PATIENT_ID_HASH)

    # MD5 of 4711^^^HOSPITAL&1.2.3&ISO with the version and variant bits of RFC 4122.
    assert result.PatientID == "6b3f4798-858a-34db-aae0-05a8f5eaff72"
    assert result.PatientName == ""
    assert "IssuerOfPatientID" not in result
    assert "IssuerOfPatientIDQualifiersSequence" not in result
    assert deidentified(data_set(PatientID="4711"), Option.RETAIN_PATIENT_ID_HASH).PatientID != result.PatientID


def test_without_patient_id_there_is_no_hash() -> None:
    assert deidentified(data_set(PatientID=""), Option.RETAIN_PATIENT_ID_HASH).PatientID == ""


@pytest.mark.ldap("dcmDeIdentification")
def test_names_of_options_are_read_as_dcm4chee_writes_them() -> None:
    assert compile_deidentify(["RetainUIDsOption", "RetainDeviceIdentityOption"]) == DeidentifyStep(
        options=frozenset({Option.BASIC_PROFILE, Option.RETAIN_UIDS, Option.RETAIN_DEVICE_IDENTITY})
    )
    assert compile_deidentify([""]) == compile_deidentify(["BasicApplicationConfidentialityProfile"]) == BASIC
    assert (BASIC.name, BASIC.reads, BASIC.writes) == ("deidentify", AllTags.ALL, AllTags.ALL)


def test_an_unknown_option_is_refused_with_its_name() -> None:
    with pytest.raises(ValueError, match="CleanPixelDataOption"):
        compile_deidentify(["RetainUIDsOption", "CleanPixelDataOption"])


# -- what the object says of it --


def test_method_and_dates_are_declared() -> None:
    result = deidentified(Dataset(), Option.RETAIN_PATIENT_ID_HASH)

    assert result.PatientIdentityRemoved == "YES"
    assert result.LongitudinalTemporalInformationModified == "REMOVED"
    codes = [(i.CodeValue, i.CodingSchemeDesignator) for i in result.DeidentificationMethodCodeSequence]
    assert codes == [("113100", "DCM"), ("113113", "99DCM4CHE")]
    assert result.DeidentificationMethod == [
        "Basic Application Confidentiality Profile",
        "Retain Patient ID Hash Option",
    ]


def test_full_dates_are_declared_unmodified_unless_they_were_removed_before() -> None:
    option = Option.RETAIN_FULL_DATES

    assert deidentified(Dataset(), option).LongitudinalTemporalInformationModified == "UNMODIFIED"
    before = data_set(LongitudinalTemporalInformationModified="REMOVED")
    assert deidentified(before, option).LongitudinalTemporalInformationModified == "REMOVED"


def test_an_earlier_method_stays_beside_ours() -> None:
    earlier = data_set(CodeValue="1", CodingSchemeDesignator="99X", CodeMeaning="by hand")
    ds = data_set(DeidentificationMethod="by hand", DeidentificationMethodCodeSequence=[earlier])

    result = deidentified(ds)

    assert result.DeidentificationMethod == ["by hand", METHODS[Option.BASIC_PROFILE].meaning]
    assert [item.CodeValue for item in result.DeidentificationMethodCodeSequence] == ["1", "113100"]


# -- what cannot be done --


def test_an_object_with_burned_in_annotation_is_refused() -> None:
    ds = data_set(BurnedInAnnotation="YES", PatientName="A^B")

    with pytest.raises(CoercionFailed, match="Burned In Annotation") as refused:
        BASIC.changes(ds, RETRIEVE)

    assert refused.value.status == 0x0110


def test_burned_in_annotation_does_not_matter_once_pixel_data_is_empty() -> None:
    ds = data_set(BurnedInAnnotation="YES")
    ds.add_new(0x7FE00010, "OW", b"")

    assert deidentified(ds).PatientIdentityRemoved == "YES"


def test_changes_are_data_with_their_path() -> None:
    ds = data_set(ReferencedSeriesSequence=[Dataset(), data_set(SeriesInstanceUID="1.2", PatientAge="050Y")])

    changes = BASIC.changes(ds, RETRIEVE)

    nested = {(c.path, c.kind) for c in changes if c.path[0] == tag_for_keyword("ReferencedSeriesSequence")}
    assert nested == {
        ((0x00081115, 1, 0x0020000E), ChangeKind.SET),
        ((0x00081115, 1, 0x00101010), ChangeKind.REMOVE),
    }
