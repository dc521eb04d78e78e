"""Routes of the configuration services."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import BaseRoute, Route

from dcm4py_leading.config.writing.editor import Editor
from dcm4py_leading.web.http.rooms import Room
from dcm4py_leading.web.rest.configuration.aes import ae_operations
from dcm4py_leading.web.rest.configuration.attributes import attribute_operations
from dcm4py_leading.web.rest.configuration.devices import device_operations
from dcm4py_leading.web.rest.configuration.entries import entry_operations
from dcm4py_leading.web.rest.configuration.states import ToldStates
from dcm4py_leading.web.rest.configuration.unique_aets import unique_aet_operations
from dcm4py_leading.web.rest.openapi.document import openapi_operation
from dcm4py_leading.web.rest.operations import Operation, routes_of


def configuration_operations(editor: Editor, own_device: str) -> list[Operation]:
    """The operations; ``own_device`` is the name of the device that the service is."""
    states = ToldStates()
    return [
        *device_operations(editor, states),
        *entry_operations(editor, states),
        *ae_operations(editor, own_device),
        *attribute_operations(editor, own_device),
        *unique_aet_operations(editor),
    ]


def configuration_routes(
    editor: Editor,
    own_device: str,
    *,
    reading: Room,
    changing: Room,
    others: Sequence[Operation] = (),
    other_routes: Sequence[BaseRoute] = (),
) -> list[Route]:
    """The routes, that of the OpenAPI document included, which tells ``others`` and ``other_routes`` too."""
    operations = configuration_operations(editor, own_device)
    document = openapi_operation([*operations, *others], other_routes)
    return routes_of([*operations, document], reading=reading, changing=changing)
