"""``/dcm4chee-arc/attribute-set`` and ``attribute-filter``: attributes that this service asks for, and keeps."""

from __future__ import annotations

from collections.abc import Iterator

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.secret_values import masked
from dcm4py_leading.config.writing.editor import Editor
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.rest.configuration.changes import device_entries
from dcm4py_leading.web.rest.configuration.failures import Refusal, answering
from dcm4py_leading.web.rest.openapi.schemas import ARRAY, OBJECT
from dcm4py_leading.web.rest.operations import Operation

_TAG = "attributes"
_TYPES = frozenset({"QIDO_RS", "WADO_RS", "DIFF_RS", "LEADING_CFIND_SCP"})
_PRESERVE = "PRESERVE"
"""The policy that is not told, since it is the default."""


def attribute_operations(editor: Editor, own_device: str) -> list[Operation]:
    """The operations; ``own_device`` is the name of the device that this service is."""

    def attribute_sets(request: Request) -> Response:
        wanted = request.path_params["type"]
        if wanted not in _TYPES:
            raise Refusal(
                404, f"there is no type {wanted} of attribute sets: expected one of {', '.join(sorted(_TYPES))}"
            )
        found = [entry for entry in _own(editor, own_device, "dcmAttributeSet") if _is_in_force(entry, wanted)]
        return JSONResponse([_set(entry, wanted) for entry in sorted(found, key=_order)])

    def attribute_filter(request: Request) -> Response:
        entity = request.path_params["entity"]
        for found in _own(editor, own_device, "dcmAttributeFilter"):
            if _first(found, "dcmEntity") == entity:
                policy = _first(found, "dcmAttributeUpdatePolicy")
                told = {"dcmEntity": entity, "dcmTag": sorted(value.strip() for value in found.values("dcmTag"))}
                return JSONResponse(told if policy in ("", _PRESERVE) else {**told, "dcmAttributeUpdatePolicy": policy})
        raise Refusal(404, f"device {own_device} has no attribute filter of {entity}")

    return [
        Operation(
            method="GET",
            path="/dcm4chee-arc/attribute-set/{type}",
            name="listAttributeSetsOfType",
            summary="The attribute sets of a type, without their tags, which the device's own resource has.",
            role=Role.VIEWER,
            handler=answering(attribute_sets),
            answers={200: ARRAY, 404: OBJECT},
            tag=_TAG,
        ),
        Operation(
            method="GET",
            path="/dcm4chee-arc/attribute-filter/{entity}",
            name="getAttributeFilter",
            summary="The attributes of Patient, Study, Series, Instance, ... that the index keeps.",
            role=Role.VIEWER,
            handler=answering(attribute_filter),
            answers={200: OBJECT, 404: OBJECT},
            tag=_TAG,
        ),
    ]


def _own(editor: Editor, own_device: str, object_class: str) -> Iterator[Entry]:
    return (entry for entry in device_entries(editor, own_device) if entry.is_a(object_class))


def _is_in_force(entry: Entry, wanted: str) -> bool:
    return _first(entry, "dcmAttributeSetType") == wanted and _first(entry, "dicomInstalled").upper() != "FALSE"


def _order(entry: Entry) -> tuple[int, str]:
    number = _first(entry, "dcmAttributeSetNumber")
    return (int(number) if number.isdecimal() else 0, _first(entry, "dcmAttributeSetID"))


def _set(entry: Entry, wanted: str) -> dict[str, str]:
    properties = (masked("dcmProperty", value, entry.values("objectClass")) for value in entry.values("dcmProperty"))
    pairs = (value.partition("=") for value in sorted(properties))
    told = {
        "type": wanted,
        "id": _first(entry, "dcmAttributeSetID"),
        "description": _first(entry, "dicomDescription"),
        "title": _first(entry, "dcmAttributeSetTitle"),
    }
    return {**{name: value for name, _, value in pairs}, **{name: value for name, value in told.items() if value}}


def _first(entry: Entry, attribute: str) -> str:
    """The only value, without trailing blanks, which a directory stores; empty if there is none."""
    return next(iter(entry.values(attribute)), "").strip()
