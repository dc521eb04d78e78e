"""Fields: all attributes that are read have one, with a label, a task and help; values are said in words."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dcm4py_leading.config.attributes import OBJECT_CLASSES
from dcm4py_leading.web.pages.fields.field import InputType, label_of
from dcm4py_leading.web.pages.fields.helping import help_of
from dcm4py_leading.web.pages.fields.of_entry import fields_of_class
from dcm4py_leading.web.pages.fields.reading import tag_of, uid_of
from dcm4py_leading.web.pages.fields.tasks import OTHER
from dcm4py_leading.web.pages.fields.words import duration_in_words, tag_in_words, uid_in_words
from dcm4py_leading.web.pages.texts import Language, catalogue

CLASSES = list(dict.fromkeys(object_class.name for object_class in OBJECT_CLASSES))


@pytest.mark.parametrize("object_class", CLASSES)
def test_every_attribute_that_is_read_has_a_task_a_label_and_help(object_class: str) -> None:
    fields = {field.attribute: field for field in fields_of_class(object_class)}
    for found in OBJECT_CLASSES:
        for row in found.rows if found.name == object_class else ():
            field = fields[row.attribute]
            assert field.task != OTHER, row.attribute
            assert field.help.meaning
            assert field.help.values
            assert field.help.default
            for language in Language:
                assert f"label.{row.attribute}" in catalogue(language)


def test_labels_are_those_of_attributes_that_are_read() -> None:
    read = {f"label.{a}" for told in help_of().values() for a, text in told.items() if text.is_read}
    assert {key for key in catalogue(Language.ENGLISH) if key.startswith("label.")} == read


def test_other_attributes_are_labelled_by_their_name() -> None:
    assert label_of("dcmTrustStoreURL", Language.GERMAN) == "Trust Store URL"


def _field(object_class: str, attribute: str):
    return next(field for field in fields_of_class(object_class) if field.attribute == attribute)


@pytest.mark.parametrize(
    ("object_class", "attribute", "shape"),
    [
        ("dcmArchiveDevice", "dcmLeadingCFindSCPQueryCacheStaleTimeout", InputType.DURATION),
        ("dcmArchiveDevice", "dcmLeadingCFindSCPQueryCacheSize", InputType.NUMBER),
        ("dcmNetworkConnection", "dcmTCPConnectTimeout", InputType.MILLISECONDS),
        ("dcmArchiveAttributeCoercion", "dcmLeadingCFindSCP", InputType.AE_TITLE),
        ("dcmArchiveAttributeCoercion", "dcmSOPClass", InputType.UID),
        ("dcmArchiveAttributeCoercion", "dcmDIMSE", InputType.CHOICE),
        ("dcmAttributeSet", "dcmTag", InputType.TAG),
        ("dicomDevice", "dicomInstalled", InputType.CHOICE),
    ],
)
def test_fields_are_typed_by_what_their_values_are(object_class: str, attribute: str, shape: InputType) -> None:
    assert _field(object_class, attribute).shape is shape


@pytest.mark.parametrize("value", ["0", "10"])
def test_a_cache_size_of_0_is_allowed(value: str) -> None:
    assert _field("dcmArchiveDevice", "dcmLeadingCFindSCPQueryCacheSize").fault(value) is None


def test_faults_are_what_a_reload_says() -> None:
    assert "whole number" in _field("dcmArchiveDevice", "dcmLeadingCFindSCPQueryCacheSize").fault("-1")
    assert "REPLACE is refused" in _field("dcmAttributeFilter", "dcmAttributeUpdatePolicy").fault("REPLACE")


def test_a_placeholder_is_left_to_the_reload() -> None:
    assert _field("dicomNetworkConnection", "dicomPort").fault("${port:11112}") is None
    assert _field("dicomNetworkConnection", "dicomPort").fault("x") is not None


@pytest.mark.parametrize(
    ("duration", "english", "german"),
    [
        (timedelta(minutes=5), "5 minutes", "5 Minuten"),
        (timedelta(days=1, hours=1), "1 day 1 hour", "1 Tag 1 Stunde"),
        (timedelta(seconds=1.5), "1 second 500 milliseconds", "1 Sekunde 500 Millisekunden"),
        (timedelta(0), "0 seconds", "0 Sekunden"),
    ],
)
def test_durations_are_said_in_words(duration: timedelta, english: str, german: str) -> None:
    assert duration_in_words(duration, Language.ENGLISH) == english
    assert duration_in_words(duration, Language.GERMAN) == german


def test_uids_and_tags_have_names() -> None:
    assert uid_in_words("1.2.840.10008.5.1.4.1.1.2") == "CT Image Storage"
    assert uid_in_words("1.2.3") == ""
    assert tag_in_words(0x00100010) == "Patient's Name"
    assert tag_in_words(0x00110011) == ""


def test_names_may_be_typed_instead_of_uids_and_tags() -> None:
    assert uid_of("ct image storage") == "1.2.840.10008.5.1.4.1.1.2"
    assert uid_of("1.2.3") == "1.2.3"
    assert tag_of("PatientName") == "00100010"
    assert tag_of("nonsense") == "nonsense"
