from __future__ import annotations

from typing import Any

import pytest
from pydicom import DataElement, Dataset

from dcm4py_leading.archive.index.querying.query import (
    KeyCondition,
    NameGroup,
    Query,
    Range,
    Value,
    Wildcard,
    parse_query,
    parse_retrieve,
)
from dcm4py_leading.errors import IdentifierMismatch
from dcm4py_leading.model.values import InformationModel, Level
from tests.fixtures.archive import make_identifier

PATIENT_ROOT, STUDY_ROOT = InformationModel.PATIENT_ROOT, InformationModel.STUDY_ROOT


def conditions(level: str = "STUDY", *, relational: bool = False, **keys: object) -> tuple[KeyCondition, ...]:
    return parse_query(make_identifier(level, **keys), STUDY_ROOT, relational=relational).conditions


@pytest.mark.parametrize("level", [None, "", "STUDYS", "study"])
def test_identifier_without_a_level_of_the_standard_is_refused(level: str | None) -> None:
    identifier = make_identifier("STUDY")
    identifier.QueryRetrieveLevel = level
    with pytest.raises(IdentifierMismatch) as caught:
        parse_query(identifier, STUDY_ROOT, relational=False)
    assert caught.value.status == 0xA900


def test_study_root_has_no_patient_level() -> None:
    with pytest.raises(IdentifierMismatch, match="Study Root"):
        parse_query(make_identifier("PATIENT"), STUDY_ROOT, relational=True)
    with pytest.raises(IdentifierMismatch, match="Study Root"):
        parse_retrieve(make_identifier("PATIENT", PatientID="P1"), STUDY_ROOT, relational=True)


@pytest.mark.parametrize(
    ("model", "level", "keys"),
    [
        (PATIENT_ROOT, "STUDY", {}),
        (PATIENT_ROOT, "STUDY", {"PatientID": ""}),
        (PATIENT_ROOT, "STUDY", {"PatientID": "*"}),
        (PATIENT_ROOT, "STUDY", {"PatientID": "P*"}),
        (PATIENT_ROOT, "STUDY", {"PatientID": ["P1", "P2"]}),
        (PATIENT_ROOT, "SERIES", {"PatientID": "P1"}),
        (STUDY_ROOT, "SERIES", {}),
        (STUDY_ROOT, "SERIES", {"StudyInstanceUID": ["1.2", "1.3"]}),
        (STUDY_ROOT, "IMAGE", {"StudyInstanceUID": "1.2"}),
    ],
)
def test_hierarchical_query_names_one_entity_of_each_level_above(
    model: InformationModel, level: str, keys: dict[str, object]
) -> None:
    identifier = make_identifier(level, **keys)
    with pytest.raises(IdentifierMismatch):
        parse_query(identifier, model, relational=False)


def test_relational_query_needs_nothing_above() -> None:
    assert parse_query(make_identifier("IMAGE"), STUDY_ROOT, relational=True) == Query(level=Level.IMAGE)


def test_hierarchical_query_matches_no_other_key_of_the_levels_above() -> None:
    keys: dict[str, Any] = {
        "StudyInstanceUID": "1.2",
        "PatientName": "DOE",
        "StudyDescription": "X",
        "Modality": "CT",
    }
    assert {c.tag for c in conditions("SERIES", **keys)} == {0x0020000D, 0x00080060}
    assert {c.tag for c in conditions("SERIES", relational=True, **keys)} == {
        0x0020000D,
        0x00100010,
        0x00081030,
        0x00080060,
    }


def test_patient_root_study_level_has_the_issuer_with_the_patient_id_and_no_other_patient_key() -> None:
    identifier = make_identifier("STUDY", PatientID="P1", IssuerOfPatientID="HOSPITAL", PatientName="DOE")
    query = parse_query(identifier, PATIENT_ROOT, relational=False)
    assert query.conditions == (
        KeyCondition(0x00100020, (Value("P1"),)),
        KeyCondition(0x00100021, (Value("HOSPITAL"),)),
    )


def test_key_below_the_level_is_only_returned() -> None:
    assert conditions(SeriesInstanceUID="1.2", Modality="CT") == ()


def test_key_that_the_index_does_not_match_is_only_returned() -> None:
    assert conditions(PatientComments="X", EthnicGroup="Y") == ()


@pytest.mark.parametrize("value", ["", "*", "**", None, "-", "*^*"])
def test_universal_value_leaves_no_condition(value: Any) -> None:
    keyword = "StudyDate" if value == "-" else "PatientName"
    assert conditions(**{keyword: value}) == ()


def test_uid_list_matches_any_of_it() -> None:
    assert conditions(StudyInstanceUID=["1.2", "1.3"]) == (KeyCondition(0x0020000D, (Value("1.2"), Value("1.3"))),)


@pytest.mark.parametrize(
    ("keyword", "value", "matching"),
    [
        ("AccessionNumber", "A?*", Wildcard("A?*")),
        ("AccessionNumber", " A1 ", Value("A1")),
        ("StudyDate", "20200131", Value("20200131")),
        ("StudyDate", "2020.01.31", Value("20200131")),
        ("StudyDate", "20200101-20200131", Range("20200101", "20200131")),
        ("StudyDate", "20200101-", Range("20200101", None)),
        ("StudyDate", "-20200131", Range(None, "20200131")),
        ("StudyDate", "20200131-20200101", Range("20200131", "20200101")),
        ("StudyTime", "1015", Range("101500000000", "101559999999")),
        ("StudyTime", "101500.000001", Value("101500000001")),
        ("StudyTime", "10-11", Range("100000000000", "115959999999")),
        ("StudyTime", "2200-0600", Range("220000000000", "060059999999", past_midnight=True)),
    ],
)
def test_value_is_read_by_the_type_of_its_key(keyword: str, value: Any, matching: object) -> None:
    (condition,) = conditions(**{keyword: value})
    assert condition.any_of == (matching,)


