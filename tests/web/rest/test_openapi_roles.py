"""The OpenAPI document tells who may ask."""

from __future__ import annotations

from typing import Any, cast

from dcm4py_leading.config.writing.editor import Editor
from dcm4py_leading.web.app import Configured, Control, create_app
from tests.fixtures.configured import OWN
from tests.fixtures.http import served

ARC = "/dcm4chee-arc/"


class Service:
    """Is never asked."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the service is asked for {name}")


def test_a_service_for_two_roles_tells_both(editor: Editor) -> None:
    with served(app=create_app(cast(Control, Service()), configured=Configured(editor, OWN))) as http:
        document = http.get(f"{ARC}openapi.json").json()
    assert document["paths"][f"{ARC}ctrl/status"]["get"]["description"] == "Role: viewer or service."
    assert document["paths"][f"{ARC}ctrl/reload"]["post"]["description"] == "Role: service."
