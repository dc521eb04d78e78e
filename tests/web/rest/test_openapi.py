"""The OpenAPI document: it tells every route, and requests that are drawn from it are answered as it says."""

from __future__ import annotations

from typing import Any, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import booleans
from schemathesis import Case
from schemathesis.specs.openapi.checks import positive_data_acceptance
from starlette.applications import Starlette
from starlette.routing import Route

from dcm4py_leading.config.ldif.source import LdifSource
from dcm4py_leading.config.writing.editor import Editor
from dcm4py_leading.editing import editor_of
from dcm4py_leading.web.app import Configured, Control, create_app
from dcm4py_leading.web.http.answers import PAGES
from dcm4py_leading.web.rest.configuration.routes import configuration_operations
from dcm4py_leading.web.rest.openapi.others import SUMMARIES
from tests.fixtures.configured import ARC, OWN, ldif_files_in, site_of
from tests.fixtures.http import served

DOCUMENT = f"{ARC}/openapi.json"
EXAMPLES = 6
"""Of each operation."""
KNOWN = {
    "deviceName": OWN,
    "aet": "DCM4CHEE",
    "cn": "Leading DCMQRSCP",
    "dcmAttributeSetType": "LEADING_CFIND_SCP",
    "dcmAttributeSetID": "*",
    "type": "LEADING_CFIND_SCP",
    "entity": "Study",
}
"""Path parameters for which there is something."""


NAMES = [operation.name for operation in configuration_operations(cast(Editor, object()), OWN)]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Starlette:
    """The application over files that may be changed, with services of the configuration alone that work."""
    folder = tmp_path_factory.mktemp("openapi")
    editor = editor_of(site_of(LdifSource(ldif_files_in(folder)), folder / "data"))
    return create_app(cast(Control, object()), hosts=["testserver"], configured=Configured(editor, OWN))


def test_every_route_is_told_with_its_methods_and_who_may(app: Starlette) -> None:
    with served(app=app) as rest:
        paths = rest.get(DOCUMENT).json()["paths"]
    found = [route for route in app.routes if isinstance(route, Route)]
    routes = [route for route in found if route.path != "/" and not route.path.startswith(PAGES)]  # / leads to pages
    told = {(path, method.upper()) for path, item in paths.items() for method in item}
    assert told == {(route.path_format, method) for route in routes for method in (route.methods or set()) - {"HEAD"}}
    assert all(operation["summary"] for item in paths.values() for operation in item.values())
    for_post = {key for key in SUMMARIES if key.startswith("POST ")}
    assert for_post <= {f"{method} {path}" for path, method in told}
    assert SUMMARIES.keys() - for_post == {
        path for path, item in paths.items() if "operationId" not in next(iter(item.values()))
    }


def test_names_of_operations_are_unique(app: Starlette) -> None:
    with served(app=app) as rest:
        paths = rest.get(DOCUMENT).json()["paths"]
    operations = [operation for item in paths.values() for operation in item.values()]
    names = [operation["operationId"] for operation in operations if "operationId" in operation]
    assert len(names) == len(set(names)) > 20


@pytest.mark.parametrize("name", NAMES)
def test_requests_that_are_drawn_are_answered_as_the_document_says(app: Starlette, name: str) -> None:
    operation = schemathesis.openapi.from_asgi(DOCUMENT, app).find_operation_by_id(name)

    @given(case=operation.as_strategy(), is_known=booleans())
    @settings(max_examples=EXAMPLES, derandomize=True, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    def answered(case: Case[Any], is_known: bool) -> None:
        if is_known:
            case.path_parameters |= {name: KNOWN[name] for name in case.path_parameters if name in KNOWN}
        case.call_and_validate(excluded_checks=[positive_data_acceptance])

    answered()
