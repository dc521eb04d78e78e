"""Which keys of a query count as not supported (PS3.4 C.4.1.1.4, FF01)."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom import Dataset
from pydicom.dataelem import DataElement

from dcm4py_leading.archive.index.querying.query import parse_query
from dcm4py_leading.model.values import InformationModel, Level
from dcm4py_leading.service.find.key_support import are_supported

KEPT = {
    Level.PATIENT: frozenset({0x00100010, 0x00100020, 0x00104000}),
    Level.STUDY: frozenset({0x0020000D, 0x00080020, 0x00081032}),
    Level.SERIES: frozenset({0x0020000E, 0x00400275}),
    Level.IMAGE: frozenset({0x00080018}),
}
STUDY_DESCRIPTION = 0x00081030


def is_supported(
    level: str, *, relational: bool = False, written: frozenset[int] = frozenset(), **keys: object
) -> bool:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(identifier, keyword, value)
    return of(identifier, relational, written)


def of(identifier: Dataset, relational: bool = False, written: frozenset[int] = frozenset()) -> bool:
    query = parse_query(identifier, InformationModel.STUDY_ROOT, relational=relational)
    return are_supported(identifier, query, KEPT, written)


def item(**keys: object) -> list[Dataset]:
    ds = Dataset()
    for keyword, value in keys.items():
        setattr(ds, keyword, value)
    return [ds]


@pytest.mark.parametrize(
    ("expected", "keys"),
    [
        (True, {}),
        (True, {"PatientName": "A*", "PatientID": "", "StudyDate": "20200101-", "SpecificCharacterSet": "ISO_IR 100"}),
        (True, {"RetrieveAETitle": "", "InstanceAvailability": "", "ModalitiesInStudy": "CT"}),
        (True, {"NumberOfStudyRelatedInstances": "", "NumberOfPatientRelatedStudies": ""}),
        (True, {"PatientComments": ""}),  # kept
        (True, {"PatientComments": "*"}),  # universal
        (False, {"PatientComments": "x"}),  # kept, and not matched
        (False, {"StudyDescription": ""}),  # not kept
        (False, {"SeriesInstanceUID": ""}),  # of a level below
        (True, {"ProcedureCodeSequence": []}),
        (True, {"ProcedureCodeSequence": item(CodeValue="")}),
        (False, {"ProcedureCodeSequence": item(CodeValue="1")}),
        (False, {"RequestAttributesSequence": []}),  # of a level below
    ],
)
def test_keys_that_are_supported_at_study_level(expected: bool, keys: dict[str, Any]) -> None:
    assert is_supported("STUDY", **keys) is expected


def test_keys_of_upper_levels_count_and_are_matched_by_relational_queries_only() -> None:
    keys: dict[str, Any] = {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "", "PatientName": ""}
    assert is_supported("SERIES", **keys)
    assert not is_supported("SERIES", **{**keys, "PatientName": "A"})
    assert is_supported("SERIES", **{**keys, "PatientName": "A"}, relational=True)


def test_every_reference_of_a_rule_exists() -> None:
    assert is_supported("STUDY", StudyDescription="", written=frozenset({STUDY_DESCRIPTION}))


def test_a_private_key_is_not_supported_where_it_is_not_kept() -> None:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "STUDY"
    identifier[0x00090010] = DataElement(0x00090010, "LO", "ACME")
    identifier[0x00091010] = DataElement(0x00091010, "LO", None)
    assert not of(identifier)


def test_a_group_length_is_no_key() -> None:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "STUDY"
    identifier[0x00080000] = DataElement(0x00080000, "UL", 10)
    assert of(identifier)
