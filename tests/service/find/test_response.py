"""Answers cut from the bytes of the index are those that pydicom makes; where they would not be, they are not cut."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dcm4py_leading.archive.index.index import Index
from dcm4py_leading.archive.index.querying.match import Match
from dcm4py_leading.archive.index.querying.query import parse_query
from dcm4py_leading.model.archive import Entity
from dcm4py_leading.model.values import InformationModel
from dcm4py_leading.service.find.response import Elements, NeedsPydicom, encode, reduced, template
from tests.fixtures.archive import make_filter, make_header, make_identifier, store

SYNTAXES = [ImplicitVRLittleEndian, ExplicitVRLittleEndian]
KEYS = [
    *("PatientName", "PatientID", "PatientBirthDate", "StudyInstanceUID", "StudyDate", "StudyDescription"),
    *("AccessionNumber", "ModalitiesInStudy", "NumberOfStudyRelatedInstances", "ReferringPhysicianName"),
    *("SOPClassesInStudy", "ProcedureCodeSequence", "SpecificCharacterSet", "RetrieveAETitle", "ContentLabel"),
    *("OtherPatientIDsSequence", "TimezoneOffsetFromUTC", "StudyID"),
]
FILTERS = {
    Entity.PATIENT: make_filter(Entity.PATIENT, 0x00100010, 0x00100020, 0x00100030, 0x00101002),
    Entity.STUDY: make_filter(
        Entity.STUDY, *(0x00080020, 0x00080050, 0x00080090, 0x00080201, 0x00081030, 0x00081032, 0x00200010)
    ),
}


@pytest.fixture(scope="module")
def matches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Index, list[str]]]:
    """Studies in several character sets, one of a patient in another, with and without values and sequences."""
    index = Index.open(f"sqlite:///{tmp_path_factory.mktemp('index') / 'index.sqlite'}")
    code = Dataset()
    code.CodeValue, code.CodeMeaning = "1", "Thorax"
    different: list[dict[str, Any]] = [
        {},
        {"SpecificCharacterSet": "ISO_IR 100", "PatientName": "Müller^Änne", "StudyDescription": "Schädel"},
        {"SpecificCharacterSet": "ISO_IR 192", "PatientName": "Müller^Änne", "StudyDescription": "頭"},
        {"SpecificCharacterSet": ["", "ISO 2022 IR 87"], "PatientName": "Yamada^Tarou=山田^太郎"},
        {"StudyDate": "20240102", "AccessionNumber": "A1", "ProcedureCodeSequence": [code]},
        {"StudyDescription": "", "StudyDate": None, "TimezoneOffsetFromUTC": "+0100", "PatientBirthDate": ""},
        {"PatientID": "P1", "SpecificCharacterSet": "ISO_IR 100", "StudyDescription": "Schädel"},
    ]
    for number, values in enumerate(different):
        own = {"PatientID": f"P{number}", **values}
        store(index, make_header(f"1.{number}", f"1.{number}.1", f"1.{number}.1.1", **own), filters=FILTERS)
        store(index, make_header(f"1.{number}", f"1.{number}.2", f"1.{number}.2.1", **own), filters=FILTERS)
    yield index, [f"1.{number}" for number in range(7)]
    index.close()


def found(index: Index, identifier: Dataset) -> list[Match]:
    return list(index.matches(parse_query(identifier, InformationModel.STUDY_ROOT, relational=True)))


def decoded(encoded: bytes, syntax: UID) -> Dataset:
    return read_dataset(BytesIO(encoded), syntax.is_implicit_VR, syntax.is_little_endian)


@settings(max_examples=80)
@given(
    keys=st.lists(st.sampled_from(KEYS), unique=True),
    level=st.sampled_from(["STUDY", "SERIES", "IMAGE"]),
    syntax=st.sampled_from(SYNTAXES),
    retrieve_aets=st.sampled_from([(), ("PROXY",), ("ONE", "OTHER")]),
)
def test_an_answer_cut_from_the_index_is_that_of_pydicom(
    matches: tuple[Index, list[str]], keys: list[str], level: str, syntax: UID, retrieve_aets: tuple[str, ...]
) -> None:
    index, _ = matches
    identifier = make_identifier(level, **{key: [] if key.endswith("Sequence") else None for key in keys})
    form = template(identifier, syntax, retrieve_aets)
    for match in found(index, identifier):
        expected = encode(reduced(match.attributes, identifier, retrieve_aets), syntax)
        try:
            answer = form.cut(Elements(match, {}))
        except NeedsPydicom:
            continue
        assert decoded(answer, syntax) == decoded(expected, syntax)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_answers_are_cut_unless_character_sets_are_mixed_or_extended(
    matches: tuple[Index, list[str]], syntax: UID
) -> None:
    identifier = make_identifier("STUDY", StudyInstanceUID=None, PatientName=None, StudyDescription=None)
    form = template(identifier, syntax, ())
    left: list[str] = []
    for match in found(matches[0], identifier):
        try:
            form.cut(Elements(match, {}))
        except NeedsPydicom:
            left.append(str(match.attributes.StudyInstanceUID))
    assert left == ["1.3"]


def test_sequences_are_not_cut_for_implicit_vr(matches: tuple[Index, list[str]]) -> None:
    identifier = make_identifier("STUDY", StudyInstanceUID="1.4", ProcedureCodeSequence=[])
    (match,) = found(matches[0], identifier)
    template(identifier, ExplicitVRLittleEndian, ()).cut(Elements(match, {}))
    with pytest.raises(NeedsPydicom):
        template(identifier, ImplicitVRLittleEndian, ()).cut(Elements(match, {}))


def test_deflated_answers_are_left_to_pydicom() -> None:
    with pytest.raises(NeedsPydicom):
        template(make_identifier("STUDY", PatientName=None), DeflatedExplicitVRLittleEndian, ())


def test_an_edit_is_sent_in_place_of_what_is_kept(matches: tuple[Index, list[str]]) -> None:
    identifier = make_identifier("STUDY", StudyInstanceUID="1.0", PatientName=None, StudyDate=None)
    (match,) = found(matches[0], identifier)
    name = b"\x10\x00\x10\x00PN\x04\x00A^B "
    answer = template(identifier, ExplicitVRLittleEndian, ()).cut(Elements(match, {}), {0x00100010: name})
    assert decoded(answer, ExplicitVRLittleEndian).PatientName == "A^B"
    assert decoded(answer, ExplicitVRLittleEndian).StudyInstanceUID == "1.0"


@pytest.mark.parametrize(("text", "is_cut"), [(b"A~", False), (b"A\\", False), (b"AB", True)])
def test_characters_that_differ_in_iso_ir_13_are_not_cut_for_another_set(text: bytes, is_cut: bool) -> None:
    charset = b"\x08\0\5\0CS\x0a\0ISO_IR 13 "
    description = b"\x08\0\x30\x10LO\2\0"
    match = Match(encoded_attributes=(charset, charset + description + text), computed={})
    keys = make_identifier("STUDY", StudyDescription=None)
    edited = {0x00080005: b"\x08\0\5\0CS\x0a\0ISO_IR 192"}
    form = template(keys, ExplicitVRLittleEndian, ())
    if is_cut:
        assert description + text in form.cut(Elements(match, {}), edited)
    else:
        with pytest.raises(NeedsPydicom):
            form.cut(Elements(match, {}), edited)
    assert description + text in form.cut(Elements(match, {}))
