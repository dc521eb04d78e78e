"""The header Accept, as clients write it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from dcm4py_leading.service.dicomweb.objects import DEFAULT
from dcm4py_leading.web.dicomweb.media_types import accepted_ranges
from dcm4py_leading.web.dicomweb.objects import accepted_syntaxes

JPEG = "1.2.840.10008.1.2.4.50"


def request(*accept: str, query: str = "") -> Request:
    headers = [(b"accept", one.encode("latin-1")) for one in accept]
    return Request({"type": "http", "headers": headers, "query_string": query.encode()})


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ('multipart/related; type="application/dicom"', [DEFAULT]),
        ("multipart/related;type=application/dicom", [DEFAULT]),
        ('multipart/related;type="application/dicom";transfer-syntax=*', ["*"]),
        ('multipart/related; type="application/dicom"; transfer-syntax="*"', ["*"]),
        (f"Multipart/Related; TYPE=application/dicom; Transfer-Syntax={JPEG}", [JPEG]),
        (f'multipart/related; type="application/dicom; transfer-syntax={JPEG}"', [JPEG]),
        (f'multipart/related; transfer-syntax={JPEG}; type="application/dicom"; boundary=x', [JPEG]),
        (
            f"multipart/related; type=application/dicom; transfer-syntax={JPEG}, "
            "multipart/related; type=application/dicom; transfer-syntax=1.2.840.10008.1.2.1;q=0.5",
            [JPEG, "1.2.840.10008.1.2.1"],
        ),
        ("image/jpeg, multipart/related; type=application/dicom; transfer-syntax=*, text/html", ["*"]),
        ("application/dicom", [DEFAULT]),
        ("multipart/related", [DEFAULT]),
        ("multipart/*", []),
        ("*/*", [DEFAULT]),
        ("*", [DEFAULT]),
        ("application/*", [DEFAULT]),
        ("", [DEFAULT]),
        ("multipart/related; type=application/dicom; q=0, image/png", []),
        ("multipart/related; type=application/octet-stream", []),
        ("application/dicom+json", []),
        ("application/zip", []),
        (";", []),
        (";, */*", [DEFAULT]),
    ],
)
def test_transfer_syntaxes_of_objects(accept: str, expected: list[str]) -> None:
    assert list(accepted_syntaxes(accepted_ranges(request(accept)))) == expected


def test_parameter_stands_for_the_header() -> None:
    said = request("image/png", query="accept=multipart/related;type=application/dicom;transfer-syntax=*")
    assert accepted_syntaxes(accepted_ranges(said)) == ("*",)


def test_several_headers_and_none() -> None:
    assert accepted_syntaxes(accepted_ranges(request("image/png", "application/dicom"))) == (DEFAULT,)
    assert accepted_syntaxes(accepted_ranges(request())) == (DEFAULT,)


@given(st.text(st.characters(max_codepoint=255), max_size=80))
def test_any_text_is_read(text: str) -> None:
    accepted_ranges(request(text))
    accepted_ranges(request(f"multipart/related; {text}"))
