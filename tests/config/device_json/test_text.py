"""The JSON of a request: what is taken, and what is refused before it costs anything."""

import json

import pytest

from dcm4py_leading.config.device_json import parse
from dcm4py_leading.errors import DocumentInvalid
from dcm4py_leading.model.bounds import JSON_DEPTH


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "line 1, column 1"),
        ("{", "line 1, column 2"),
        ("[]", "an object"),
        ('"a"', "an object"),
        ('{"a": 1.5}', "whole number, not 1.5"),
        ('{"a": NaN}', "whole number, not NaN"),
        ('{"a": 1e400}', "whole number"),
        ('{"a": 1, "a": 2}', "'a' twice"),
        ('{"a": ' + "9" * 5000 + "}", "fewer digits"),
        ('{"a":' * (JSON_DEPTH + 1) + "1" + "}" * (JSON_DEPTH + 1), "deep"),
        ("[" * 100_000, "deep"),
    ],
)
def test_json_other_than_an_object_of_plain_values_is_refused(text: str, reason: str) -> None:
    with pytest.raises(DocumentInvalid, match=reason):
        parse(text.encode())


def test_bytes_other_than_utf8_are_refused() -> None:
    with pytest.raises(DocumentInvalid, match="UTF-8; octet 2"):
        parse(b'"\xe4"')


def test_brackets_within_texts_are_not_depth() -> None:
    assert parse(json.dumps({"a": '[{"\\' * 100}).encode()) == {"a": '[{"\\' * 100}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("text", ['"' + '\\"' * 1_000_000, '"' + "\\" * 999_999, "\\" * 1_000_000, '"a"' * 1_000_000])
def test_a_text_that_never_ends_costs_no_more_than_its_length(text: str) -> None:
    with pytest.raises(DocumentInvalid, match="expected JSON"):
        parse(text.encode())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '{"dcmCoercionSufficient": true, "dcmCoercionSufficient": "CONTINUE"}',
            {"dcmCoercionSufficient": True, "dcmCoercionOnFailure": "CONTINUE"},
        ),
        ('{"dcmCoercionSufficient": "RETHROW"}', {"dcmCoercionOnFailure": "RETHROW"}),
        ('{"dcmCoercionOnFailure": "RETHROW"}', {"dcmCoercionOnFailure": "RETHROW"}),
        (
            '{"dcmCoercionSufficient": "SUFFICIENT", "dcmCoercionOnFailure": "RETHROW"}',
            {"dcmCoercionOnFailure": "RETHROW"},
        ),
    ],
)
def test_dcm4chees_own_key_of_on_failure_is_taken(text: str, expected: dict[str, object]) -> None:
    assert parse(text.encode()) == expected
