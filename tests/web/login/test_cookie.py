"""The cookie of a session."""

from __future__ import annotations

import pytest
from starlette.requests import Request
from starlette.responses import Response

from dcm4py_leading.web.login.cookie import delete_session_id, session_id_of, set_session_id


def asked(scheme: str, cookie: str = "") -> Request:
    headers = [(b"host", b"archive"), *([(b"cookie", cookie.encode())] if cookie else [])]
    return Request({"type": "http", "scheme": scheme, "path": "/", "query_string": b"", "headers": headers})


def test_each_scheme_has_a_cookie_of_its_own() -> None:
    cookies = "dcm4py=plain; __Host-dcm4py=safe"
    assert session_id_of(asked("http", cookies)) == "plain"
    assert session_id_of(asked("https", cookies)) == "safe"
    assert session_id_of(asked("https", "dcm4py=plain")) is None
    assert session_id_of(asked("http")) is None


@pytest.mark.parametrize(
    ("scheme", "begin", "secure"), [("https", "__Host-dcm4py=x;", True), ("http", "dcm4py=x;", False)]
)
def test_a_cookie_is_for_this_host_and_no_script(scheme: str, begin: str, secure: bool) -> None:
    response = Response()
    set_session_id(asked(scheme), response, "x")
    cookie = response.headers["set-cookie"]
    assert cookie.startswith(begin)
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert attributes == {"httponly", "path=/", "samesite=strict", *(["secure"] if secure else [])}


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_deleted_cookie_is_the_one_that_was_set(scheme: str) -> None:
    response = Response()
    delete_session_id(asked(scheme), response)
    name, _, rest = response.headers["set-cookie"].partition("=")
    assert name == ("__Host-dcm4py" if scheme == "https" else "dcm4py")
    assert "max-age=0" in rest.lower()
