from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from pydicom import Dataset
from pydicom.data.data_manager import DATA_ROOT
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.errors import InvalidDicomError
from pydicom.valuerep import PersonName

from dcm4py_leading.coercion.steps.native_model import INLINE_BINARY_BYTES, PIXEL_DATA, from_native, to_native
from dcm4py_leading.dataset.data_sets import read, write
from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE
from tests.fixtures.datasets import sample_path
from tests.fixtures.rules import data_set

BYTES_VR = ("OB", "OD", "OF", "OL", "OV", "OW", "UN")


def model(ds: Dataset, *, keywords: bool = True) -> etree._Element:
    return to_native(ds, keywords=keywords).getroot()


def parsed(text: str) -> etree._ElementTree:
    return etree.ElementTree(etree.fromstring(f"<NativeDicomModel>{text}</NativeDicomModel>"))


def round_trip(ds: Dataset) -> Dataset:
    return from_native(to_native(ds, keywords=True), like=ds)


# Every file that pydicom installs.


def sample_files() -> list[Path]:
    return sorted(path for path in Path(DATA_ROOT).rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc"))


@pytest.fixture(scope="module")
def samples() -> list[tuple[str, Dataset]]:
    found = []
    for path in sample_files():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some samples are wrong on purpose
            try:
                found.append((path.name, pydicom.dcmread(path, force=path.suffix == ".dcm")))
            except (InvalidDicomError, EOFError):
                continue
    return [(name, ds) for name, ds in found if len(ds)]


def expected(ds: Dataset) -> Dataset:
    """What the model can hold: no bulk data at the top, no group lengths, names without trailing delimiters."""
    found = Dataset()
    for element in copy.deepcopy(ds):
        is_bulk = element.tag in PIXEL_DATA or (
            isinstance(element.value, bytes) and len(element.value) > INLINE_BINARY_BYTES
        )
        if is_bulk or element.tag.element == 0:
            continue
        if element.VR == "PN" and isinstance(element.value, PersonName):
            element.value = str(element.value).rstrip("^=")
        found.add(element)
    return found


def without_unused_creators(ds: Dataset) -> dict[int, DataElement]:
    return {
        int(element.tag): element
        for element in ds
        if not element.tag.is_private_creator
        or any(tag.group == element.tag.group and tag.element >> 8 == element.tag.element for tag in ds.keys())
    }


@pytest.mark.slow
def test_every_sample_comes_back_as_it_was(samples: list[tuple[str, Dataset]]) -> None:
    assert len(samples) > 150
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, ds in samples:
            if name == "badVR.dcm":  # an IS that is no number cannot be made anew
                continue
            assert without_unused_creators(round_trip(ds)) == without_unused_creators(expected(ds)), name


def test_given_attributes_are_not_given_back_changed(samples: list[tuple[str, Dataset]]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, ds in samples:
            given = to_native(ds, keywords=True)
            assert len(from_native(copy.deepcopy(given), like=ds, given=given)) == 0, name


def test_a_model_leaves_unread_elements_unread() -> None:
    with sample_path("chrH31.dcm").open("rb") as file:
        ds = pydicom.dcmread(BytesIO(file.read()))
    given = to_native(ds, keywords=True)
    from_native(given, like=ds)
    assert isinstance(ds.get_item("PatientName"), RawDataElement)


# All value representations.

_word = st.text(st.sampled_from("Ab1 Äß山ж한"), min_size=1, max_size=6).map(str.strip).filter(bool)
_long = st.text(st.sampled_from("Aö山 \r\n\t<&>]\\"), max_size=12)
_name = st.lists(st.text(st.sampled_from("AbÄ山 '"), max_size=3), min_size=1, max_size=7).map("^".join)
_binary = st.binary(max_size=8).map(lambda octets: octets * 2)


def _int(bits: int, *, signed: bool) -> st.SearchStrategy[int]:
    low = -(2 ** (bits - 1)) if signed else 0
    return st.integers(low, low + 2**bits - 1)


_scalars: dict[str, st.SearchStrategy[object]] = {
    "AE": st.sampled_from(["STORESCP", "A B"]),
    "AS": st.sampled_from(["018M", "042Y"]),
    "AT": st.sampled_from([0x00100010, 0x7FE00010, 0x00191001]),
    "CS": st.sampled_from(["CT", "A_1", "A B"]),
    "DA": st.sampled_from(["20260101", "20261124"]),
    "DS": st.sampled_from(["1.50", "-0", "1e3", "+7", ".5"]),
    "DT": st.sampled_from(["20260101", "20260101120000.123+0100"]),
    "FD": st.floats(allow_nan=False),
    "FL": st.floats(width=32, allow_nan=False),
    "IS": st.sampled_from(["0", "+7", "-12", "007"]),
    "LO": _word,
    "PN": st.lists(_name, min_size=1, max_size=3).map(lambda groups: "=".join(groups).rstrip("=^ ")),
    "SH": _word,
    "SL": _int(32, signed=True),
    "SS": _int(16, signed=True),
    "SV": _int(64, signed=True),
    "TM": st.sampled_from(["12", "120000.5"]),
    "UC": _word,
    "UI": st.sampled_from(["1.2.3", "2.25.4"]),
    "UL": _int(32, signed=False),
    "US": _int(16, signed=False),
    "UV": _int(64, signed=False),
}
_SINGLE = {"LT": _long, "ST": _long, "UT": _long, "UR": st.sampled_from(["http://a.example/x", "urn:x"])}
_VALUES: dict[str, st.SearchStrategy[object]] = {
    **{vr: st.lists(values, max_size=3) for vr, values in _scalars.items()},
    **_SINGLE,
    **dict.fromkeys(BYTES_VR, _binary),
}


def _normal(ds: Dataset) -> Iterator[tuple[object, ...]]:
    """What equals as DICOM: an empty value is an empty value, trailing delimiters of a name say nothing."""
    for element in ds:
        value = element.value
        if element.VR == "SQ":
            yield int(element.tag), "SQ", [list(_normal(item)) for item in value]
        elif element.VR == "PN":
            names = [value] if isinstance(value, PersonName | str) else value or []
            texts = ["=".join(group.rstrip("^") for group in str(name).split("=")).rstrip("=") for name in names]
            yield int(element.tag), "PN", texts if any(texts) or len(texts) > 1 else []
        else:
            yield int(element.tag), element.VR, None if element.is_empty else value


@st.composite
def data_sets(draw: st.DrawFn, depth: int = 2) -> Dataset:
    ds = Dataset()
    for number, vr in enumerate(draw(st.lists(st.sampled_from(sorted(_VALUES)), max_size=6))):
        # Private attributes can have any VR.
        group, creator = draw(st.sampled_from([(0x0019, "ACME 1"), (0x0019, "ACME 2"), (0x0029, "山")]))
        value = draw(_VALUES[vr])
        block = ds.private_block(group, creator, create=True)
        block.add_new(number, vr, value)
    ds.PatientName = draw(_scalars["PN"])
    ds.ImageType = draw(st.lists(st.sampled_from(["", "A", "B"]), min_size=2, max_size=4))
    if depth and draw(st.booleans()):
        ds.ReferencedStudySequence = draw(st.lists(data_sets(depth - 1), max_size=2))
    if draw(st.booleans()):
        ds.SpecificCharacterSet = "ISO_IR 192"
    return ds


@given(data_sets())
def test_all_value_representations_come_back_as_they_were(ds: Dataset) -> None:
    before = copy.deepcopy(ds)
    assert list(_normal(round_trip(ds))) == list(_normal(before))
    assert ds == before


@given(data_sets())
def test_without_the_data_set_private_attributes_keep_their_creators(ds: Dataset) -> None:
    tree = to_native(ds, keywords=False)
    again = to_native(from_native(tree), keywords=False)
    wanted = {(e.get("tag"), e.get("privateCreator")) for e in tree.iter("DicomAttribute")}
    assert {(e.get("tag"), e.get("privateCreator")) for e in again.iter("DicomAttribute")} == wanted


# The shape of the model, as style sheets know it.


def test_shape_of_text_and_keyword() -> None:
    attribute = model(data_set(ImageType=["ORIGINAL", "", "AXIAL"]))[0]
    assert dict(attribute.attrib) == {"tag": "00080008", "keyword": "ImageType", "vr": "CS"}
    assert [(v.tag, v.get("number"), v.text or "") for v in attribute] == [
        ("Value", "1", "ORIGINAL"),
        ("Value", "2", ""),
        ("Value", "3", "AXIAL"),
    ]


def test_keywords_can_be_left_out() -> None:
    assert model(data_set(Modality="CT"), keywords=False)[0].get("keyword") is None


def test_names_stand_without_a_name_space_as_dcm4chee_gives_them() -> None:
    assert model(data_set(Modality="CT")).tag == "NativeDicomModel"


def test_shape_of_a_person_name() -> None:
    root = model(data_set(PatientName="Yamada^^Taro=山田^太郎^^Dr"))
    name = root[0][0]
    assert [(e.tag, e.text) for e in name.iter() if not len(e)] == [
        ("FamilyName", "Yamada"),
        ("MiddleName", "Taro"),
        ("FamilyName", "山田"),
        ("GivenName", "太郎"),
        ("NamePrefix", "Dr"),
    ]
    assert [group.tag for group in name] == ["Alphabetic", "Ideographic"]


def test_private_tags_are_shown_without_their_block() -> None:
    ds = Dataset()
    ds.private_block(0x0019, "OTHER", create=True)
    ds.private_block(0x0019, "ACME", create=True).add_new(0x22, "LO", "x")
    (attribute,) = model(ds)
    assert dict(attribute.attrib) == {"tag": "00190022", "privateCreator": "ACME", "vr": "LO"}


def test_private_attributes_go_into_the_block_that_their_creator_has() -> None:
    ds = Dataset()
    ds.private_block(0x0019, "OTHER", create=True)
    ds.private_block(0x0019, "ACME", create=True)
    text = '<DicomAttribute tag="00190022" privateCreator="{}" vr="LO"><Value number="1">x</Value></DicomAttribute>'
    assert from_native(parsed(text.format("ACME")), like=ds)[0x00191122].value == "x"
    new = from_native(parsed(text.format("NEW")), like=ds)
    assert (new[0x00190012].value, new[0x00191222].value) == ("NEW", "x")


@pytest.mark.parametrize(("value", "text"), [(0.1, "0.1"), (math.inf, "Infinity"), (math.nan, "NaN"), (1e30, "1e+30")])
def test_floats_are_as_short_as_they_can_be(value: float, text: str) -> None:
    ds = data_set(RecommendedDisplayFrameRateInFloat=value)
    assert model(ds)[0][0].text == text


def test_characters_that_xml_does_not_know_do_no_harm() -> None:
    ds = data_set(PatientComments="page 1\x0cpage 2")
    given = to_native(ds, keywords=True)
    assert len(given.getroot()[0][0].text or "") == len("page 1\x0cpage 2")
    assert len(from_native(given, like=ds, given=given)) == 0
    assert from_native(given).PatientComments == "page 1\x0cpage 2"


def test_octets_of_another_character_set_come_back() -> None:
    ds = read(b"\x10\x00\x00\x40LT\x06\x00gr\xfcn\x1b1", EXPLICIT_LITTLE)
    found = from_native(to_native(ds, keywords=True))
    assert write(found, EXPLICIT_LITTLE) == write(ds, EXPLICIT_LITTLE) == b"\x10\x00\x00\x40LT\x06\x00gr\xfcn\x1b1"


# Bulk data.


def test_long_binary_is_only_referred_to() -> None:
    ds = data_set(PixelData=b"\0\1", EncapsulatedDocument=b"x" * (INLINE_BINARY_BYTES + 1), MACParametersSequence=[])
    ds["PixelData"].VR = "OW"
    root = model(ds)
    assert {e.xpath("string(../@keyword)"): e.get("uri") for e in root.iter("BulkData")} == {
        "EncapsulatedDocument": "#/00420011",
        "PixelData": "#/7FE00010",
    }
    assert not list(root.iter("InlineBinary"))


def test_bulk_data_inside_a_sequence_is_kept_when_the_item_changes() -> None:
    icon = data_set(Rows=1, PixelData=b"\0\1")
    icon["PixelData"].VR = "OB"
    ds = data_set(IconImageSequence=[icon])
    given = to_native(ds, keywords=True)
    changed = copy.deepcopy(given)
    (rows,) = changed.xpath("//DicomAttribute[@keyword='Rows']/Value")
    rows.text = "2"
    (item,) = from_native(changed, like=ds, given=given).IconImageSequence
    assert (item.Rows, item.PixelData) == (2, b"\0\1")


@pytest.mark.parametrize("uri", ["file:///etc/passwd", "#/00880200/7/7FE00010", "#/00100010/0/00100020", "#/00100030"])
def test_bulk_data_from_elsewhere_is_refused(uri: str) -> None:
    tree = parsed(f'<DicomAttribute tag="00420011" vr="OB"><BulkData uri="{uri}"/></DicomAttribute>')
    with pytest.raises(ValueError, match="EncapsulatedDocument is no value of OB"):
        from_native(tree, like=data_set(PatientName="Doe"))


# Reading what style sheets write.


def test_the_name_space_of_the_standard_is_understood_too() -> None:
    text = (
        '<NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM"><!-- new -->\n'
        '  <DicomAttribute tag="00080060"><Value>CT</Value></DicomAttribute></NativeDicomModel>'
    )
    assert from_native(etree.ElementTree(etree.fromstring(text))) == data_set(Modality="CT")


def test_numbers_of_values_and_items_leave_gaps() -> None:
    ds = from_native(
        parsed(
            '<DicomAttribute tag="00080008" vr="CS"><Value number="3">AXIAL</Value></DicomAttribute>'
            '<DicomAttribute tag="00081110" vr="SQ"><Item number="2"/></DicomAttribute>'
        )
    )
    assert ds == data_set(ImageType=["", "", "AXIAL"], ReferencedStudySequence=[Dataset(), Dataset()])


def test_an_attribute_without_value_is_empty() -> None:
    ds = from_native(
        parsed('<DicomAttribute tag="00100010" vr="PN"/><DicomAttribute tag="00280010" vr="US"/>'),
    )
    assert ds["PatientName"].is_empty and ds["Rows"].is_empty


def test_file_meta_information_and_group_lengths_are_passed_over() -> None:
    text = '<DicomAttribute tag="{}" vr="UL"><Value number="1">1</Value></DicomAttribute>'
    assert len(from_native(parsed("".join(map(text.format, ("00020000", "00000002", "00100000")))))) == 0


@pytest.mark.parametrize(
    "text",
    [
        '<DicomAttribute vr="LO"/>',
        '<DicomAttribute tag="12" vr="LO"/>',
        '<DicomAttribute tag="FFFEE000" vr="UN"/>',
        '<DicomAttribute tag="00100010" vr="XX"/>',
        '<DicomAttribute tag="00280010" vr="US"><Value number="1">70000</Value></DicomAttribute>',
        '<DicomAttribute tag="00280010" vr="US"><Value number="1">SECRET</Value></DicomAttribute>',
        '<DicomAttribute tag="00200013" vr="IS"><Value number="1">SECRET</Value></DicomAttribute>',
        '<DicomAttribute tag="00180050" vr="DS"><Value number="1">SECRET</Value></DicomAttribute>',
        '<DicomAttribute tag="00080008" vr="CS"><Value number="0">SECRET</Value></DicomAttribute>',
        '<DicomAttribute tag="00080008" vr="CS"><Value number="99999999">SECRET</Value></DicomAttribute>',
        '<DicomAttribute tag="00420011" vr="OB"><InlineBinary>SECRET!</InlineBinary></DicomAttribute>',
        '<DicomAttribute tag="00420011" vr="OB"><Value number="1">SECRET</Value></DicomAttribute>',
        '<DicomAttribute tag="00100020" vr="LO"><InlineBinary>AAAA</InlineBinary></DicomAttribute>',
    ],
)
def test_invalid_model_is_refused_without_naming_values(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        from_native(parsed(text))
    assert "SECRET" not in str(caught.value)


def test_another_root_is_refused() -> None:
    with pytest.raises(ValueError, match="NativeDicomModel"):
        from_native(etree.ElementTree(etree.Element("html")))
