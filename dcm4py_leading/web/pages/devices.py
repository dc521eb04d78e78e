"""The list of devices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.model.bounds import LISTED_DEVICES
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.pages.changing.attempt import DirectoryEditing
from dcm4py_leading.web.pages.places import device_address
from dcm4py_leading.web.pages.render import render

_SHOWN = (
    "dicomDescription",
    "dicomPrimaryDeviceType",
    "dicomManufacturer",
    "dicomManufacturerModelName",
    "dicomStationName",
)
_SEARCHED = (*_SHOWN, "dicomDeviceName", "dicomInstitutionName", "dicomInstitutionDepartmentName")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRow:
    """One device of the list."""

    name: str
    address: str
    cells: tuple[tuple[str, str], ...]
    is_installed: bool


class DevicesPage:
    """The handler. It runs in a worker thread, and asks the directory once."""

    def __init__(self, editor: DirectoryEditing, own_device: str) -> None:
        self._editor = editor
        self._own_device = own_device

    def show(self, request: Request) -> Response:
        """The devices in which all words of ``q`` stand; the first `LISTED_DEVICES` of them from ``from`` on."""
        wanted = request.query_params.get("q", "").strip()
        start = _number(request.query_params.get("from", ""))
        devices = found_among(self._editor.devices(), wanted)
        rows = [_row(device) for device in devices[start : start + LISTED_DEVICES]]
        context = {
            "q": wanted,
            "rows": rows,
            "columns": _SHOWN,
            "count": len(devices),
            "start": start,
            "before": max(start - LISTED_DEVICES, 0) if start else None,
            "after": start + LISTED_DEVICES if start + LISTED_DEVICES < len(devices) else None,
            "own_device": self._own_device,
            "may_change": request.state.identity.may(Role.ADMINISTRATOR),
        }
        return render(request, "devices.html", context)


def found_among(devices: Sequence[Entry], wanted: str) -> list[Entry]:
    """The devices in which all words of ``wanted`` stand, by name."""
    words = wanted.casefold().split()
    found = [device for device in devices if not words or _has_all(device, words)]
    return sorted(found, key=lambda device: _name(device).casefold())


def _has_all(device: Entry, words: Sequence[str]) -> bool:
    text = " ".join(value for name in _SEARCHED for value in device.values(name)).casefold()
    return all(word in text for word in words)


def _name(device: Entry) -> str:
    return next(iter(device.values("dicomDeviceName")), device.dn)


def _row(device: Entry) -> DeviceRow:
    name = _name(device)
    return DeviceRow(
        name=name,
        address=device_address(name),
        cells=tuple((attribute, ", ".join(device.values(attribute))) for attribute in _SHOWN),
        is_installed="FALSE" not in (value.strip().upper() for value in device.values("dicomInstalled")),
    )


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
