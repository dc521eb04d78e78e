"""One operation of an HTTP resource; routes and the OpenAPI document are made from these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from dcm4py_leading.web.gate.access import needs
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.http.answers import error
from dcm4py_leading.web.http.rooms import Endpoint, Handler, Room

JsonSchema = Mapping[str, Any]
"""JSON Schema 2020-12, as OpenAPI 3.1 has it."""

TEXT: JsonSchema = {"type": "string"}
BOOLEAN: JsonSchema = {"type": "boolean"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A query parameter."""

    name: str
    meaning: str
    schema: JsonSchema = field(default_factory=lambda: TEXT)
    is_required: bool = False
    is_repeated: bool = False
    """True if it may be given several times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A method of a resource."""

    method: str
    path: str
    """With parameters in braces, each of which is one segment, whatever characters are in it."""
    name: str
    """operationId of OpenAPI: for programs, unique."""
    summary: str
    role: Role
    handler: Handler
    answers: Mapping[int, JsonSchema | None]
    """By status what is in it; None for nothing. Errors that all have need not be told."""
    tag: str
    or_role: Role | None = None
    """Another role that does as well."""
    parameters: tuple[Parameter, ...] = ()
    body: JsonSchema | None = None
    """Schema of the body that is to be sent; None for nothing."""
    body_type: str = "application/json"
    """Media type of what is sent; JSON as such does for another kind of JSON."""
    has_etag: bool = False
    """True if If-Match counts, or, of a GET, an ETag is told."""


class SegmentRoute(Route):
    """A route whose parameters are segments of the path as it was sent: %2F in one does not end it (RFC 3986 2.2)."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match of the route with a request."""
        if scope["type"] != "http":
            return Match.NONE, {}
        sent = scope["raw_path"].decode("latin-1").partition("?")[0]
        match, found = super().matches({**scope, "path": sent})
        try:
            parameters = found.get("path_params", {})
            found["path_params"] = {name: unquote(value, errors="strict") for name, value in parameters.items()}
        except UnicodeDecodeError:
            return Match.NONE, {}
        return match, found


def routes_of(operations: Iterable[Operation], *, reading: Room, changing: Room) -> list[Route]:
    """The routes: what reads waits in one room, what changes in another."""
    return [
        SegmentRoute(
            operation.path,
            needs(
                operation.role,
                _with_body(operation, reading if operation.method == "GET" else changing),
                or_role=operation.or_role,
            ),
            methods=[operation.method],
            name=operation.name,
        )
        for operation in operations
    ]


def body_of(request: Request) -> bytes:
    """Body that was sent to an operation that has one."""
    body: bytes = request.state.body
    return body


def flag(request: Request, name: str, *, default: bool) -> bool:
    """A query parameter that is true or false; without a value it is true. Raises ValueError."""
    match request.query_params.get(name):
        case None:
            return default
        case "" | "true":
            return True
        case "false":
            return False
    raise ValueError(f"{name}: expected true or false")


def _with_body(operation: Operation, room: Room) -> Endpoint:
    serve = room.serves(operation.handler)
    if operation.body is None:
        return serve

    async def endpoint(request: Request) -> Response:
        kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
        if kind not in {"application/json", operation.body_type}:
            return error(415, f"Content-Type: expected {operation.body_type}")
        request.state.body = await request.body()
        return await serve(request)

    return endpoint
