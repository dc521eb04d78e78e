"""Commands of administrators in the log."""

from __future__ import annotations

import logging

import pytest
from starlette.requests import Request

from dcm4py_leading.web.gate.command_log import log_command
from dcm4py_leading.web.gate.identity import Identity, Role


@pytest.mark.parametrize(("name", "told"), [("anna", "anna"), ("anna\nreload: requested by bob", None)])
def test_a_command_is_told_with_its_user_in_one_line(
    caplog: pytest.LogCaptureFixture, name: str, told: str | None
) -> None:
    request = Request({"type": "http", "headers": []})
    request.state.identity = Identity(name, frozenset({Role.ADMINISTRATOR}))
    log_command(request, "reload")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith("reload: requested by ")
    assert "\n" not in record.getMessage()
    assert told is None or record.getMessage().endswith(f" {told}")
