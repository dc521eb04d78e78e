"""JSON Schemas of requests and answers, made from the tables by which documents are read and written."""

from __future__ import annotations

from typing import Any

from dcm4py_leading.config.device_json.fields import Field, Kind
from dcm4py_leading.config.device_json.shapes import ATTRIBUTE_SET as ATTRIBUTE_SET_SHAPE
from dcm4py_leading.config.device_json.shapes import DEVICE as DEVICE_SHAPE
from dcm4py_leading.config.device_json.shapes import RULE, RULE2, ObjectShape
from dcm4py_leading.config.ldif.schema import Syntax
from dcm4py_leading.web.rest.operations import JsonSchema

OBJECT: JsonSchema = {"type": "object"}
ARRAY: JsonSchema = {"type": "array", "items": OBJECT}
ERROR: JsonSchema = {
    "type": "object",
    "required": ["errorMessage"],
    "properties": {
        "errorMessage": {"type": "string"},
        "problems": {"type": "array", "items": OBJECT},
        "conflicts": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["dn", "attribute", "expected", "found"],
                "properties": {
                    "dn": {"type": "string"},
                    "attribute": {"type": ["string", "null"]},
                    "expected": {"type": "array", "items": {"type": "string"}},
                    "found": {"type": "array", "items": {"type": "string"}},
                },
            },
        },
    },
}
DRY_RUN_ANSWER: JsonSchema = {
    "type": "object",
    "required": ["ldif", "differences", "problems", "skipped"],
    "properties": {
        "ldif": {"type": "string"},
        "differences": ARRAY,
        "problems": ARRAY,
        "skipped": {"type": "array", "items": {"type": "string"}},
    },
}


def array_of(schema: JsonSchema) -> JsonSchema:
    """An array of such."""
    return {"type": "array", "items": schema}


def schema_of(shape: ObjectShape) -> dict[str, Any]:
    """The object of a shape. Members that are not in it are skipped, so others are allowed."""
    members: dict[str, Any] = {field.name: _field(field) for field in shape.fields if field.kind is not Kind.SECRET}
    members |= {field.name: _secret() for field in shape.fields if field.kind is Kind.SECRET}
    members |= {extension.object_class: schema_of(extension) for extension in shape.extensions}
    members |= {child.object_class: array_of(schema_of(child)) for child in shape.children}
    required = [field.name for field in shape.fields if field.is_required]
    return {"type": "object", "properties": members, **({"required": required} if required else {})}


def _field(field: Field) -> dict[str, Any]:
    if field.kind is Kind.PRESENCE:
        return {"type": "boolean", "readOnly": True}
    match field.syntax:
        case Syntax.BOOLEAN:
            one: dict[str, Any] = {"type": "boolean"}
        case Syntax.INTEGER:
            one = {"type": "integer"}
        case Syntax.OID if field.kind is Kind.VALUE:
            one = {"type": "string", "pattern": r"^(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*$"}
        case _:
            one = {"type": "string"}
    return {"type": "array", "items": one} if field.is_array else one


def _secret() -> dict[str, Any]:
    return {"type": "string", "writeOnly": True}


def _named(shape: ObjectShape) -> dict[str, Any]:
    schema = schema_of(shape)
    schema["properties"]["objectClass"] = {"const": shape.object_class}
    schema["required"] = ["objectClass", *schema["required"]]
    return schema


DEVICE: JsonSchema = {"$ref": "#/components/schemas/Device"}
RULE_OBJECT: JsonSchema = {"$ref": "#/components/schemas/CoercionRule"}
ATTRIBUTE_SET_OBJECT: JsonSchema = {"$ref": "#/components/schemas/AttributeSet"}


def components() -> dict[str, Any]:
    """The schemas that others refer to."""
    return {
        "Device": schema_of(DEVICE_SHAPE),
        "CoercionRule": {"anyOf": [_named(RULE), _named(RULE2)]},
        "AttributeSet": _named(ATTRIBUTE_SET_SHAPE),
        "Error": dict(ERROR),
    }
