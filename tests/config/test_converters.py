from datetime import timedelta

import isodate
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcm4py_leading.config import converters
from dcm4py_leading.dataset.text.character_sets import declaration
from dcm4py_leading.model.coercion import UpdatePolicy
from dcm4py_leading.model.device import ConnectionProtocol
from dcm4py_leading.model.values import parse_duration


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("PT5M", timedelta(minutes=5)),
        ("PT0.5S", timedelta(milliseconds=500)),
        ("PT1,5S", timedelta(milliseconds=1500)),
        ("P2W", timedelta(weeks=2)),
        ("P1DT12H", timedelta(hours=36)),
        ("PT0S", timedelta(0)),
        (" PT5M ", timedelta(minutes=5)),
        ("pt5m", timedelta(minutes=5)),
    ],
)
def test_iso_8601_duration(text, value):
    assert parse_duration(text) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("P1M", "no fixed length"),
        ("P1Y", "no fixed length"),
        ("-PT5M", "negative"),
        ("-PT0S", "negative"),
        ("5", "ISO 8601"),
        ("PT", "ISO 8601"),
        ("P", "ISO 8601"),
        ("rubbish", "ISO 8601"),
        ("", "ISO 8601"),
    ],
)
def test_duration_without_a_fixed_length_is_refused_with_the_reason(text, reason):
    with pytest.raises(ValueError, match=reason):
        parse_duration(text)


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=10_000)))
def test_duration_written_by_isodate_reads_back(value):
    assert parse_duration(isodate.duration_isoformat(value)) == value


@pytest.mark.parametrize(("text", "value"), [("TRUE", True), ("false", False), ("True ", True)])
def test_boolean_in_any_case(text, value):
    assert converters.boolean(text) is value


@pytest.mark.parametrize("text", ["yes", "1", ""])
def test_other_words_are_no_boolean(text):
    with pytest.raises(ValueError, match="TRUE or FALSE"):
        converters.boolean(text)


@given(st.integers(0, 65535))
def test_number_in_range(number):
    assert converters.integer(0, 65535)(f" {number} ") == number


@pytest.mark.parametrize("text", ["-1", "65536", "fifty", "1_000", "٣", "1.5", ""])
def test_number_out_of_range_or_no_number_is_refused_with_the_range(text):
    with pytest.raises(ValueError, match="whole number from 0 to 65535"):
        converters.integer(0, 65535)(text)


def test_zero_milliseconds_is_no_timeout():
    assert converters.milliseconds("0") is None
    assert converters.milliseconds("1500") == timedelta(seconds=1.5)
    with pytest.raises(ValueError, match="from 0 to"):
        converters.milliseconds("-1")


def test_zero_interval_is_never():
    assert converters.interval("PT0S") is None
    assert converters.interval("PT5S") == timedelta(seconds=5)


def test_enumerated_value_lists_what_was_expected():
    assert converters.enumerated(ConnectionProtocol)("HL7 ") is ConnectionProtocol.HL7
    with pytest.raises(ValueError, match="DICOM, HL7, HL7_MLLP2"):
        converters.enumerated(ConnectionProtocol)("FTP")


@pytest.mark.ldap("dcmAttributeUpdatePolicy")
def test_update_policy_replace_is_refused_with_the_reason():
    assert converters.update_policy("MERGE") is UpdatePolicy.MERGE
    with pytest.raises(ValueError, match="dcm4che fails at every use"):
        converters.update_policy("REPLACE")


def test_text_loses_trailing_blanks_only():
    assert converters.text("  a b  ") == "  a b"
    with pytest.raises(ValueError, match="not blank"):
        converters.text("   ")


@pytest.mark.parametrize(("text", "value"), [("ARC", "ARC"), ("[QRSCP] ARC ", "[QRSCP]ARC")])
def test_masquerade_with_and_without_called_ae_title(text, value):
    assert converters.masquerade(text) == value


@pytest.mark.parametrize(
    ("text", "titles"), [("PACS", ("PACS",)), (" B\\A ", ("B", "A")), ("PACS A \\ PACS B", ("PACS A", "PACS B"))]
)
def test_ae_titles_keep_their_order(text, titles):
    assert converters.ae_titles(text) == titles


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "several with a backslash"),
        ("A\\", "several with a backslash"),
        ("A\\\\B", "several with a backslash"),
        ("A\\B\\A", "each AE title once"),
        ("A\\ABCDEFGHIJKLMNOPQ", "1 to 16 characters"),
    ],
)
def test_broken_list_of_ae_titles_is_refused(text, reason):
    with pytest.raises(ValueError, match=reason):
        converters.ae_titles(text)


@pytest.mark.parametrize("text", ["QRSCP]ARC", "[]ARC", "[QRSCP]", ""])
def test_broken_masquerade_is_refused(text):
    with pytest.raises(ValueError, match="expected"):
        converters.masquerade(text)


@pytest.mark.ldap("dcmDefaultCharacterSet")
@pytest.mark.parametrize("text", ["ISO_IR 100", " ISO_IR 192 ", "GB18030", "\\ISO 2022 IR 87", "ISO_IR 203"])
def test_character_set_is_a_defined_term_that_can_be_decoded(text):
    assert declaration(tuple(converters.character_set(text).split("\\"))).is_known


@pytest.mark.ldap("dcmDefaultCharacterSet")
@pytest.mark.parametrize(
    "text", ["", "ISO_IR_100", "iso_ir 100", "UTF-8", "ISO_IR 192\\", "ISO 2022 IR 6\\UTF-8", "\\GBK"]
)
def test_other_words_are_no_character_set(text):
    with pytest.raises(ValueError, match="expected a defined term"):
        converters.character_set(text)


def test_every_defined_term_can_be_decoded():
    assert all(declaration((term,)).is_known for term in converters._CHARACTER_SETS)
