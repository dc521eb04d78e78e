"""``GET /dcm4chee-arc/openapi.json``: OpenAPI document of the services."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from dcm4py_leading import __version__
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.rest.openapi.others import others
from dcm4py_leading.web.rest.openapi.schemas import OBJECT, components
from dcm4py_leading.web.rest.operations import JsonSchema, Operation, Parameter

PATH = "/dcm4chee-arc/openapi.json"
_PARAMETER = re.compile(r"\{([^}]+)\}")
_ERROR: JsonSchema = {"$ref": "#/components/schemas/Error"}
_ALWAYS = (401, 403, 429, 503)
"""Statuses that any request may be answered with: not logged in, not allowed, too many wrong log-ins, too busy or
directory down."""


def openapi_operation(operations: Sequence[Operation], other_routes: Sequence[BaseRoute] = ()) -> Operation:
    """The operation that describes these, itself, and the other routes of the service."""

    def get(_: Request) -> Response:
        return JSONResponse(openapi([*operations, own], other_routes))

    own = Operation(
        method="GET",
        path=PATH,
        name="getOpenAPI",
        summary="This document.",
        role=Role.VIEWER,
        handler=get,
        answers={200: OBJECT},
        tag="about",
    )
    return own


def openapi(operations: Iterable[Operation], other_routes: Iterable[BaseRoute] = ()) -> dict[str, Any]:
    """The document (OpenAPI 3.1)."""
    paths: dict[str, dict[str, Any]] = others(other_routes)
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "dcm4py-leading", "version": __version__, "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {
            "schemas": components(),
            "securitySchemes": {"basic": {"type": "http", "scheme": "basic"}},
        },
        "security": [{"basic": []}, {}],
    }


def _operation(operation: Operation) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "description": f"Role: {' or '.join(_roles(operation))}.",
        "tags": [operation.tag],
        "parameters": [
            *(_path_parameter(name) for name in _PARAMETER.findall(operation.path)),
            *(_query_parameter(parameter) for parameter in operation.parameters),
        ],
        "responses": {
            str(status): _answer(operation, status, schema) for status, schema in sorted(_answers(operation).items())
        },
    }
    if operation.has_etag and operation.method != "GET":
        told["parameters"].append(
            {"name": "If-Match", "in": "header", "description": "an ETag, or *", "schema": {"type": "string"}}
        )
    if operation.body is not None:
        told["requestBody"] = {"required": True, "content": {operation.body_type: {"schema": operation.body}}}
    return told


def _roles(operation: Operation) -> list[str]:
    return [role.value for role in (operation.role, operation.or_role) if role is not None]


def _answers(operation: Operation) -> dict[int, JsonSchema | None]:
    errors = {*_ALWAYS, *((413, 415, 400) if operation.body is not None else ())}
    return {**dict.fromkeys(errors, _ERROR), **operation.answers}


def _answer(operation: Operation, status: int, schema: JsonSchema | None) -> dict[str, Any]:
    told: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if schema is not None:
        shown = _ERROR if status >= HTTPStatus.BAD_REQUEST else schema
        told["content"] = {"application/json": {"schema": shown}}
    if status == HTTPStatus.OK and operation.has_etag and operation.method == "GET":
        told["headers"] = {"ETag": {"schema": {"type": "string"}}}
    if status in (HTTPStatus.CREATED, HTTPStatus.ACCEPTED):
        told["headers"] = {"Location": {"schema": {"type": "string"}}}
    return told


def _path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _query_parameter(parameter: Parameter) -> dict[str, Any]:
    schema = {"type": "array", "items": parameter.schema} if parameter.is_repeated else parameter.schema
    return {
        "name": parameter.name,
        "in": "query",
        "description": parameter.meaning,
        "required": parameter.is_required,
        "schema": schema,
    }
