"""``/dcm4chee-arc/aes``, ``aets`` and ``devicename``: AEs of the directory, those of this service, and its name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dcm4py_leading.config.dn import DnKey, dn_key, parent_dn, rdn_assertions
from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.writing.editor import Editor
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.rest.configuration.changes import device_entries
from dcm4py_leading.web.rest.configuration.failures import answering
from dcm4py_leading.web.rest.configuration.lists import Member, filters_of, is_wanted, object_of
from dcm4py_leading.web.rest.openapi.schemas import ARRAY, OBJECT
from dcm4py_leading.web.rest.operations import Operation, Parameter

_TAG = "AEs"
_DEVICE_NAME = "dicomDeviceName"
_AE_MEMBERS = (
    Member("dicomAETitle", ignores_case=False),
    Member("dcmOtherAETitle", is_array=True, is_filter=False),
    Member("dicomDescription"),
    Member("dicomAssociationInitiator", is_boolean=True),
    Member("dicomAssociationAcceptor", is_boolean=True),
    Member("dicomApplicationCluster", is_array=True),
    Member("dicomInstalled", is_boolean=True, is_filter=False),
    Member("hl7ApplicationName", is_filter=False),
)
_CONNECTION_MEMBERS = (
    Member("cn"),
    Member("dicomHostname"),
    Member("dicomPort", is_number=True),
    Member("dicomTLSCipherSuite", is_array=True),
    Member("dicomInstalled", is_boolean=True),
)
_OWN_MEMBERS = (
    Member("dicomAETitle"),
    Member("dicomDescription"),
    Member("dcmOtherAETitle", is_array=True),
)
_INHERITED_MEMBERS = (Member("dcmAllowDeletePatient"), Member("dcmAllowDeleteStudyPermanently"))


def ae_operations(editor: Editor, own_device: str) -> list[Operation]:
    """The operations; ``own_device`` is the name of the device that this service is."""

    def aes(request: Request) -> Response:
        wanted = [found for found in editor.aes() if _is_wanted(found, request.query_params)]
        connections = {found.key: found for found in editor.connections()} if wanted else {}
        told = [_ae(found, connections) for found in wanted]
        return JSONResponse(sorted(told, key=lambda item: (item["dicomAETitle"], item[_DEVICE_NAME])))

    def aets(_: Request) -> Response:
        entries = device_entries(editor, own_device)
        device = next(found for found in entries if found.is_a("dicomDevice"))
        views = {
            found.values("dcmQueryRetrieveViewID"): found for found in entries if found.is_a("dcmQueryRetrieveView")
        }
        told = [_own_ae(found, device, views) for found in entries if found.is_a("dicomNetworkAE")]
        return JSONResponse(sorted(told, key=lambda item: str(item["dicomAETitle"])))

    def device_name(_: Request) -> Response:
        told = {_DEVICE_NAME: own_device}
        for found in device_entries(editor, own_device):
            if found.is_a("dicomDevice"):
                for name in found.values("dcmUIConfigurationDeviceName"):
                    told["UIConfigurationDeviceName"] = name
        return JSONResponse(told)

    return [
        Operation(
            method="GET",
            path="/dcm4chee-arc/aes",
            name="listAEs",
            summary="The AEs of all devices, with their connections, by title.",
            role=Role.VIEWER,
            handler=answering(aes),
            answers={200: ARRAY, 400: OBJECT},
            tag=_TAG,
            parameters=(
                Parameter(name=_DEVICE_NAME, meaning="a value; * stands for any characters"),
                *filters_of(_AE_MEMBERS),
            ),
        ),
        Operation(
            method="GET",
            path="/dcm4chee-arc/aets",
            name="listOwnAEs",
            summary="The AEs of this service.",
            role=Role.VIEWER,
            handler=answering(aets),
            answers={200: ARRAY},
            tag=_TAG,
        ),
        Operation(
            method="GET",
            path="/dcm4chee-arc/devicename",
            name="getDeviceName",
            summary="The name of the device that this service is.",
            role=Role.VIEWER,
            handler=answering(device_name),
            answers={200: OBJECT},
            tag=_TAG,
        ),
    ]


def _device_name(ae: Entry) -> str:
    (_, name), *_ = rdn_assertions(parent_dn(ae.dn))
    return name


def _is_wanted(ae: Entry, parameters: QueryParams) -> bool:
    device = Member(_DEVICE_NAME)
    named = Entry.of(ae.dn, {_DEVICE_NAME: [_device_name(ae)]})
    return is_wanted(named, [device], parameters) and is_wanted(ae, _AE_MEMBERS, parameters)


def _ae(ae: Entry, connections: Mapping[DnKey, Entry]) -> dict[str, Any]:
    named = (connections.get(key) for key in _keys(ae.values("dicomNetworkConnectionReference")))
    told = [object_of(found, _CONNECTION_MEMBERS) for found in named if found is not None]
    return {_DEVICE_NAME: _device_name(ae), **object_of(ae, _AE_MEMBERS), "dicomNetworkConnection": told}


def _keys(dns: Iterable[str]) -> list[DnKey]:
    found = []
    for dn in dns:
        try:
            found.append(dn_key(dn))
        except ValueError:  # told by ``check``
            continue
    return sorted(found, key=lambda key: [sorted(rdn) for rdn in key])


def _own_ae(ae: Entry, device: Entry, views: Mapping[tuple[str, ...], Entry]) -> dict[str, Any]:
    view = views.get(ae.values("dcmQueryRetrieveViewID") or device.values("dcmQueryRetrieveViewID"))
    hides = () if view is None else view.values("dcmHideNotRejectedInstances")
    return {
        **object_of(ae, _OWN_MEMBERS),
        **object_of(device, _INHERITED_MEMBERS),
        **object_of(ae, _INHERITED_MEMBERS),
        "dcmHideNotRejectedInstances": "TRUE" in (value.upper() for value in hides),
    }
