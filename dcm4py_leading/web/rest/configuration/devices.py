"""``/dcm4chee-arc/devices``: the list, and each device as one document."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dcm4py_leading.config.device_json import RequestedTree, document, new_device, parse, requested_tree
from dcm4py_leading.config.dn import parent_dn
from dcm4py_leading.config.writing.editor import Editor
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.rest.configuration.changes import DRY_RUN, REGISTER, asked, change, device_entries
from dcm4py_leading.web.rest.configuration.failures import Refusal, answering
from dcm4py_leading.web.rest.configuration.lists import Member, filters_of, listed
from dcm4py_leading.web.rest.configuration.states import ToldStates
from dcm4py_leading.web.rest.openapi.schemas import ARRAY, DEVICE, DRY_RUN_ANSWER, OBJECT
from dcm4py_leading.web.rest.operations import Operation, body_of

DEVICES = "/dcm4chee-arc/devices"
DEVICE_PATH = DEVICES + "/{deviceName}"
_TAG = "devices"

_MEMBERS = (
    Member("dicomDeviceName"),
    Member("dicomDescription"),
    Member("dicomManufacturer"),
    Member("dicomManufacturerModelName"),
    Member("dicomSoftwareVersion", is_array=True),
    Member("dicomStationName"),
    Member("dicomInstitutionName", is_array=True),
    Member("dicomInstitutionDepartmentName", is_array=True),
    Member("dicomPrimaryDeviceType", is_array=True, ignores_case=False),
    Member("dicomInstalled", is_boolean=True),
    Member("hasArcDevExt", is_boolean=True, object_class="dcmArchiveDevice"),
)


def device_operations(editor: Editor, states: ToldStates) -> list[Operation]:
    """The operations on devices as a whole."""

    def devices(request: Request) -> Response:
        return JSONResponse(listed(editor.devices(), _MEMBERS, request, sort_by="dicomDeviceName"))

    def get(request: Request) -> Response:
        entries = device_entries(editor, request.path_params["deviceName"])
        return JSONResponse(document(entries), headers={"ETag": states.tag(entries)})

    def put(request: Request) -> Response:
        name = request.path_params["deviceName"]
        registers = asked(request, "register", default=True)
        told = parse(body_of(request))
        old = device_entries(editor, name)
        states.check(request, old)
        return change(editor, request, name, requested_tree(told, old), old, registers=registers)

    def post(request: Request) -> Response:
        name = request.path_params["deviceName"]
        registers = asked(request, "register", default=True)
        told = parse(body_of(request))
        if told.get("dicomDeviceName") != name:
            raise Refusal(400, f"/dicomDeviceName: expected {name!r}, as in the path")
        if editor.entries(name):
            raise Refusal(409, f"there is a device {name} already")
        made = new_device(told, parent_dn(editor.device_dn(name)))
        return change(editor, request, name, made, (), registers=registers)

    def delete(request: Request) -> Response:
        name = request.path_params["deviceName"]
        registers = asked(request, "register", default=True)
        old = device_entries(editor, name)
        states.check(request, old)
        return change(editor, request, name, RequestedTree((), ()), old, registers=registers)

    written = {200: DRY_RUN_ANSWER, 204: None, 400: OBJECT, 403: OBJECT, 404: OBJECT, 409: OBJECT, 412: OBJECT}
    return [
        Operation(
            method="GET",
            path=DEVICES,
            name="listDevices",
            summary="The devices of the directory, by name.",
            role=Role.VIEWER,
            handler=answering(devices),
            answers={200: ARRAY, 400: OBJECT},
            tag=_TAG,
            parameters=filters_of(_MEMBERS),
        ),
        Operation(
            method="GET",
            path=DEVICE_PATH,
            name="getDevice",
            summary="A device with all that is below it.",
            role=Role.VIEWER,
            handler=answering(get),
            answers={200: DEVICE, 404: OBJECT},
            tag=_TAG,
            has_etag=True,
        ),
        Operation(
            method="PUT",
            path=DEVICE_PATH,
            name="updateDevice",
            summary="Change a device. What a document has no place for stays as it is.",
            role=Role.ADMINISTRATOR,
            handler=answering(put),
            answers=written,
            tag=_TAG,
            parameters=(REGISTER, DRY_RUN),
            body=DEVICE,
            has_etag=True,
        ),
        Operation(
            method="POST",
            path=DEVICE_PATH,
            name="createDevice",
            summary="Create a device.",
            role=Role.ADMINISTRATOR,
            handler=answering(post),
            answers={status: schema for status, schema in written.items() if status != 412},
            tag=_TAG,
            parameters=(REGISTER, DRY_RUN),
            body=DEVICE,
        ),
        Operation(
            method="DELETE",
            path=DEVICE_PATH,
            name="deleteDevice",
            summary="Delete a device with all that is below it.",
            role=Role.ADMINISTRATOR,
            handler=answering(delete),
            answers=written,
            tag=_TAG,
            parameters=(REGISTER, DRY_RUN),
            has_etag=True,
        ),
    ]
