"""The identifier of a question by keys."""

from __future__ import annotations

from dcm4py_leading.dicom.scu.leading_keys import keys_identifier
from dcm4py_leading.model.values import Tag
from tests.fixtures.rules import data_set

RETURN_KEYS = frozenset({Tag(0x0020000D), Tag(0x00080005)})


def test_it_is_at_study_level_with_the_keys_and_empty_return_keys() -> None:
    identifier = keys_identifier(data_set(QueryRetrieveLevel="SERIES", PatientName="A*"), RETURN_KEYS)
    assert identifier.QueryRetrieveLevel == "STUDY"
    assert identifier.PatientName == "A*"
    assert not identifier.StudyInstanceUID
    assert not identifier.SpecificCharacterSet


def test_a_study_among_the_keys_limits_it() -> None:
    assert keys_identifier(data_set(StudyInstanceUID=["1.2", "1.3"]), RETURN_KEYS).StudyInstanceUID == ["1.2", "1.3"]


def test_text_keeps_its_character_set_where_that_holds_it_and_becomes_unicode_where_not() -> None:
    latin = data_set(SpecificCharacterSet="ISO_IR 100", PatientName="Müller*")
    assert keys_identifier(latin, RETURN_KEYS).SpecificCharacterSet == "ISO_IR 100"
    undeclared = data_set(PatientName="山田*")
    assert keys_identifier(undeclared, RETURN_KEYS).SpecificCharacterSet == "ISO_IR 192"
