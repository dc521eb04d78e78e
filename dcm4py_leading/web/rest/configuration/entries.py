"""Coercion rules and attribute sets as resources of their own, below a device; rules also below its AEs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dcm4py_leading.config.device_json import RequestedTree, object_of, parse, wanted_object
from dcm4py_leading.config.device_json.copies import copy_of
from dcm4py_leading.config.device_json.shapes import ATTRIBUTE_SET, RULE, RULE2, ObjectShape
from dcm4py_leading.config.device_json.tree import priority
from dcm4py_leading.config.device_json.values import Json
from dcm4py_leading.config.dn import DnKey
from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.writing.editor import Editor
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.rest.configuration.changes import DRY_RUN, asked, change, device_entries
from dcm4py_leading.web.rest.configuration.devices import DEVICE_PATH
from dcm4py_leading.web.rest.configuration.failures import Refusal, answering
from dcm4py_leading.web.rest.configuration.states import ToldStates
from dcm4py_leading.web.rest.openapi.schemas import ATTRIBUTE_SET_OBJECT, DRY_RUN_ANSWER, OBJECT, RULE_OBJECT, array_of
from dcm4py_leading.web.rest.operations import BOOLEAN, JsonSchema, Operation, Parameter, body_of

AE_PATH = DEVICE_PATH + "/aes/{aet}"
_CLASS = "objectClass"
_INHERITED = Parameter(
    name="inherited",
    meaning="true: also the device's rules, in the order in which all are tried for the AE; each has its dn.",
    schema=BOOLEAN,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """One kind of entries below an entry."""

    path: str
    """Of all of them."""
    names: tuple[str, ...]
    """Path parameters that tell which one; each is an attribute of its RDN."""
    shapes: tuple[ObjectShape, ...]
    what: str
    operation: str
    """Ends operationId."""
    schema: JsonSchema
    tag: str

    @property
    def item_path(self) -> str:
        """Of one of them."""
        return self.path + "".join(f"/{{{name}}}" for name in self.names)

    @property
    def has_ae(self) -> bool:
        """True if they are below an AE."""
        return "{aet}" in self.path


_RULES = ("cn",)
_KINDS = (
    _Kind(
        path=f"{DEVICE_PATH}/coercions",
        names=_RULES,
        shapes=(RULE, RULE2),
        what="coercion rule of a device",
        operation="DeviceCoercion",
        schema=RULE_OBJECT,
        tag="coercion rules",
    ),
    _Kind(
        path=f"{AE_PATH}/coercions",
        names=_RULES,
        shapes=(RULE, RULE2),
        what="coercion rule of an AE",
        operation="AECoercion",
        schema=RULE_OBJECT,
        tag="coercion rules",
    ),
    _Kind(
        path=f"{DEVICE_PATH}/attribute-sets",
        names=("dcmAttributeSetType", "dcmAttributeSetID"),
        shapes=(ATTRIBUTE_SET,),
        what="attribute set of a device",
        operation="AttributeSet",
        schema=ATTRIBUTE_SET_OBJECT,
        tag="attribute sets",
    ),
)


def entry_operations(editor: Editor, states: ToldStates) -> list[Operation]:
    """The operations on rules and attribute sets."""
    return [operation for kind in _KINDS for operation in _Resource(editor, states, kind).operations()]


@dataclass(frozen=True, slots=True)
class _Found:
    """Entry that a request is about."""

    device_name: str
    entries: tuple[Entry, ...]
    """Of the device."""
    above: Entry
    """The device or AE."""


class _Resource:
    """The operations on one kind."""

    def __init__(self, editor: Editor, states: ToldStates, kind: _Kind) -> None:
        self._editor = editor
        self._states = states
        self._kind = kind

    def operations(self) -> list[Operation]:
        """The routes."""
        kind = self._kind
        made = {200: DRY_RUN_ANSWER, 201: None, 400: OBJECT, 403: OBJECT, 404: OBJECT, 409: OBJECT, 412: OBJECT}
        changed = {204 if status == 201 else status: schema for status, schema in made.items()}

        def operation(
            method: str, path: str, name: str, summary: str, handler: Callable[[Request], Response], **more: Any
        ) -> Operation:
            role = Role.VIEWER if method == "GET" else Role.ADMINISTRATOR
            return Operation(
                method=method,
                path=path,
                name=name + kind.operation + ("s" if name == "list" else ""),
                summary=summary,
                role=role,
                handler=answering(handler),
                tag=kind.tag,
                **more,
            )

        one = kind.what
        return [
            operation(
                "GET",
                kind.path,
                "list",
                f"Each {one}, in the order in which they are tried." if kind.names == _RULES else f"Each {one}.",
                self._list,
                answers={200: array_of(kind.schema), 400: OBJECT, 404: OBJECT},
                parameters=(_INHERITED,) if kind.has_ae else (),
            ),
            operation(
                "POST",
                kind.path,
                "create",
                f"Add a {one}; a name that there is already is refused.",
                self._create,
                answers=made,
                parameters=(DRY_RUN,),
                body=kind.schema,
            ),
            operation(
                "GET",
                kind.item_path,
                "get",
                f"One {one}.",
                self._get,
                answers={200: kind.schema, 404: OBJECT},
                has_etag=True,
            ),
            operation(
                "PUT",
                kind.item_path,
                "update",
                f"Change a {one}.",
                self._update,
                answers=changed,
                parameters=(DRY_RUN,),
                body=kind.schema,
                has_etag=True,
            ),
            operation(
                "DELETE",
                kind.item_path,
                "delete",
                f"Delete a {one}.",
                self._delete,
                answers=changed,
                parameters=(DRY_RUN,),
                has_etag=True,
            ),
            operation(
                "POST",
                f"{kind.item_path}/copy",
                "copy",
                f"Copy a {one} under another name.",
                self._copy,
                answers=made,
                parameters=(Parameter(name="to", meaning="the name of the copy", is_required=True), DRY_RUN),
            ),
        ]

    def _list(self, request: Request) -> Response:
        found = self._find(request)
        if self._kind.has_ae and asked(request, "inherited", default=False):
            device = next(entry for entry in found.entries if entry.is_a("dicomDevice"))
            own, other = self._below(found.entries, found.above.key), self._below(found.entries, device.key)
            both = sorted([*own, *other], key=lambda entry: -priority(entry))
            return JSONResponse([{"dn": entry.dn, **self._object(entry)} for entry in both])
        return JSONResponse([self._object(entry) for entry in self._below(found.entries, found.above.key)])

    def _get(self, request: Request) -> Response:
        entry = self._one(self._find(request), request)
        return JSONResponse(self._object(entry), headers={"ETag": self._states.tag([entry])})

    def _create(self, request: Request) -> Response:
        told = parse(body_of(request))
        found = self._find(request)
        shape = self._shape(told, None)
        made = wanted_object(shape, told, None, found.above.dn)
        return self._add(request, found, made)

    def _update(self, request: Request) -> Response:
        told = parse(body_of(request))
        found = self._find(request)
        old = self._one(found, request)
        self._states.check(request, [old])
        made = wanted_object(self._shape(told, old), told, old, found.above.dn)
        kept = tuple(entry for entry in found.entries if entry.key != old.key)
        return change(
            self._editor, request, found.device_name, RequestedTree((*kept, *made.entries), made.skipped), found.entries
        )

    def _delete(self, request: Request) -> Response:
        found = self._find(request)
        old = self._one(found, request)
        self._states.check(request, [old])
        length = len(old.key)
        kept = tuple(entry for entry in found.entries if entry.key[-length:] != old.key)
        return change(self._editor, request, found.device_name, RequestedTree(kept, ()), found.entries)

    def _copy(self, request: Request) -> Response:
        name = request.query_params.get("to", "").strip()
        if not name:
            raise Refusal(400, "to: expected the name of the copy")
        found = self._find(request)
        old = self._one(found, request)
        shape = next(shape for shape in self._kind.shapes if shape.names(old))
        return self._add(request, found, RequestedTree((copy_of(shape, old, self._kind.names[-1], name),), ()))

    def _add(self, request: Request, found: _Found, made: RequestedTree) -> Response:
        (entry,) = made.entries
        if any(other.key == entry.key for other in found.entries):
            raise Refusal(409, f"there is an entry {entry.dn} already")
        location = _filled(self._kind.item_path, {**request.path_params, **_names(entry, self._kind)})
        done = Response(status_code=201, headers={"Location": location})
        return change(
            self._editor,
            request,
            found.device_name,
            RequestedTree((*found.entries, entry), made.skipped),
            found.entries,
            done=done,
        )

    # Entries.

    def _find(self, request: Request) -> _Found:
        name = request.path_params["deviceName"]
        entries = device_entries(self._editor, name)
        above = next(entry for entry in entries if entry.is_a("dicomDevice"))
        if self._kind.has_ae:
            above = _ae(entries, name, request.path_params["aet"])
        return _Found(name, entries, above)

    def _below(self, entries: Sequence[Entry], key: DnKey) -> list[Entry]:
        found = [entry for entry in entries if entry.key[1:] == key and any(s.names(entry) for s in self._kind.shapes)]
        return sorted(found, key=self._order)

    def _order(self, entry: Entry) -> tuple[int, list[str], list[str]]:
        names = list(_names(entry, self._kind).values())
        return (-priority(entry), [name.casefold() for name in names], names)

    def _one(self, found: _Found, request: Request) -> Entry:
        wanted = {name: request.path_params[name] for name in self._kind.names}
        candidates = self._below(found.entries, found.above.key)
        for fold in (str, str.casefold):
            for entry in candidates:
                names = _names(entry, self._kind)
                if all(fold(names[name].strip()) == fold(wanted[name].strip()) for name in wanted):
                    return entry
        shown = "/".join(wanted.values())
        raise Refusal(404, f"there is no {self._kind.what} {shown} below {found.above.dn}")

    def _object(self, entry: Entry) -> dict[str, Json]:
        shape = next(shape for shape in self._kind.shapes if shape.names(entry))
        return {_CLASS: shape.object_class, **object_of(shape, entry)}

    def _shape(self, told: dict[str, Json], old: Entry | None) -> ObjectShape:
        """The shape that ``objectClass`` of the object names, which is taken out of it. Raises Refusal 400."""
        expected = [shape for shape in self._kind.shapes if old is None or shape.names(old)]
        given = told.pop(_CLASS, None)
        for shape in expected:
            if given == shape.object_class or (given is None and len(expected) == 1):
                return shape
        names = " or ".join(shape.object_class for shape in expected)
        raise Refusal(400, f"/{_CLASS}: expected {names}")


def _ae(entries: Sequence[Entry], device_name: str, title: str) -> Entry:
    """The AE of the title, or of an other title. Raises Refusal 404."""
    for attribute in ("dicomAETitle", "dcmOtherAETitle"):
        for entry in entries:
            if entry.is_a("dicomNetworkAE") and title in (value.strip() for value in entry.values(attribute)):
                return entry
    raise Refusal(404, f"device {device_name} has no AE {title}")


def _names(entry: Entry, kind: _Kind) -> dict[str, str]:
    """The path parameters that tell the entry."""
    object_class = next(shape for shape in kind.shapes if shape.names(entry))
    told = object_of(object_class, entry)
    return {name: str(told.get(name, "")) for name in kind.names}


def _filled(path: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    return path
