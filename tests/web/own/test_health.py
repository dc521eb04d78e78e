"""``GET /health/ready``: who serves is UP or DEGRADED, and only who does not serve is taken out of service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest

from dcm4py_leading.web.app import Control, create_app
from tests.fixtures.http import served


class Service:
    def __init__(self, is_ready: bool, state: Mapping[str, object]) -> None:
        self.is_ready = lambda: is_ready
        self.state = lambda: state

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"health asks for {name}")


@pytest.mark.parametrize(
    ("is_ready", "state", "expected"),
    [
        (True, {}, (200, "UP")),
        (True, {"degraded": []}, (200, "UP")),
        (True, {"degraded": ["the directory cannot be read"]}, (200, "DEGRADED")),
        (False, {"degraded": ["the directory cannot be read"]}, (503, "DOWN")),
    ],
)
def test_degraded_serves(is_ready: bool, state: Mapping[str, object], expected: tuple[int, str]) -> None:
    with served(app=create_app(cast(Control, Service(is_ready, state)))) as http:
        response = http.get("/health/ready")
    assert (response.status_code, response.json()["status"]) == expected
    assert response.json().get("degraded") == state.get("degraded")
