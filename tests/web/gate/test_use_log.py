"""Lines about what users look at."""

from __future__ import annotations

import logging

import pytest
from starlette.requests import Request

from dcm4py_leading.web.gate.identity import ANONYMOUS, Identity
from dcm4py_leading.web.gate.use_log import Use


@pytest.mark.parametrize(
    ("identity", "client", "who"),
    [
        (Identity("jane", frozenset()), ("10.0.0.7", 4711), "from=10.0.0.7 user=jane"),
        (Identity("jane\nto=X", frozenset()), ("::1", 4711), r'from=::1 user="jane\nto=X"'),
        (ANONYMOUS, None, "from=- user=-"),
    ],
)
def test_line_names_who_and_from_where_and_is_one_line(
    caplog: pytest.LogCaptureFixture, identity: Identity, client: tuple[str, int] | None, who: str
) -> None:
    caplog.set_level(logging.INFO)
    request = Request({"type": "http", "client": client, "headers": [], "state": {"identity": identity}})
    Use(request, "study", "A B").tell(200, study="4f1c09a2be", series=3)
    (record,) = caplog.records
    line, _, milliseconds = record.getMessage().rpartition(" ms=")
    assert line == f'page study {who} to="A B" status=200 study=4f1c09a2be series=3'
    assert int(milliseconds) >= 0
