"""The OpenAPI document: it tells every service below dcm4chee's prefix, and nothing that is not there."""

from __future__ import annotations

from typing import Any, cast

from starlette.routing import Route

from dcm4py_leading.config.writing.editor import Editor
from dcm4py_leading.web.app import Configured, Control, create_app
from tests.fixtures.configured import OWN
from tests.fixtures.http import served

ARC = "/dcm4chee-arc/"


class Service:
    """Is never asked."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the service is asked for {name}")


def test_every_service_is_told_and_nothing_that_is_not_there(editor: Editor) -> None:
    app = create_app(cast(Control, Service()), configured=Configured(editor, OWN))
    with served(app=app) as http:
        document = http.get(f"{ARC}openapi.json").json()
    told = {(method.upper(), path) for path, found in document["paths"].items() for method in found}
    served_here = {
        (method, route.path.replace(":path}", "}"))
        for route in app.routes
        if isinstance(route, Route)
        for method in route.methods or ()
        if method != "HEAD"
    }
    assert {(method, path) for method, path in served_here if path.startswith(ARC)} <= told <= served_here
    assert ("POST", f"{ARC}ctrl/stop") in told


def test_a_service_for_two_roles_tells_both(editor: Editor) -> None:
    with served(app=create_app(cast(Control, Service()), configured=Configured(editor, OWN))) as http:
        document = http.get(f"{ARC}openapi.json").json()
    assert document["paths"][f"{ARC}ctrl/status"]["get"]["description"] == "Role: viewer or service."
    assert document["paths"][f"{ARC}ctrl/reload"]["post"]["description"] == "Role: service."
