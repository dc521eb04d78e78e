"""Parts of the matches of an index, in an order."""

from __future__ import annotations

import pytest

from dcm4py_leading.archive.index.index import Index
from dcm4py_leading.archive.index.querying.query import OrderBy, Part, parse_query
from dcm4py_leading.model.values import InformationModel
from tests.fixtures.archive import make_header, make_identifier, store

STUDY_ROOT = InformationModel.STUDY_ROOT
INSTANCE_NUMBER, PATIENT_NAME = 0x00200013, 0x00100010


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ((), "10 9 None 2"),
        ((OrderBy(INSTANCE_NUMBER),), "2 9 10 None"),
        ((OrderBy(INSTANCE_NUMBER, is_descending=True),), "10 9 2 None"),
        ((OrderBy(PATIENT_NAME), OrderBy(INSTANCE_NUMBER)), "2 9 10 None"),
    ],
)
def test_part_in_an_order_of_values_with_what_has_none_last(
    index: Index, order: tuple[OrderBy, ...], expected: str
) -> None:
    for number, instance_number in enumerate((10, 9, None, 2)):
        store(index, make_header(sop=f"1.2.1.1.{number}", InstanceNumber=instance_number))
    query = parse_query(make_identifier("IMAGE", SOPInstanceUID=""), STUDY_ROOT, relational=True)
    whole = [str(match.attributes.get("InstanceNumber")) for match in index.part(query, Part(order=order))]
    assert " ".join(whole) == expected
    parts = [index.part(query, Part(order=order, offset=at, limit=2), fetch_size=1) for at in (0, 2, 4)]
    assert [str(match.attributes.get("InstanceNumber")) for part in parts for match in part] == whole


def test_part_shows_what_is_there_and_what_is_added_comes_last(index: Index) -> None:
    query = parse_query(make_identifier("STUDY", StudyInstanceUID=""), STUDY_ROOT, relational=True)
    for number in (2, 1, 3):
        store(index, make_header(f"1.3.{number}", f"1.3.{number}.1", f"1.3.{number}.1.1"))
    first = [match.attributes.StudyInstanceUID for match in index.part(query, Part(limit=2))]
    store(index, make_header("1.3.0", "1.3.0.1", "1.3.0.1.1"))
    rest = [match.attributes.StudyInstanceUID for match in index.part(query, Part(offset=2))]
    assert first + rest == ["1.3.2", "1.3.1", "1.3.3", "1.3.0"]
