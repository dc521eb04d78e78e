"""Accept headers as clients write them."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from dcm4py_leading.web.dicomweb.accept import DICOM_JSON, accepts_any, accepts_gzip


def request(query: str = "", **headers: str) -> Request:
    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "GET", "path": "/", "query_string": query.encode(), "headers": sent})


@pytest.mark.parametrize(
    ("accept", "is_accepted"),
    [
        ("", True),
        ("application/dicom+json, application/json", True),
        ("APPLICATION/DICOM+JSON", True),
        ('multipart/related; type="application/dicom, x", application/dicom+json;q=0.9', True),
        ('multipart/related; type="application/dicom+json"', False),
        ("application/dicom+json; q=0.000", False),
        ("text/*", False),
        ('"unfinished, application/dicom+json', False),
    ],
)
def test_list_of_media_types(accept: str, is_accepted: bool) -> None:
    assert accepts_any(request(accept=accept), (DICOM_JSON,)) is is_accepted


def test_parameter_of_the_query_counts_in_place_of_the_header() -> None:
    assert accepts_any(request("accept=application/dicom%2Bjson", accept="image/jpeg"), (DICOM_JSON,))
    assert not accepts_any(request("accept=image/jpeg", accept=DICOM_JSON), (DICOM_JSON,))


@pytest.mark.parametrize(
    ("sent", "is_accepted"), [("gzip, deflate, br", True), ("gzip;q=0", False), ("identity", False)]
)
def test_gzip(sent: str, is_accepted: bool) -> None:
    assert accepts_gzip(request(accept_encoding=sent)) is is_accepted