def test_number_is_compared_without_its_spelling() -> None:
    (condition,) = conditions("SERIES", StudyInstanceUID="1.2", SeriesNumber="007")[1:]
    assert condition.any_of == (Value("7"),)


@pytest.mark.parametrize(
    ("keyword", "value"), [("StudyDate", "yesterday"), ("StudyTime", "10-x"), ("StudyDate", "2020*")]
)
def test_malformed_value_is_refused_and_not_quoted(keyword: str, value: Any) -> None:
    with pytest.raises(IdentifierMismatch, match=keyword) as caught:
        conditions(**{keyword: value})
    assert value not in str(caught.value)


def test_one_name_group_may_be_any_of_the_three() -> None:
    (condition,) = conditions(PatientName="  DOE ^ John^^")
    assert condition.any_of == (NameGroup((0, 1, 2), (Value("doe^john"),)),)


def test_several_name_groups_all_have_to_match() -> None:
    assert [c.any_of for c in conditions(PatientName="=山田*=やまだ*")] == [
        (NameGroup((1,), (Wildcard("山田*"),)),),
        (NameGroup((2,), (Wildcard("やまだ*"),)),),
    ]


def test_empty_components_at_the_end_of_a_name_match_a_wildcard() -> None:
    (condition,) = conditions(PatientName="DOE^*^*")
    assert condition.any_of[0] == NameGroup((0, 1, 2), (Wildcard("doe^*^*"), Wildcard("doe^*"), Value("doe")))


def test_counts_are_computed_at_their_level_and_below() -> None:
    identifier = make_identifier(
        "STUDY", NumberOfStudyRelatedSeries=None, NumberOfSeriesRelatedInstances=None, ModalitiesInStudy=None
    )
    query = parse_query(identifier, STUDY_ROOT, relational=False)
    assert query.computed == {0x00201206, 0x00080061}


@pytest.mark.parametrize(
    ("level", "keys"),
    [
        ("STUDY", {}),
        ("STUDY", {"StudyInstanceUID": ""}),
        ("STUDY", {"StudyInstanceUID": "*"}),
        ("STUDY", {"StudyInstanceUID": "1.*"}),
        ("SERIES", {"SeriesInstanceUID": "1.2.1"}),
        ("SERIES", {"StudyInstanceUID": ["1.2", "1.3"], "SeriesInstanceUID": "1.2.1"}),
        ("IMAGE", {"StudyInstanceUID": "1.2", "SOPInstanceUID": "1.2.1.1"}),
        ("IMAGE", {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.1"}),
    ],
)
def test_hierarchical_retrieve_needs_every_unique_key_down_to_its_level(level: str, keys: dict[str, object]) -> None:
    with pytest.raises(IdentifierMismatch):
        parse_retrieve(make_identifier(level, **keys), STUDY_ROOT, relational=False)


def test_relational_retrieve_needs_the_unique_key_of_its_level_only() -> None:
    keys = parse_retrieve(make_identifier("IMAGE", SOPInstanceUID=["1.1", "1.2"]), STUDY_ROOT, relational=True)
    assert keys.sop_instance_uids == ("1.1", "1.2")
    assert keys.study_instance_uids == ()
    with pytest.raises(IdentifierMismatch):
        parse_retrieve(make_identifier("IMAGE", StudyInstanceUID="1.2"), STUDY_ROOT, relational=True)


def test_retrieve_ignores_keys_below_its_level_and_other_keys() -> None:
    identifier = make_identifier(
        "STUDY", StudyInstanceUID="1.2", SeriesInstanceUID="1.2.1", PatientID="P1", PatientName="X"
    )
    keys = parse_retrieve(identifier, STUDY_ROOT, relational=False)
    assert keys.study_instance_uids == ("1.2",)
    assert keys.series_instance_uids == ()
    assert keys.patient_id is None


def test_patient_root_retrieve_has_the_patient_with_its_issuer() -> None:
    identifier = make_identifier("PATIENT", PatientID="P1", IssuerOfPatientID="HOSPITAL")
    keys = parse_retrieve(identifier, PATIENT_ROOT, relational=False)
    assert (keys.patient_id, keys.issuer_of_patient_id) == ("P1", "HOSPITAL")
    with pytest.raises(IdentifierMismatch):
        parse_retrieve(make_identifier("PATIENT"), PATIENT_ROOT, relational=False)
    with pytest.raises(IdentifierMismatch):
        parse_retrieve(make_identifier("STUDY", StudyInstanceUID="1.2"), PATIENT_ROOT, relational=False)


@pytest.mark.parametrize("vr", ["OB", "OW", "SQ"])
def test_a_key_that_cannot_be_read_does_not_match_everything(vr: str) -> None:
    identifier = make_identifier("STUDY")
    value: object = [Dataset()] if vr == "SQ" else b"1.2.3 "
    identifier[0x0020000D] = DataElement(0x0020000D, vr, value)
    for parse in (parse_query, parse_retrieve):
        with pytest.raises(IdentifierMismatch, match="StudyInstanceUID"):
            parse(identifier, STUDY_ROOT, relational=False)


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"PatientName": "?" * 1025}, "1024 characters"),
        ({"PatientID": "1*\\" * 101}, "100 wild cards"),
        ({"StudyDate": "20200101-\\" * 101}, "100 wild cards"),
        ({"PatientName": "A" + "^*" * 150}, "components"),
    ],
)
def test_keys_beyond_their_bounds_are_refused(keys: dict[str, Any], why: str) -> None:
    with pytest.raises(IdentifierMismatch, match=why):
        conditions(**keys)
